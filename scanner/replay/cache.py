"""Results by what they depend on: the bytes, their stream's name, model, policy and coverage."""

from __future__ import annotations

import hashlib
import json
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

    def _place(self, digest: str, stream_id: str) -> Path | None:
        if self._folder is None:
            return None
        whole = json.dumps({"bytes": digest, "stream_id": stream_id, **self._facts}, sort_keys=True)
        name = hashlib.sha256(whole.encode()).hexdigest()
        return self._folder / name[:2] / f"{name}.jsonl"
