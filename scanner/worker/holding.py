"""Which partitions fetch nothing for a while, because enough of theirs waits for its answer.

                 0 ──── 1/8 ───── 1/4 ───── 1/2 ───────── 1  of worker.pending_mib
    archives       ◀ resume     hold ▶
    everything                            ◀ resume       hold ▶

An archive's backlog has no end: held to a quarter, it leaves live streams the room they need.
"""

from __future__ import annotations

from collections.abc import Iterable

from scanner.ledger import Ledger
from scanner.ports import Place, Subscription
from scanner.worker.rules import Rules
from scanner.worker.streams import Streams

# Segments for each look that may be under way at once: enough that a commit's wait leaves nobody idle.
_LIVE_EACH = 16
_ARCHIVE_EACH = 4


class Holding:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._everything = False
        self._archives = False
        self._held: set[Place] = set()

    def held(self, place: Place) -> bool:
        return place in self._held

    def update(self, subscription: Subscription, streams: Streams, ledger: Ledger) -> None:
        """Pauses and resumes, as what is owed grows and shrinks."""
        self._weigh(ledger)
        held = {
            place for place in streams.places if self._everything or (self._archives and self._rules.archived(place))
        }
        if held - self._held:
            subscription.pause(held - self._held)
        if self._held - held:
            subscription.resume(self._held - held)
        self._held = held

    def forget(self, places: Iterable[Place]) -> None:
        """They were taken away, and are not paused when they come back."""
        self._held -= set(places)

    def _weigh(self, ledger: Ledger) -> None:
        topics, limit, lookers = self._rules.topics, self._rules.pending_bytes, self._rules.lookers
        pending = ledger.pending_bytes
        full = pending > limit or ledger.owed(topics.segments).count > lookers * _LIVE_EACH
        self._everything = full or (self._everything and pending > limit // 2)
        if not topics.archive:
            return
        owed = ledger.owed(topics.archive)
        full = owed.bytes > limit // 4 or owed.count > lookers * _ARCHIVE_EACH
        half_full = owed.bytes > limit // 8 or owed.count > lookers * _ARCHIVE_EACH // 2
        self._archives = full or (self._archives and half_full)
