"""Records to a model of everything that the pages show. Pure: no clock, no bus, memory bounded by its limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from scanner import wire
from scanner.core.errors import SegmentInvalidError
from scanner.core.types import Alert, Edge, Label, Source
from scanner.dashboard.cases import Cases
from scanner.dashboard.streams import ALERTS_KEPT, Picture, Stream
from scanner.dashboard.tallies import Letter, Tallies
from scanner.ports import Delivery

_MESSAGE = 300  # characters of a dead letter's reason
_NAME = 100  # characters of a worker's or a face's name
_JPEG = b"\xff\xd8\xff"
_LARGEST_PICTURE = 16 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    streams: int = 2000
    """the one that was silent longest is forgotten first"""
    points: int = 300
    """verdicts kept a stream"""
    pictures_ms: int = 0
    """how long faces are kept; 0: they are not even read"""


class View:
    """Folds one record after another. Not thread-safe: its owner holds a lock."""

    def __init__(self, topics: wire.Topics, limits: Limits | None = None, group_by: str = "/") -> None:
        """
        Args:
            group_by: a stream's group is its name up to this; "" makes no groups.
        """
        self.version = 0
        """grows with every change"""
        self.streams: dict[str, Stream] = {}
        """the one that changed last stands last"""
        self.cases = Cases()
        self.tallies = Tallies(archive=topics.archive)
        self.gone: deque[tuple[int, str]] = deque(maxlen=1000)
        """streams that were forgotten, with the version"""
        self._limits = limits or Limits()
        self._group_by = group_by
        self._early: dict[str, deque[Alert]] = {}
        """alerts of streams whose verdicts have not come by yet: topics do not wait for each other"""
        self._fold = {
            topics.verdicts: self._judged,
            topics.alerts: self._alerted,
            topics.states: self._remembered,
            topics.deadletters: self._died,
            topics.reviews: self._reviewed,
        }
        if self._limits.pictures_ms:
            self._fold[topics.faces] = self._pictured

    @property
    def topics(self) -> list[str]:
        """What it wants to be fed with."""
        return list(self._fold)

    def fold(self, delivery: Delivery) -> None:
        """One record. What cannot be read is counted, and the rest goes on."""
        try:
            self._fold[delivery.record.topic](delivery)
        except SegmentInvalidError:
            self.tallies.unreadable += 1

    def changed_since(self, version: int) -> list[Stream]:
        """Streams that changed after that version, the oldest change first."""
        changed = []
        for stream in reversed(self.streams.values()):
            if stream.version <= version:
                break
            changed.append(stream)
        return changed[::-1]

    def _judged(self, delivery: Delivery) -> None:
        verdict = wire.verdict_of(delivery.record)
        headers = dict(delivery.record.headers)
        live_at_ms = _number(headers, wire.LIVE_AT)
        stream = self.streams.get(verdict.stream_id)
        if stream is None:
            group = group_of(verdict.stream_id, self._group_by)
            stream = Stream(verdict.stream_id, verdict, deque(maxlen=self._limits.points), group=group)
        if not stream.judged(verdict, delivery.source, delivery.timestamp_ms, live_at_ms):
            return
        self._touch(stream)
        self.tallies.judged(verdict, delivery.timestamp_ms, stream.behind_s, _answerer(headers))
        self.cases.judged(verdict.stream_id, stream.points[-1], delivery.timestamp_ms)
        for alert in self._early.pop(verdict.stream_id, ()):
            stream.alerted(alert)

    def _alerted(self, delivery: Delivery) -> None:
        alert = wire.alert_of(delivery.record)
        stream = self.streams.get(alert.stream_id)
        if alert.edge is Edge.RAISED:
            point = stream.point(alert.verdict_id) if stream else None
            self.cases.alerted(alert.stream_id, alert.verdict_id, point, delivery.timestamp_ms)
        if stream is not None:
            stream.alerted(alert)
            self._touch(stream)
        elif len(self._early) < self._limits.streams:
            self._early.setdefault(alert.stream_id, deque(maxlen=ALERTS_KEPT)).append(alert)

    def _remembered(self, delivery: Delivery) -> None:
        if delivery.record.value is None:
            return
        state = wire.state_of(delivery.record)
        stream = self.streams.get(state.stream_id)
        if stream is not None and stream.remembered(state):
            self._touch(stream)

    def _pictured(self, delivery: Delivery) -> None:
        stream = self.streams.get(delivery.record.key.decode(errors="replace"))
        jpeg = delivery.record.value or b""
        if not (jpeg.startswith(_JPEG) and len(jpeg) <= _LARGEST_PICTURE):
            raise SegmentInvalidError(f"no small JPEG on {delivery.record.topic}")
        if stream is None:
            return  # of before we read; the next one comes soon
        headers = dict(delivery.record.headers)
        known = _text(headers, "label")
        label = Label(known) if known in set(Label) else Label.INSUFFICIENT_EVIDENCE
        key = f"{delivery.partition}-{delivery.offset}"
        stream.pictured(Picture(key, _text(headers, "track-id")[:_NAME], label, delivery.timestamp_ms, jpeg))
        self._touch(stream)

    def expire(self, now_ms: int) -> bool:
        """Forgets what may not be kept any longer; whether anything was forgotten."""
        before_ms = now_ms - self._limits.pictures_ms
        expired = [stream for stream in self.streams.values() if stream.expire(before_ms)]
        for stream in expired:
            self._touch(stream)
        return bool(expired)

    def _died(self, delivery: Delivery) -> None:
        self.tallies.died(letter_of(delivery))
        self.version += 1

    def _reviewed(self, delivery: Delivery) -> None:
        self.cases.reviewed(wire.review_of(delivery.record))
        self.version += 1

    def _touch(self, stream: Stream) -> None:
        self.version += 1
        stream.version = self.version
        self.streams.pop(stream.stream_id, None)
        self.streams[stream.stream_id] = stream
        if len(self.streams) > self._limits.streams:
            oldest = next(iter(self.streams))
            del self.streams[oldest]
            self.gone.append((self.version, oldest))


def group_of(stream_id: str, separator: str) -> str:
    """A stream's name up to the separator; empty without one."""
    group, found, _ = stream_id.partition(separator) if separator else ("", "", "")
    return group if found else ""


def letter_of(delivery: Delivery) -> Letter:
    """A dead letter's record, whatever its headers hold."""
    headers = dict(delivery.record.headers)
    topic = _text(headers, "__streams.errors.topic")
    partition, offset = (_number(headers, f"__streams.errors.{name}") for name in ("partition", "offset"))
    told = topic and partition is not None and offset is not None
    return Letter(
        stream_id=_text(headers, "stream-id") or delivery.record.key.decode(errors="replace"),
        at_ms=delivery.timestamp_ms,
        stage=_text(headers, "scanner-stage"),
        disposition=_text(headers, "scanner-disposition"),
        message=_text(headers, "__streams.errors.message")[:_MESSAGE],
        segment=Source(topic, partition or 0, offset or 0) if told else None,
        place=delivery.source,
    )


def _answerer(headers: Mapping[str, bytes]) -> wire.Answerer | None:
    name = _text(headers, wire.WORKER)[:_NAME]
    return wire.Answerer(name, _number(headers, wire.CELLS_RESTARTED) or 0) if name else None


def _text(headers: Mapping[str, bytes], name: str) -> str:
    return headers.get(name, b"").decode(errors="replace")


def _number(headers: Mapping[str, bytes], name: str) -> int | None:
    text = _text(headers, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else None
