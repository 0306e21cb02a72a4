"""Segments too large for a record: stored first, sent as claim checks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from scanner.core.errors import SettingsError
from scanner.core.types import Claim, Segment


class ClaimStore(Protocol):
    """Where segments go that are too large for a record."""

    def put(self, root: str, name: str, payload: bytes) -> Claim: ...


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """From which size on a segment travels as a claim check, and where its bytes go."""

    store: ClaimStore
    inline_limit_bytes: int
    root: str | None

    def applied(self, segment: Segment) -> Segment:
        """The segment, with a claim where it needs one. Raises SettingsError and what the store raises."""
        if len(segment.payload) <= self.inline_limit_bytes:
            return segment
        if not self.root:
            raise SettingsError(
                f"segment {segment.sequence} of {segment.stream_id} is {len(segment.payload)} bytes, over the inline"
                f" limit of {self.inline_limit_bytes}: set claims.write_to, or raise claims.inline_limit_bytes"
            )
        kind = segment.content_type.rpartition("/")[2]
        name = f"{segment.stream_id}/{segment.sequence:08}-{segment.sha256[:12]}.{kind}"
        return replace(segment, claim=self.store.put(self.root, name, segment.payload))
