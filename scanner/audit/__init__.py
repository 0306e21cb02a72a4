"""Verdicts that can be checked a year later, offline, with nothing but the operator's public key.

verdict lines ──chain──▶ links, each over the one before ──seal──▶ Merkle root, signed
verdicts, links, clips, pictures, card ──case──▶ folder or zip with a signed manifest ──verify──▶ what was changed
"""

from scanner.audit.case import Case, CaseFile, verify_case, write_case
from scanner.audit.chain import Ledger, Link, Seal
from scanner.audit.fault import Fault
from scanner.audit.keys import PrivateKey, PublicKey, generate
from scanner.audit.ledger import check_ledger, ledger_lines, parse_ledger

__all__ = [
    "Case",
    "CaseFile",
    "Fault",
    "Ledger",
    "Link",
    "PrivateKey",
    "PublicKey",
    "Seal",
    "check_ledger",
    "generate",
    "ledger_lines",
    "parse_ledger",
    "verify_case",
    "write_case",
]
