"""Whose turn it is: looks are begun here, live segments first.

    live       begun at once, in the order of each stream; those that come faster than looks end wait in line
    archives   begun when a looker is free and no live segment waits; while live streams come, one cell is left free
               for the next of them, and one looker with it (where there is only one cell, an archive may hold it);
               while those are looked at, archives stand still (precedence.py)

What live streams leave is theirs; where those leave nothing, archives stand still, and lose nothing by it.
"""

from __future__ import annotations

import contextvars
import queue
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from functools import partial

from scanner.core.inspection import Inspections, urgency
from scanner.core.types import Mode
from scanner.pipeline import Look
from scanner.ports import Place
from scanner.telemetry import Metrics
from scanner.worker.answering import now_ms
from scanner.worker.looking import Looker
from scanner.worker.precedence import Precedence
from scanner.worker.rules import Rules
from scanner.worker.shedding import Shedding, unseen
from scanner.worker.streams import Job, Stream, Streams
from scanner.worker.watchdog import Watchdog

LIVE_S = 10.0  # live streams come, if one did within so long: longer than any segment that is worth waiting for
_KEPT_FREE = 2  # lookers: the one that is more than there are cells, and one with a cell


class Turns:
    """Begins looks, and tells which ended."""

    def __init__(self, rules: Rules, looker: Looker, watchdog: Watchdog, metrics: Metrics) -> None:
        self._rules = rules
        self._looker = looker
        self._watchdog = watchdog
        self._metrics = metrics
        self._shedding = Shedding(rules.patrol_after_s, rules.shed_after_s)
        self._inspections = Inspections(rules.inspect_at_once)
        self._ended: queue.SimpleQueue[tuple[Place, str]] = queue.SimpleQueue()
        self._precedence = Precedence(max(1, rules.lookers - 1))
        self._looking = Counter[bool]()
        """begun and not told as ended, by whether they are an archive's"""
        self._live_s = float("-inf")
        """when a live segment was begun last, monotonic"""

    def start(self, streams: Streams, lookers: Executor) -> None:
        """Begins what may begin."""
        for place in sorted(streams.places, key=self._rules.archived):
            fixed, archived = self._rules.fixed_mode(place), self._rules.archived(place)
            for stream, job in streams.startable(place, together=fixed is not None):
                if archived and self._looking.total() >= self._for_archives():
                    if self._looking[False]:
                        self._watchdog.alive([place], time.monotonic())  # it gives way, and does not stand still
                    break
                self._begin(stream, job, fixed or self._decided(stream, job), lookers)

    @property
    def any_ended(self) -> bool:
        return not self._ended.empty()

    def ended(self) -> Iterator[tuple[Place, str]]:
        """Place and stream of each look that ended since this was asked last."""
        while not self._ended.empty():
            place, stream_id = self._ended.get()
            self._looking[self._rules.archived(place)] -= 1
            yield place, stream_id

    def _for_archives(self) -> int:
        """Looks under way, at which no archive is begun."""
        lookers = self._rules.lookers
        return max(1, lookers - _KEPT_FREE) if time.monotonic() - self._live_s < LIVE_S else lookers

    def _decided(self, stream: Stream, job: Job) -> Mode | None:
        """As its evidence asks, where time and the others leave room for it; None: no look at all."""
        name, now_s = (job.debt.place, job.segment.stream_id), time.monotonic()
        mode = self._shedding.mode(job.debt.live_at_ms, stream.state.mode, now_ms())
        if mode is Mode.INSPECT and not self._inspections.grant(name, urgency(stream.state), now_s):
            mode = Mode.PATROL
        if mode is not Mode.INSPECT:
            self._inspections.release(name)
        self._metrics.inspected(self._inspections.count(now_s))
        return mode

    def _begin(self, stream: Stream, job: Job, mode: Mode | None, lookers: Executor) -> None:
        archived = self._rules.archived(job.debt.place)
        self._precedence.began(archived=archived)
        if mode is None:
            job.future = Future()
            job.future.set_result(unseen(job.segment, stream.state.mode))
        else:
            hold = self._precedence.hold if archived else None
            job.future = lookers.submit(contextvars.copy_context().run, self._looker.look, job, mode, hold)
        self._looking[archived] += 1
        if not archived:
            self._live_s = time.monotonic()
        # Not the job itself: it holds the future, and a circle keeps its payload until the collector comes.
        job.future.add_done_callback(partial(self._told, job.debt.place, job.segment.stream_id))

    def _told(self, place: Place, stream_id: str, _: Future[Look]) -> None:
        """On a looker's thread."""
        self._precedence.ended(archived=self._rules.archived(place))
        self._ended.put((place, stream_id))
