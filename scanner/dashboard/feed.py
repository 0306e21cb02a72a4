"""Topics to the view, on a thread of its own; whoever waits for changes is woken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from scanner.core.errors import BrokerUnavailableError
from scanner.core.review import Review
from scanner.dashboard.view import View
from scanner.ports import Bus, Delivery, Place, Record

log = structlog.get_logger()

POLL_S = 0.25
BATCH = 500
EXPIRE_S = 1.0
PAUSE_S = 2.0  # before a bus that does not answer is asked again


class Feed:
    """Owns the view: everybody else looks at it inside `looking`."""

    def __init__(self, bus: Bus, view: View, lookback_s: float) -> None:
        """
        Args:
            lookback_s: how far back reading begins.
        """
        self._bus = bus
        self._view = view
        self._lookback_ms = round(lookback_s * 1000)
        self._heard_ms = now_ms()
        self._expire_ms = 0
        """when pictures are next looked through for those that expired"""
        self._next: dict[Place, int] = {}
        """first offset that was not read yet: what comes again after an interruption is passed over"""
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dashboard-feed", daemon=True)
        self._listeners: list[Callable[[], None]] = []
        self.caught_up = threading.Event()
        """set once everything that was there at the start has been read"""
        self.trouble = ""
        """why nothing is read at the moment; empty when all is well"""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Called on the feed's thread after every batch that changed something."""
        self._listeners.append(listener)

    @contextmanager
    def looking(self) -> Iterator[View]:
        """The view, standing still. Look shortly: the feed waits."""
        with self._lock:
            yield self._view

    def publish(self, record: Record) -> None:
        """Puts a record on the bus, durably. Raises BrokerUnavailableError."""
        publisher = self._bus.publisher()
        try:
            publisher.publish(record)
            publisher.flush(10)
        finally:
            publisher.close()

    def reviewed(self, review: Review) -> None:
        """Shows a review at once; the topic brings it again, which changes nothing."""
        with self._lock:
            self._view.cases.reviewed(review)
            self._view.version += 1
        self._tell()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except BrokerUnavailableError as error:
                self.trouble = str(error)
                log.warning("dashboard_feed_interrupted", error=str(error))
                self._stop.wait(PAUSE_S)

    def _follow(self) -> None:
        since_ms = min(now_ms() - self._lookback_ms, self._heard_ms)
        reader = self._bus.reader(self._view.topics, from_beginning=True, since_ms=since_ms)
        try:
            while not self._stop.is_set():
                found = reader.poll(POLL_S, limit=BATCH)
                self._heard_ms, self.trouble = now_ms(), ""
                self._fold(found)
                self._expire()
                if not found and not self.caught_up.is_set() and reader.at_end():
                    self.caught_up.set()
        finally:
            reader.close()

    def _fold(self, found: list[Delivery]) -> None:
        with self._lock:
            for delivery in found:
                place = delivery.record.topic, delivery.partition
                if delivery.offset >= self._next.get(place, 0):
                    self._next[place] = delivery.offset + 1
                    self._view.fold(delivery)
        if found:
            self._tell()

    def _expire(self) -> None:
        if self._heard_ms < self._expire_ms:
            return
        self._expire_ms = self._heard_ms + round(EXPIRE_S * 1000)
        with self._lock:
            gone = self._view.expire(self._heard_ms)
        if gone:
            self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()


def now_ms() -> int:
    return time.time_ns() // 1_000_000
