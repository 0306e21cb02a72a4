"""Where a stream stands on the topic, and what number and time its next segment gets. Pure.

session   a ……… a | b ………          a connection; its own clock and count
on topic  7 8 9 10 | 12 13         one number is left out: what lay between two connections is lost
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scanner.core.types import Segment


@dataclass(frozen=True, slots=True)
class Session:
    """A segment's place in the connection that brought it."""

    name: str
    """one a connection"""
    ordinal: int
    """0-based; jumps where the source lost something or the spool overflowed"""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest segment of a stream on the topic."""

    sequence: int
    start_ms: int
    captured_at_ms: int
    ended: bool
    session: Session | None = None
    """None when another process published it"""
    offset_ms: int = 0
    """from the session's clock to the stream's"""

    def breaks_at(self, segment: Segment, session: Session) -> bool:
        """Whether this segment comes by another connection: what lay between the two is lost."""
        same = self.session is not None and self.session.name == session.name
        return not same and not self.ended and bool(segment.payload)


def numbered(segment: Segment, session: Session, head: Head | None, *, uncertain: bool) -> tuple[Segment, Head] | None:
    """The segment as it goes to the topic and the stream's new head; None when it is there already.

    Args:
        segment: sequence and start of its session; captured_at_ms grows from segment to segment of a stream.
        uncertain: it may have been published before, by a process or a connection that died over it.
    """
    captured = segment.captured_at_ms or 0
    if head is not None and not uncertain:
        captured = max(captured, head.captured_at_ms + 1)  # a wall clock that was set back
    if head is None:
        sequence, offset_ms = session.ordinal, 0
    elif captured <= head.captured_at_ms:
        return None
    elif head.session is not None and head.session.name == session.name:
        sequence = head.sequence + max(1, session.ordinal - head.session.ordinal)  # an end has no place of its own
        offset_ms = head.offset_ms
    else:
        lost = 1 + session.ordinal if head.breaks_at(segment, session) else 0
        sequence = head.sequence + 1 + lost
        offset_ms = head.start_ms + captured - head.captured_at_ms - segment.start_ms
    earliest = 0 if head is None else head.start_ms + 1
    start_ms = max(earliest, segment.start_ms + offset_ms)
    placed = replace(segment, sequence=sequence, start_ms=start_ms, captured_at_ms=captured)
    return placed, Head(sequence, start_ms, captured, segment.end_of_stream, session, offset_ms)


def head_of(segment: Segment, written_at_ms: int) -> Head:
    """The head that a segment on the topic is; `written_at_ms` stands in where nobody said when it was captured."""
    captured = written_at_ms if segment.captured_at_ms is None else segment.captured_at_ms
    return Head(segment.sequence, segment.start_ms, captured, segment.end_of_stream)
