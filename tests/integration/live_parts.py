"""What tests of live sources share: a bus that can be away, a running ingestion, ffmpeg as the encoder."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from prometheus_client import CollectorRegistry

from scanner.bus.memory import MemoryBus
from scanner.core.errors import BrokerUnavailableError
from scanner.core.types import Segment
from scanner.ingest import Ingest, Plan, Roster, SourceSpec
from scanner.ingest.claims import ClaimRule
from scanner.ingest.feed import Rules
from scanner.media.demux import Limits
from scanner.media.store import ObjectStore
from scanner.ports import Publisher, TopicPlan
from scanner.telemetry import IngestMetrics
from scanner.wire import segment_of

TOPIC = "scanner.segments"
RULES = Rules(segment_s=1.0, stall_s=3.0, longest_pause_s=0.5, end_after_s=60.0, limits=Limits())


class MoodyBus(MemoryBus):
    """Refuses everything while it is away."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    def publisher(self) -> Any:
        if self.away:
            raise BrokerUnavailableError("away")
        return MoodyPublisher(self, super().publisher())


class MoodyPublisher:
    def __init__(self, bus: MoodyBus, inner: Publisher) -> None:
        self._bus = bus
        self._inner = inner

    def publish(self, record: Any) -> None:
        if self._bus.away:
            raise BrokerUnavailableError("away")
        self._inner.publish(record)

    def flush(self, timeout_s: float) -> None:
        if self._bus.away:
            raise BrokerUnavailableError("away")
        self._inner.flush(timeout_s)

    def close(self) -> None:
        self._inner.close()


def moody_bus() -> MoodyBus:
    bus = MoodyBus()
    bus.create({TOPIC: TopicPlan(3)})
    return bus


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def ingest_of(
    bus: MoodyBus,
    spool: Path,
    *sources: SourceSpec,
    file: Path | None = None,
    spool_bytes: int = 2**26,
    rules: Rules = RULES,
    registry: CollectorRegistry | None = None,
) -> Ingest:
    plan = Plan(TOPIC, spool, spool_bytes, drain_s=5.0, rules=rules)
    roster = Roster(sources, file, spool / "sources.json")
    claims, metrics = ClaimRule(ObjectStore(), 2**22, None), IngestMetrics(registry or CollectorRegistry())
    return Ingest(bus, plan, roster, claims, metrics)


@contextmanager
def ingesting(bus: MoodyBus, spool: Path, *sources: SourceSpec, **more: Any) -> Iterator[Ingest]:
    ingest, stop = ingest_of(bus, spool, *sources, **more), Event()
    thread = Thread(target=ingest.run, args=(stop, lambda: None), kwargs={"lasting": not sources})
    thread.start()
    try:
        yield ingest
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def encoder(
    *output: str,
    seconds: float = 60,
    size: str = "320x240",
    gop: int = 25,
    inside: Sequence[str] = (),
    again: bool = False,
) -> Iterator[None]:
    """ffmpeg as the source: a test picture with sound, in real time.

    Args:
        inside: a command that runs it elsewhere.
        again: whether it is started again when it ends, as one that listens does when its caller is gone.
    """
    picture = f"-re -f lavfi -i testsrc=s={size}:r=25 -re -f lavfi -i sine -t {seconds} -c:v libx264 -preset ultrafast"
    told = f"ffmpeg -v error -nostdin {picture} -g {gop} -sc_threshold 0 -pix_fmt yuv420p -c:a aac".split()
    stop = Event()

    def encode() -> None:
        while not stop.is_set():
            with subprocess.Popen(
                [*inside, *told, *output], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                while process.poll() is None and not stop.wait(0.05):
                    pass
                process.kill()
            if not again:
                return

    thread = Thread(target=encode)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def on_topic(bus: MemoryBus, stream: str = "cam") -> list[Segment]:
    reader = bus.reader([TOPIC], from_beginning=True)
    found = []
    while not reader.at_end():
        found += [segment_of(delivery) for delivery in reader.poll(0.1, 1000)]
    return [segment for segment in found if segment.stream_id == stream]


def wait_until(met: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def assert_no_number_twice(segments: list[Segment]) -> None:
    numbers = [segment.sequence for segment in segments]
    assert numbers == sorted(set(numbers))
    starts = [segment.start_ms for segment in segments]
    assert starts == sorted(set(starts))
