"""What is left out when live streams come faster than they can be looked at: coverage first, then looks. Never answers.

    age of a live segment when its turn comes, since it was complete
    ──── patrol_after_s ────────── shed_after_s ──────▶
      as evidence says │ one clip │ no look: insufficient_evidence, reason `shed`

A segment is there when its last frame is: its own length is nobody's delay, however far apart its keyframes are.
Only segments that say when they were captured are live. An archive has time, and is never shed; nor is a segment that
was redriven: it comes late because somebody asked for it again, and says nothing of how busy this worker is.
"""

from __future__ import annotations

from dataclasses import replace

from scanner.core.types import Mode, Reason, Segment, Timing
from scanner.core.verdict import nothing_seen
from scanner.letters import redriven_from
from scanner.pipeline import Look
from scanner.ports import Delivery

LONGEST_MS = 30_000  # what ingestion cuts at most; what waited longer before it came onto its topic waited in a spool


class Shedding:
    """Once it sheds, it does so until segments are young again: else it would stay behind for ever."""

    def __init__(self, patrol_after_s: float | None, shed_after_s: float | None) -> None:
        self._patrol_after_s = patrol_after_s
        self._shed_after_s = shed_after_s
        self._shedding = False

    def mode(self, live_ms: int | None, wanted: Mode, now_ms: int) -> Mode | None:
        """How to look at a segment whose turn has come; None: not at all.

        Args:
            live_ms: see live_at_ms.
        """
        if live_ms is None:
            return wanted
        age_s = (now_ms - live_ms) / 1000
        late = self._patrol_after_s is not None and age_s > self._patrol_after_s
        if self._shed_after_s is not None:
            young_s = min(self._patrol_after_s or self._shed_after_s, self._shed_after_s)
            self._shedding = age_s > self._shed_after_s or (self._shedding and age_s > young_s)
        if self._shedding:
            return None
        return Mode.PATROL if late else wanted


def live_at_ms(segment: Segment, delivery: Delivery) -> int | None:
    """Wall clock at which a live segment was complete and could be looked at; None: it has time.

    How long it is, only a look tells. It came onto its topic when it ended, unless its source kept it for a while: more
    than the longest segment after its first frame counts as delay.

        captured-at-ms ──── its own length ────▶ on its topic ──── delay ────▶ its turn
    """
    captured_ms = segment.captured_at_ms
    if captured_ms is None or redriven_from(delivery.record) is not None:
        return None
    return min(max(captured_ms, delivery.timestamp_ms), captured_ms + LONGEST_MS)


def unseen(segment: Segment, mode: Mode) -> Look:
    """What is answered without a look."""
    return Look(segment, replace(nothing_seen(mode), reasons=(Reason.SHED,)), (), Timing())
