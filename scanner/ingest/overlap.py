"""What a playlist repeats when it is opened again: recognised by its bytes, left out, and the rest joined on. Pure.

before   a b c d              a connection was lost after d
again        c d e f          c and d are left out; e follows d, with d's number and time going on
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from scanner.core.types import Segment
from scanner.ingest.numbering import Session

_REMEMBERED = 64  # segments: longer than playlists look back when they are opened
_MOST_REPEATED = 16


@dataclass(frozen=True, slots=True)
class _Joint:
    """How a connection goes on in the count and clock of an earlier one."""

    session: str
    ordinals: int
    ms: int


class Overlap:
    """One stream's memory across its connections."""

    def __init__(self) -> None:
        self._digests: deque[str] = deque(maxlen=_REMEMBERED)
        self._last: tuple[str, Session, int] | None = None
        """digest, session and start of the last segment kept"""
        self._connection = ""
        self._left = 0
        """segments of this connection that may still be repetitions"""
        self._joint: _Joint | None = None

    def placed(self, segment: Segment, connection: str) -> tuple[Segment, Session] | None:
        """The segment with its session; None when it came before."""
        if connection != self._connection:
            self._connection, self._joint, self._left = connection, None, _MOST_REPEATED
        if self._joint is None and self._left and segment.sha256 in self._digests:
            self._left -= 1
            if self._last is not None and self._last[0] == segment.sha256:
                _, session, start_ms = self._last
                self._joint = _Joint(session.name, session.ordinal - segment.sequence, start_ms - segment.start_ms)
            return None
        self._left = 0  # from here on the same bytes again are a picture that stands still
        joint = self._joint or _Joint(connection, 0, 0)
        session = Session(joint.session, segment.sequence + joint.ordinals)
        kept = replace(segment, start_ms=max(0, segment.start_ms + joint.ms))
        self._digests.append(segment.sha256)
        self._last = segment.sha256, session, kept.start_ms
        return kept, session
