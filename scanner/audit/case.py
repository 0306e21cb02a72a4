"""A case: everything about one stream in a folder or a zip, under a manifest that the operator signed.

manifest.json   every file's size and digest ──signed──▶ manifest.sig
verdicts.jsonl  as published      ledger.jsonl   their links and seals      clips/  the very bytes that were judged
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scanner.audit.contents import contents_of
from scanner.audit.fault import Fault
from scanner.audit.keys import PrivateKey, PublicKey
from scanner.audit.ledger import check_ledger, parse_ledger
from scanner.core.errors import SegmentInvalidError, SettingsError
from scanner.core.types import Verdict
from scanner.wire import verdict_of_line

FORMAT = "scanner-case-v1"
MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.sig", "operator.pub"
VERDICTS, LEDGER, POLICY = "verdicts.jsonl", "ledger.jsonl", "policy.json"


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One file of a case."""

    name: str
    """relative, with slashes"""
    content: bytes = field(repr=False)
    sequence: int | None = None
    """of the segment whose bytes these are"""


@dataclass(frozen=True, slots=True)
class Case:
    """What a check found."""

    facts: Mapping[str, Any]
    """as the manifest says: stream, version, when it was written and until when to keep it"""
    key_id: str
    verdicts: int
    files: int
    faults: tuple[Fault, ...]


def write_case(target: Path, files: Sequence[CaseFile], facts: Mapping[str, Any], key: PrivateKey) -> None:
    """A new folder, or a zip where `target` ends so. Raises SettingsError when something is there already."""
    public = CaseFile(KEY, key.public.pem)
    listed = [_entry(file) for file in sorted([*files, public], key=lambda file: file.name)]
    manifest = json.dumps({"format": FORMAT, **facts, "files": listed}, indent=1, ensure_ascii=True).encode()
    signature = json.dumps({"key_id": key.public.key_id, "signature": key.sign(manifest)}).encode()
    everything = [*files, public, CaseFile(MANIFEST, manifest), CaseFile(SIGNATURE, signature)]
    try:
        _write(target, everything)
    except OSError as error:
        raise SettingsError(f"case {target}: {error.strerror or error}") from error


def verify_case(path: Path, key: PublicKey | None) -> Case:
    """Checks everything against everything, offline.

    Args:
        key: the operator's; None takes the one in the case, which proves that the case is whole, not whose it is.

    Raises SettingsError when there is no case at `path`, or no key.
    """
    contents, faults = contents_of(path)
    if MANIFEST not in contents or SIGNATURE not in contents:
        raise SettingsError(f"{path} is no case: it has no {MANIFEST} or no {SIGNATURE}")
    if key is None:
        if KEY not in contents:
            raise SettingsError(f"{path} holds no {KEY}: name the operator's key")
        key = PublicKey.parse(contents[KEY], f"{KEY} in {path}")
    manifest = _object(contents[MANIFEST])
    found = [*faults, *_signature_faults(contents, key), *_file_faults(contents, manifest, faults)]
    verdicts, wrong = _verdict_faults(contents, manifest, key)
    found += [*wrong, *_clip_faults(contents, manifest, verdicts), *_policy_faults(contents, verdicts)]
    facts = {name: value for name, value in manifest.items() if name != "files"}
    return Case(facts, key.key_id, len(verdicts), len(contents), tuple(dict.fromkeys(found)))


def _entry(file: CaseFile) -> dict[str, Any]:
    facts = {"name": file.name, "size": len(file.content), "sha256": _digest(file.content)}
    return facts if file.sequence is None else {**facts, "sequence": file.sequence}


def _write(target: Path, files: Iterable[CaseFile]) -> None:
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "x", zipfile.ZIP_STORED) as archive:
            for file in files:
                archive.writestr(file.name, file.content)
        return
    target.mkdir()
    for file in files:
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)


def _signature_faults(contents: Mapping[str, bytes], key: PublicKey) -> Iterator[Fault]:
    signed = _object(contents[SIGNATURE])
    if signed.get("key_id") != key.key_id:
        yield Fault(SIGNATURE, f"names the key {signed.get('key_id')!r:.60}, not {key.key_id}")
    if not key.signed(contents[MANIFEST], str(signed.get("signature", ""))):
        yield Fault(MANIFEST, f"is not as the key {key.key_id} signed it ({MANIFEST} or {SIGNATURE} was changed)")


def _file_faults(contents: Mapping[str, bytes], manifest: Mapping[str, Any], known: Sequence[Fault]) -> Iterator[Fault]:
    listed = _listed(manifest)
    told = {fault.place for fault in known}
    for name, entry in listed.items():
        if name not in contents:
            if name not in told:
                yield Fault(name, "is missing")
        elif _digest(contents[name]) != entry.get("sha256"):
            size = entry.get("size")
            length = f", and has {len(contents[name])} bytes, not {size}" if len(contents[name]) != size else ""
            yield Fault(name, f"was changed: its SHA-256 is not the one that was signed{length}")
    for name in contents:
        if name not in listed and name not in {MANIFEST, SIGNATURE}:
            yield Fault(name, "does not belong to the case: the manifest does not list it")


def _verdict_faults(
    contents: Mapping[str, bytes], manifest: Mapping[str, Any], key: PublicKey
) -> tuple[dict[int, Verdict], list[Fault]]:
    """Verdicts by sequence; and which line is not what was chained."""
    parsed = parse_ledger(contents.get(LEDGER, b""), LEDGER)
    faults = list(check_ledger(parsed, LEDGER, key))
    links = {link.verdict_sha256: link for chain in parsed.ledger.links.values() for link in chain}
    missing = {digest: link for digest, link in links.items() if _between(link.sequence, manifest)}
    verdicts: dict[int, Verdict] = {}
    strange: list[int] = []
    for number, line in enumerate(contents.get(VERDICTS, b"").removesuffix(b"\n").split(b"\n"), 1):
        digest = _digest(line)
        if missing.pop(digest, None) is None:
            strange.append(number)
            continue
        try:
            verdict = verdict_of_line(line)
        except SegmentInvalidError as error:
            faults.append(Fault(f"{VERDICTS}, line {number}", str(error)))
            continue
        verdicts[verdict.sequence] = verdict
    told = [f"{link.stream_id} segment {link.sequence} (verdict {link.verdict_id})" for link in missing.values()]
    for at, number in enumerate(strange):
        was = f": it should be {told[at]}" if len(strange) == len(told) else ", and there is no link for it"
        faults.append(Fault(f"{VERDICTS}, line {number}", f"is not the verdict that was chained{was}"))
    if len(strange) != len(told):
        faults += [Fault(VERDICTS, f"lacks the verdict on {one}") for one in told]
    covered = {(seal.stream_id, place) for seal in parsed.ledger.seals for place in range(seal.first, seal.last + 1)}
    loose = [link for link in links.values() if (link.stream_id, link.place) not in covered]
    faults += [Fault(LEDGER, f"no seal covers link {link.place} of {link.stream_id}") for link in loose]
    return verdicts, faults


def _clip_faults(
    contents: Mapping[str, bytes], manifest: Mapping[str, Any], verdicts: Mapping[int, Verdict]
) -> Iterator[Fault]:
    for name, entry in _listed(manifest).items():
        verdict = verdicts.get(entry.get("sequence", -1))
        if verdict is None or name not in contents or not verdict.payload_sha256:
            continue
        if _digest(contents[name]) != verdict.payload_sha256:
            yield Fault(name, f"is not the video that verdict {verdict.verdict_id} judged")


def _policy_faults(contents: Mapping[str, bytes], verdicts: Mapping[int, Verdict]) -> Iterator[Fault]:
    policies = {verdict.policy_sha256 for verdict in verdicts.values()}
    if POLICY in contents and policies and _digest(contents[POLICY]) not in policies:
        yield Fault(POLICY, "is not the policy that the verdicts name")


def _between(sequence: int, manifest: Mapping[str, Any]) -> bool:
    """Whether the case is to hold the verdict; its ledger reaches further, to what was sealed together with it."""
    match manifest.get("sequences"):
        case [int(first), int(last)]:
            return first <= sequence <= last
        case _:
            return True


def _listed(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    entries = manifest.get("files")
    if not isinstance(entries, list):
        return {}
    return {str(entry["name"]): entry for entry in entries if isinstance(entry, dict) and "name" in entry}


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
