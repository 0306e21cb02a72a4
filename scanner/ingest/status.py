"""What is known of every source, for logs, metrics and whoever asks."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from threading import Lock

from scanner.telemetry import IngestMetrics


class State(StrEnum):
    """What a source is doing."""

    CONNECTING = "connecting"
    LISTENING = "listening"
    LIVE = "live"
    NO_VIDEO = "no_video"  # connected, and no pictures come
    PAUSING = "pausing"  # before the next try
    ENDED = "ended"


@dataclass(slots=True)
class SourceStatus:
    """One source."""

    name: str
    address: str
    state: State = State.CONNECTING
    codec: str = ""
    width: int = 0
    height: int = 0
    segments: int = 0
    """cut"""
    bytes: int = 0
    published: int = 0
    """durable on the topic"""
    lost: int = 0
    """known to be missing: holes, overflow, damage"""
    reconnects: int = 0
    drift_ms: int = 0
    """how much the source's clock ran ahead of ours since this connection began"""
    last_error: str = ""
    last_segment_at: float | None = field(default=None)
    """seconds since the epoch"""


class Status:
    """Written by many threads."""

    def __init__(self, metrics: IngestMetrics) -> None:
        self._metrics = metrics
        self._lock = Lock()
        self._sources: dict[str, SourceStatus] = {}
        self._broker_up: bool | None = None

    def add(self, name: str, address: str) -> SourceStatus:
        self._metrics.lost(name, 0)  # a first loss is no increase() of a series that was not there before
        with self._lock:
            before = self._sources.get(name)
            status = self._sources[name] = SourceStatus(name, address)
            if before is not None:
                status.published, status.lost, status.reconnects = before.published, before.lost, before.reconnects
            return status

    def state(self, name: str, state: State) -> None:
        """An end is final until the source is added again, whatever a thread of the past still says."""
        with self._lock:
            if self._sources[name].state is State.ENDED:
                return
            self._sources[name].state = state
            if state is State.ENDED:
                self._metrics.ended(name)
            else:
                self._metrics.live(name, up=state is State.LIVE)

    def live(self, name: str, codec: str, size: tuple[int, int]) -> None:
        with self._lock:
            status = self._sources[name]
            status.codec, (status.width, status.height) = codec, size
        self.state(name, State.LIVE)

    def cut(self, name: str, size: int, drift_ms: int) -> None:
        with self._lock:
            status = self._sources[name]
            status.segments += 1
            status.bytes += size
            status.drift_ms = drift_ms
            status.last_segment_at = time.time()

    def failed(self, name: str, error: str) -> None:
        with self._lock:
            self._sources[name].reconnects += 1
            self._sources[name].last_error = error
        self._metrics.reconnecting(name)

    def published(self, name: str, count: int) -> None:
        with self._lock:
            if name in self._sources:  # the spool may hold a source that is gone
                self._sources[name].published += count
        self._metrics.published(name, count)

    def lost(self, name: str, count: int) -> None:
        with self._lock:
            if name in self._sources:
                self._sources[name].lost += count
        self._metrics.lost(name, count)

    def broker_up(self, *, up: bool) -> None:
        self._broker_up = up
        self._metrics.broker(up=up)

    def spooled(self, byte_count: int) -> None:
        self._metrics.spooled(byte_count)

    def sources(self) -> list[dict[str, object]]:
        """All sources, plain, by name."""
        with self._lock:
            return [asdict(self._sources[name]) for name in sorted(self._sources)]

    @property
    def broker(self) -> str:
        return {None: "not asked yet", True: "up", False: "away"}[self._broker_up]
