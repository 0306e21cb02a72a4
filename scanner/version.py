"""Which code runs: the release and a digest of its sources, so that a verdict names what reached it."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

_DIGITS = 12


@cache
def code_version() -> str:
    """For example `0.1.0+3f9c52e0a1b7`: release, then the digest of all Python files as they lie installed."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{version('scanner')}+{digest.hexdigest()[:_DIGITS]}"
