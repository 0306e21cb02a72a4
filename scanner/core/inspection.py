"""Which of the streams that ask for it are inspected at once: those with the most evidence that raised no alert yet, up
to a number. Pure.

asks ──▶ room? ─yes──────────────────────────────▶ granted, until it asks no more or a stronger one comes
             └no─▶ more than the weakest's + margin? ─yes─▶ takes its place ─no─▶ withheld: patrolled, and told so

The answer is an input of observe, like the lateness of a segment: the verdict names the mode that was used, and what
follows from it is concluded as ever, so that it can be replayed without knowing what else the worker had to do.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from scanner.core.evidence import combined
from scanner.core.types import StreamState

MARGIN = 1.0  # log e-value; two streams that are about as suspicious do not take turns
LAPSES_S = 30.0  # the longest segment: a stream that has not asked for so long is gone


@dataclass(slots=True)
class _Grant:
    evidence: float
    asked_s: float


class Inspections:
    """Told the time (seconds, monotonic)."""

    def __init__(self, most: int | None) -> None:
        """None: as many as ask."""
        self._most = most
        self._grants: dict[Hashable, _Grant] = {}

    def grant(self, stream: Hashable, evidence: float, now_s: float) -> bool:
        """Whether the stream's next segment is inspected. A stream that has to make room finishes its segment."""
        self._lapse(now_s)
        if stream not in self._grants and self._most is not None and len(self._grants) >= self._most:
            weakest = min(self._grants, key=lambda held: self._grants[held].evidence, default=None)
            if weakest is None or evidence <= self._grants[weakest].evidence + MARGIN:
                return False
            del self._grants[weakest]
        self._grants[stream] = _Grant(evidence, now_s)
        return True

    def release(self, stream: Hashable) -> None:
        """It does not ask any more."""
        self._grants.pop(stream, None)

    def holds(self, stream: Hashable) -> bool:
        """Whether it is being inspected."""
        return stream in self._grants

    def count(self, now_s: float) -> int:
        """How many are being inspected."""
        self._lapse(now_s)
        return len(self._grants)

    def _lapse(self, now_s: float) -> None:
        for stream in [name for name, held in self._grants.items() if now_s - held.asked_s > LAPSES_S]:
            del self._grants[stream]


def urgency(state: StreamState) -> float:
    """The evidence (log e-value) against the most suspicious face that raised no alert yet; 0 without any.

    Whoever raised one has been told of; the room is for those of whom nobody knows yet.
    """
    return max((combined(track.evidence) for track in state.tracks if not track.alerted), default=0.0)
