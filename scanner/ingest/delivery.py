"""From the spool to the topic: numbered, in order, kept until durable; through outages of the broker."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from threading import Event, Thread
from typing import ClassVar

import structlog

from scanner.core.errors import ScannerError, SettingsError, Stage
from scanner.ingest.claims import ClaimRule
from scanner.ingest.heads import Heads
from scanner.ingest.numbering import Head, numbered
from scanner.ingest.spool import Spool, Spooled, read
from scanner.ingest.status import Status
from scanner.ports import Bus, Publisher
from scanner.telemetry import Pulse
from scanner.wire import segment_record

_BATCH_BYTES = 8 * 1024 * 1024
_IDLE_S = 0.25
_FLUSH_S = 20.0  # a batch on a link of 3.5 Mbit/s
_LEAVE_S = 3.0
_PAUSES_S = (0.5, 1.0, 2.0, 5.0)

_log = structlog.get_logger()


class DeliveryDiedError(ScannerError):
    """Delivery ended by an error that nobody foresaw; what is spooled waits for the next start."""

    stage: ClassVar[Stage] = Stage.PUBLISH


class Delivery:
    """Publishes what the spool holds, until told to stop."""

    def __init__(self, bus: Bus, topic: str, spool: Spool, heads: Heads, rule: ClaimRule, status: Status) -> None:
        self._bus = bus
        self._topic = topic
        self._spool = spool
        self._heads = heads
        self._rule = rule
        self._status = status
        self._publisher: Publisher | None = None
        self._uncertain = len(spool)
        """so many of the oldest ones may be on the topic already"""
        self._failed = 0
        self._reached = False
        self._stop, self._stopped, self._left = Event(), Event(), False
        self._death: BaseException | None = None
        self.pulse = Pulse()
        """turns with every segment, and while the broker is away"""

    def start(self) -> None:
        Thread(target=self._run, name="delivery", daemon=True).start()

    def check(self) -> None:
        """Raises DeliveryDiedError: its thread is gone, and segments would wait for nobody."""
        if (death := self._death) is not None:
            raise DeliveryDiedError(
                f"delivery died of {type(death).__name__}: {death}; {len(self._spool)} segments wait for the next start"
            ) from death

    def stop(self, drain_s: float) -> None:
        """Returns when the spool is empty, or `drain_s` later; what is left waits for the next start.

        A broker that was not reached lately is not waited for, nor an attempt to reach it: nothing can interrupt that.
        """
        self._stop.set()
        if not self._stopped.wait(min(_LEAVE_S, drain_s)) and self._reached:
            self._stopped.wait(drain_s)
        self._left = True

    def _run(self) -> None:
        try:
            self._deliver()
        except BaseException as error:  # noqa: BLE001 - a thread tells nobody; `check` does
            self._death = error
            _log.exception("delivery_died")
        self._stopped.set()

    def _deliver(self) -> None:
        while not self._left:
            self.pulse.turn()
            taken = self._spool.take(_BATCH_BYTES, _IDLE_S)
            if (not taken or not self._delivered(taken)) and self._stop.is_set():
                break
            if self._failed:
                self._stop.wait(_PAUSES_S[min(self._failed, len(_PAUSES_S)) - 1])
        self._close()

    def _delivered(self, taken: list[Spooled]) -> bool:
        try:
            counts = self._published(taken)
        except ScannerError as error:
            if self._left:
                return False
            self._spool.back()
            self._uncertain = max(self._uncertain, len(taken))
            self._heads.doubt()
            self._close()
            if not self._failed:
                _log.warning("broker_lost", error=str(error), spooled=len(self._spool), bytes=self._spool.bytes)
            self._failed += 1
            self._reached = False
            self._status.broker_up(up=False)
            return False
        if self._left:  # the spool may be another process's by now, which finds out that these are there
            return False
        self._spool.done()
        self._uncertain = max(0, self._uncertain - len(taken))
        for stream_id, count in counts.items():
            self._status.published(stream_id, count)
        if self._failed:
            _log.info("broker_back", spooled=len(self._spool))
        self._failed = 0
        self._reached = True
        self._status.broker_up(up=True)
        with suppress(OSError):  # only makes the next start faster
            self._heads.save()
        return True

    def _published(self, taken: list[Spooled]) -> Counter[str]:
        """Makes them durable. Raises BrokerUnavailableError and what else the bus and the claim store raise."""
        self._heads.learn({spooled.stream_id for spooled in taken}, self.pulse.turn)
        self._publisher = self._publisher or self._bus.publisher()
        counts: Counter[str] = Counter()
        heads: dict[str, Head] = {}
        broken: list[Spooled] = []
        for number, spooled in enumerate(taken):
            self.pulse.turn()
            try:
                segment, session = read(spooled)
            except (OSError, ValueError) as error:
                self._lost(spooled, str(error))
                continue
            head = heads.get(spooled.stream_id) or self._heads[spooled.stream_id]
            placed = numbered(segment, session, head, uncertain=number < self._uncertain)
            if placed is None:
                continue
            try:
                record = segment_record(self._rule.applied(placed[0]), self._topic, at_ms=time.time_ns() // 1_000_000)
            except SettingsError as error:  # too large for a record and nowhere to put it
                self._lost(spooled, str(error))
                continue
            if head is not None and head.breaks_at(segment, session):
                broken.append(spooled)
            self._heads.trying(spooled.stream_id, placed[1])
            self._publisher.publish(record)
            heads[spooled.stream_id] = placed[1]
            counts[spooled.stream_id] += bool(segment.payload)
        self._publisher.flush(_FLUSH_S)
        for stream_id, head in heads.items():
            self._heads[stream_id] = head
        for spooled in broken:
            self._lost(spooled, "between two connections")
        return counts

    def _lost(self, spooled: Spooled, why: str) -> None:
        _log.warning("segments_lost", stream=spooled.stream_id, count=1, why=why)
        self._status.lost(spooled.stream_id, 1)

    def _close(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            with suppress(ScannerError):
                publisher.close()
