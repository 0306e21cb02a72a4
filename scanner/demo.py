"""The whole product in one process: a drawn sample and its forged twin through the in-memory bus and a worker.

Once, to its verdicts; or over and over at the speed of life, for somebody who watches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from scanner.assembly.bus import topic_plans, topics_of
from scanner.assembly.scan import Assembled, worker_of
from scanner.bus.memory import MemoryBus
from scanner.core.types import Segment, Verdict
from scanner.media.cutter import cut
from scanner.sample import draw_sample
from scanner.settings import Settings
from scanner.telemetry import Metrics
from scanner.wire import segment_record, verdict_of

STREAMS = {"portrait.mp4": False, "portrait-forged.mp4": True}


def drawn(folder: Path) -> dict[str, Path]:
    """Draws both clips; stream to file."""
    paths = {name: folder / name for name in STREAMS}
    for name, forged in STREAMS.items():
        draw_sample(paths[name], forged=forged)
    return paths


def verdicts_of(clips: dict[str, Path], parts: Assembled, settings: Settings, metrics: Metrics) -> Iterator[Verdict]:
    """Publishes the clips, runs a worker beside, reads the verdicts back from their topic."""
    bus = MemoryBus()
    bus.create(topic_plans(settings))
    topics = topics_of(settings)
    publisher = bus.publisher()
    segments = 0
    for stream_id, path in clips.items():
        with cut(path, stream_id=stream_id, target_s=settings.scan.segment_s) as pieces:
            for segment in pieces:
                publisher.publish(segment_record(segment, topics.segments))
                segments += 1
    reader = bus.reader([topics.verdicts], from_beginning=True)
    with working(settings, bus, parts, metrics) as failed:
        while segments:
            for delivery in reader.poll(0.2, limit=100):
                segments -= 1
                yield verdict_of(delivery.record)
            if failed:
                raise failed[0]


def play(clips: dict[str, Path], bus: MemoryBus, settings: Settings, stop: threading.Event) -> None:
    """Publishes the clips as streams without an end, each segment when its last frame would have been shown."""
    publisher = bus.publisher()
    topic = topics_of(settings).segments
    due = [_shown(path, name, settings) for name, path in clips.items()]
    began_ms = time.time_ns() // 1_000_000
    while not stop.is_set():
        stream = min(due, key=lambda stream: stream.ends_ms)
        stop.wait((began_ms + stream.ends_ms) / 1000 - time.time())
        segment = stream.next(began_ms)
        publisher.publish(segment_record(segment, topic))


class _Endless:
    """A clip that begins anew when it is over."""

    def __init__(self, segments: list[Segment], duration_ms: int) -> None:
        self._segments = segments
        self._duration_ms = duration_ms
        self._sequence = 0

    @property
    def ends_ms(self) -> int:
        """Media time at which the next segment ends."""
        rounds, place = divmod(self._sequence, len(self._segments))
        ends = [segment.start_ms for segment in self._segments[1:]] + [self._duration_ms]
        return rounds * self._duration_ms + ends[place]

    def next(self, began_ms: int) -> Segment:
        rounds, place = divmod(self._sequence, len(self._segments))
        start_ms = rounds * self._duration_ms + self._segments[place].start_ms
        segment = replace(
            self._segments[place],
            sequence=self._sequence,
            start_ms=start_ms,
            captured_at_ms=began_ms + start_ms,
            end_of_stream=False,
        )
        self._sequence += 1
        return segment


def _shown(path: Path, name: str, settings: Settings) -> _Endless:
    with cut(path, stream_id=name, target_s=settings.scan.segment_s) as pieces:
        segments = list(pieces)
        return _Endless(segments, round((pieces.duration_s or 0) * 1000) or segments[-1].start_ms + 2000)


@contextmanager
def working(settings: Settings, bus: MemoryBus, parts: Assembled, metrics: Metrics) -> Iterator[list[Exception]]:
    stop = threading.Event()
    failed: list[Exception] = []

    def run() -> None:
        try:
            worker_of(settings, bus, parts, metrics).run(stop)
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join()
