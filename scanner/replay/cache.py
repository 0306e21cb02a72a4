"""Results by what they depend on: the bytes, their stream's name, model, policy and coverage."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Cache:
    """One file a result; made whole or not at all."""

    def __init__(self, folder: Path | None, facts: Mapping[str, Any]) -> None:
        """Without a folder nothing is kept."""
        self._folder = folder
        self._facts = dict(facts)

    def get(self, digest: str, stream_id: str) -> list[bytes] | None:
        place = self._place(digest, stream_id)
        try:
            return None if place is None else place.read_bytes().splitlines()
        except OSError:
            return None

    def put(self, digest: str, stream_id: str, lines: Sequence[bytes]) -> None:
        """Raises OSError."""
        place = self._place(digest, stream_id)
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_suffix(".part")
            part.write_bytes(b"".join(line + b"\n" for line in lines))
            part.rename(place)

    def digest_of(self, uri: str, version: str) -> str | None:
        """Of an object that was fetched before and is the same still."""
        place = self._version(uri, version)
        try:
            return None if place is None else place.read_text()
        except OSError:
            return None

    def fetched(self, uri: str, version: str, digest: str) -> None:
        """Remembers it. Raises OSError."""
        place = self._version(uri, version)
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_suffix(f".{threading.get_ident()}")
            part.write_text(digest)
            part.rename(place)

    def _version(self, uri: str, version: str) -> Path | None:
        if self._folder is None or not version.strip('" ').partition(" ")[0]:
            return None
        return self._folder / "versions" / hashlib.sha256(f"{uri}\n{version}".encode()).hexdigest()

    def _place(self, digest: str, stream_id: str) -> Path | None:
        if self._folder is None:
            return None
        whole = json.dumps({"bytes": digest, "stream_id": stream_id, **self._facts}, sort_keys=True)
        name = hashlib.sha256(whole.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.jsonl"
