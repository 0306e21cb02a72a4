"""Files to the segments topic: cut, paced, as claim checks where they are large."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from scanner.assembly import kafka_bus, limits_of, media_store
from scanner.core.errors import MediaError, SettingsError
from scanner.core.types import Segment
from scanner.media.cutter import Cut, cut
from scanner.media.inputs import STDIN, Input, inputs
from scanner.media.store import ObjectStore
from scanner.ports import Publisher
from scanner.settings import Settings
from scanner.wire import segment_record

FLUSH_S = 60.0


@dataclass(slots=True)
class Published:
    """What became of all files."""

    streams: int = 0
    segments: int = 0
    bytes: int = 0
    failures: list[str] = field(default_factory=list)


def publish_all(
    paths: list[str],
    settings: Settings,
    *,
    pace: float | None,
    loop: bool,
    at_once: int,
    stream_id: str | None,
) -> Published:
    """Publishes every file as one stream. Files that cannot be cut are told and passed over.

    Args:
        pace: multiples of real time; None is without pause, one file after the other.
        loop: begin each file again at its end; sequence and media time go on. Ends only by an exception.
        at_once: files side by side when paced.
    """
    outcome = Published()
    items = _items(paths, stream_id, outcome)
    publisher = kafka_bus(settings).publisher()
    stop = threading.Event()
    job = _Job(settings, publisher, media_store(settings), outcome, pace, loop, stop)
    try:
        with ThreadPoolExecutor(at_once if pace or loop else 1, thread_name_prefix="publish") as threads:
            try:
                for future in [threads.submit(job.publish, item) for item in items]:
                    future.result()
            except BaseException:
                stop.set()
                raise
        publisher.flush(FLUSH_S)
    finally:
        publisher.close()
    return outcome


def _items(paths: list[str], stream_id: str | None, outcome: Published) -> list[Input]:
    items: list[Input] = []
    for path in paths:
        try:
            items.extend(inputs([path]))
        except MediaError as error:
            outcome.failures.append(str(error))
    if stream_id is not None:
        if len(items) != 1:
            raise SettingsError(f"--stream-id names one stream, {len(items)} files were given")
        items = [replace(items[0], stream_id=stream_id)]
    names = [item.stream_id for item in items]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"two files would be the stream {twice[0]!r}; publish their folder, or give --stream-id")
    return items


@dataclass(frozen=True, slots=True)
class _Job:
    settings: Settings
    publisher: Publisher
    store: ObjectStore
    outcome: Published
    pace: float | None
    loop: bool
    stop: threading.Event
    lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, item: Input) -> None:
        """One file, as often as `loop` asks; sequence and media time go on."""
        began = time.monotonic()
        sequence = shift_ms = 0
        try:
            while True:
                with self._cut(item) as pieces:
                    for segment in pieces:
                        self._pass_on(segment, sequence, shift_ms, began)
                        sequence += 1
                        if self.stop.is_set():
                            return
                        end_ms = segment.start_ms + round(self.settings.scan.segment_s * 1000)
                    shift_ms += round(pieces.duration_s * 1000) if pieces.duration_s else end_ms
                if not self.loop:
                    break
        except MediaError as error:
            with self.lock:
                self.outcome.failures.append(str(error))
        with self.lock:
            self.outcome.streams += bool(sequence)

    def _cut(self, item: Input) -> Cut:
        source = "-" if item.path == STDIN else item.path
        target_s = self.settings.scan.segment_s
        return cut(source, stream_id=item.stream_id, target_s=target_s, limits=limits_of(self.settings))

    def _pass_on(self, segment: Segment, sequence: int, shift_ms: int, began: float) -> None:
        moved = replace(
            segment,
            sequence=sequence,
            start_ms=segment.start_ms + shift_ms,
            end_of_stream=segment.end_of_stream and not self.loop,
            captured_at_ms=time.time_ns() // 1_000_000,
        )
        self._wait(began, moved.start_ms)
        if not self.stop.is_set():
            self._send(moved)

    def _wait(self, began: float, start_ms: int) -> None:
        """Until the segment's first frame is due."""
        if self.pace is not None:
            self.stop.wait(max(0.0, began + start_ms / 1000 / self.pace - time.monotonic()))

    def _send(self, segment: Segment) -> None:
        claims = self.settings.claims
        size = len(segment.payload)
        if size > claims.inline_limit_bytes:
            if claims.write_to is None:
                raise SettingsError(
                    f"segment {segment.sequence} of {segment.stream_id} has {size} bytes, more than"
                    f" claims.inline_limit_bytes = {claims.inline_limit_bytes}; set claims.write_to (--claims)"
                )
            name = f"{segment.sha256}.{segment.content_type.rpartition('/')[2]}"
            claim = self.store.put(claims.write_to, name, segment.payload)
            segment = replace(segment, payload=b"", claim=claim)
        now_ms = time.time_ns() // 1_000_000
        self.publisher.publish(segment_record(segment, self.settings.topics.segments, at_ms=now_ms))
        with self.lock:
            self.outcome.segments += 1
            self.outcome.bytes += size
