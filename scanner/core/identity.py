"""Names that follow from what they name. Pure."""

from __future__ import annotations

import hashlib

from scanner.core.types import Mode


def identity(stream_id: str, sequence: int, sha256: str, mode: Mode, model_sha256: str, policy_sha256: str) -> str:
    """The facts that a verdict's id stands for, hashed."""
    return digest("\n".join([stream_id, str(sequence), sha256, mode, model_sha256, policy_sha256]))[:32]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
