"""The whole product in one process: a drawn sample and its forged twin through the in-memory bus and a worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scanner.assembly.bus import topic_plans, topics_of
from scanner.assembly.scan import Assembled, worker_of
from scanner.bus.memory import MemoryBus
from scanner.core.types import Verdict
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
    with _working(settings, bus, parts, metrics) as failed:
        while segments:
            for delivery in reader.poll(0.2, limit=100):
                segments -= 1
                yield verdict_of(delivery.record)
            if failed:
                raise failed[0]


@contextmanager
def _working(settings: Settings, bus: MemoryBus, parts: Assembled, metrics: Metrics) -> Iterator[list[Exception]]:
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
