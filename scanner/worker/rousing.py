"""Partitions that stand still: whose fault it is, and what the watchdog has tried about it.

nothing there to be answered, paused, a look that waits, a broker that is away: nobody's fault, no remedy
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import structlog

from scanner.core.errors import BrokerUnavailableError
from scanner.ledger import Ledger
from scanner.ports import Place, Subscription
from scanner.telemetry import Metrics
from scanner.worker.holding import Holding
from scanner.worker.looking import Looker
from scanner.worker.streams import Streams
from scanner.worker.watchdog import Remedy, Watchdog

log = structlog.get_logger()


class Rousing:
    """Asks the watchdog, tells of what it finds, and leaves the remedy to the loop."""

    def __init__(
        self, watchdog: Watchdog, streams: Streams, ledger: Ledger, holding: Holding, looker: Looker, metrics: Metrics
    ) -> None:
        self._watchdog = watchdog
        self._streams = streams
        self._ledger = ledger
        self._holding = holding
        self._looker = looker
        self._metrics = metrics

    def due(self, subscription: Subscription) -> Iterator[tuple[Place, Remedy]]:
        """What a partition needs that stands still although it is not paused, and nothing is waited for."""
        overdue, owned = self._watchdog.overdue(time.monotonic()), set(self._streams.places)
        self._watchdog.forget(overdue.keys() - owned)
        due = {place: remedy for place, remedy in overdue.items() if place in owned}
        try:
            behind = subscription.behind(list(due)) if due else {}
        except BrokerUnavailableError:
            self._watchdog.excuse(time.monotonic())
            return
        for place, remedy in due.items():
            owing = self._ledger.owing(place)
            excused = self._holding.held(place) or self._looker.waiting
            if excused or not (behind.get(place, 0) or owing):
                self._watchdog.alive([place], time.monotonic())
                continue
            self._watchdog.tried(place, remedy)
            log.error(
                "partition_stuck",
                topic=place[0],
                partition=place[1],
                behind=behind.get(place),
                owing=owing,
                remedy=remedy.name,
            )
            self._metrics.stuck(remedy.name.lower())
            yield place, remedy
