"""How far behind live a worker says that its partitions are.

something waits ─▶ the age of the oldest      answered ─▶ the age it was answered at ── QUIET_S ──▶ 0
"""

from __future__ import annotations

import time

from scanner.ledger import Ledger
from scanner.ports import Place
from scanner.telemetry import Metrics
from scanner.worker.answering import now_ms
from scanner.worker.holding import Holding
from scanner.worker.rules import Rules
from scanner.worker.streams import Streams

# Longer than between two segments of a live stream. A partition that waits to be fetched looks quiet, too: whoever has
# more to do than it can is paused now and then, and what is paused is not quiet.
QUIET_S = 10.0


class Behind:
    """Of live partitions; archives have time."""

    def __init__(self, rules: Rules, metrics: Metrics) -> None:
        self._rules = rules
        self._metrics = metrics
        self._busy_s: dict[Place, float] = {}
        """when something waited on it last, or might have, monotonic"""

    def tell(self, streams: Streams, ledger: Ledger, holding: Holding, *, heard: bool) -> None:
        """To be called now and then.

        Args:
            heard: whether the broker was there when it was asked last; else nobody knows what waits there.
        """
        now_s, live = time.monotonic(), [place for place in streams.places if not self._rules.archived(place)]
        self._busy_s = {place: self._busy_s.get(place, now_s) for place in live}
        for place in live:
            if (oldest := ledger.oldest(place)) is not None:
                self._metrics.behind(place[1], max(0, now_ms() - oldest.due_ms) / 1000)
            if ledger.owing(place) or holding.held(place) or not heard:
                self._busy_s[place] = now_s
            elif now_s - self._busy_s[place] >= QUIET_S:
                self._metrics.behind(place[1], 0.0)
