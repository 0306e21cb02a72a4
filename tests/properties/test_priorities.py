"""Live streams go first: what a worker does when segments of archives lie beside them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry
from scripted import ScriptedObserver, ScriptedSighting, pipeline

from scanner import wire
from scanner.bus.memory import MemoryBus
from scanner.core.types import Clip, Mode, Segment
from scanner.ports import TopicPlan
from scanner.telemetry import Metrics
from scanner.verify import verify
from scanner.worker import Rules, Worker

TOPICS = wire.Topics(archive="scanner.archive")


@dataclass
class Gate(ScriptedObserver):
    """Notes which streams are looked at, in order; looks at archives wait until it is opened."""

    opened: threading.Event = field(default_factory=threading.Event)
    seen: list[str] = field(default_factory=list)
    modes: dict[str, Mode] = field(default_factory=dict)

    def observe(self, segment: Segment, mode: Mode) -> ScriptedSighting:
        self.seen.append(segment.stream_id)
        self.modes.setdefault(segment.stream_id, mode)
        if segment.stream_id.startswith("film"):
            assert self.opened.wait(60)
        return super().observe(segment, mode)


@dataclass
class Desk:
    bus: MemoryBus
    gate: Gate
    registry: CollectorRegistry
    stepwise: Gate | None = None

    def publish(self, topic: str, stream: str, count: int, *, first: int = 0, **more: int) -> None:
        for sequence in range(first, first + count):
            payload = f"good {sequence + 7}".encode()
            digest = hashlib.sha256(payload).hexdigest()
            segment = Segment(stream, sequence, sequence * 2000, payload, digest, **more)
            self.bus.publisher().publish(wire.segment_record(segment, topic))

    def verdicts(self) -> list[str]:
        """Streams in the order of their verdicts."""
        reader = self.bus.reader([TOPICS.verdicts], from_beginning=True)
        return [wire.verdict_of(delivery.record).stream_id for delivery in reader.poll(0, 10**6)]

    def until(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.bus.reader([TOPICS.verdicts], from_beginning=True).poll(0, 10**6)) < count:
            assert time.monotonic() < deadline, self.verdicts()
            time.sleep(0.05)


def desk() -> Desk:
    bus = MemoryBus()
    bus.create({name: TopicPlan(1) for name in (*TOPICS.asked, TOPICS.verdicts, TOPICS.alerts, TOPICS.deadletters)})
    bus.create({TOPICS.states_of(asked): TopicPlan(1, compacted=True) for asked in TOPICS.asked})
    return Desk(bus, Gate(), CollectorRegistry())


@contextmanager
def working(place: Desk, lookers: int = 2, **more: float) -> Iterator[None]:
    place.registry = CollectorRegistry()
    rules = Rules(TOPICS, "group", None, lookers=lookers, commit_interval_s=0.0, drain_s=5, **more)
    stop = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        with pipeline() as parts:
            try:
                Worker(
                    place.bus,
                    replace(parts, observer=place.gate, stepwise=place.stepwise),
                    None,
                    Metrics(place.registry),
                    rules,
                ).run(stop)
            except BaseException as error:  # noqa: BLE001 – told below
                failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        place.gate.opened.set()
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert failures == []


def test_live_segments_pass_an_archive_that_came_before_them() -> None:
    place = desk()
    place.publish(TOPICS.archive, "film", 100)
    for number in range(20):
        place.publish(TOPICS.segments, f"cam-{number}", 1)
    place.gate.opened.set()
    with working(place):
        place.until(120)
    last = max(place.gate.seen.index(f"cam-{number}") for number in range(20))
    # All were there when it began: before the last live one, archives had the looks begun before it was known of.
    assert place.gate.seen[:last].count("film") < 30


def test_a_backlog_of_archives_holds_neither_lookers_nor_room_that_live_streams_need() -> None:
    place = desk()
    place.publish(TOPICS.archive, "film", 150)
    with working(place, lookers=3):
        deadline = time.monotonic() + 60
        while place.gate.seen.count("film") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        taken = place.registry.get_sample_value("scanner_pending_bytes")
        place.publish(TOPICS.segments, "cam", 5)
        time.sleep(0.3)
        assert place.gate.seen.count("film") == 3, "no more archives are begun than there are lookers"
        # No backlog is read ahead: a quarter of what may wait, and little more.
        payload = len(b"good 100")
        assert taken is not None
        assert taken <= 3 * (4 + 4) * payload
        place.gate.opened.set()
        place.until(155)
    assert place.gate.seen[3:8] == ["cam"] * 5 or place.gate.seen.index("cam") < 8
    assert verify(place.bus, TOPICS, "group").holds


def test_while_live_streams_come_a_cell_is_left_free_for_them() -> None:
    place = desk()
    place.publish(TOPICS.segments, "cam", 1)
    with working(place, lookers=5):
        place.until(1)
        place.publish(TOPICS.archive, "film", 50)
        time.sleep(0.3)
        assert place.gate.seen.count("film") == 3, "four cells, and one of them is free"
        place.publish(TOPICS.segments, "cam", 1, first=1)
        place.until(2)
        place.gate.opened.set()
        place.until(52)


@dataclass
class Reel(ScriptedSighting):
    """A look that yields clips without an end, until it is told."""

    cut: threading.Event
    count: list[int]

    def clips(self) -> Iterator[Clip]:
        while not self.cut.is_set():
            self.count.append(1)
            yield from super().clips()
            time.sleep(0.001)


@dataclass
class Cinema(Gate):
    """Looks at archives are reels; live ones wait for the gate."""

    cut: threading.Event = field(default_factory=threading.Event)
    clips: list[int] = field(default_factory=list)

    def observe(self, segment: Segment, mode: Mode) -> ScriptedSighting:
        self.seen.append(segment.stream_id)
        if segment.stream_id.startswith("film"):
            return Reel(segment.payload, mode, self.cut, self.clips)
        assert self.opened.wait(60)
        return ScriptedSighting(segment.payload, mode)


def test_an_archive_that_is_looked_at_stands_still_while_a_live_segment_is() -> None:
    place = desk()
    place.gate = cinema = Cinema()
    place.publish(TOPICS.archive, "film", 1)
    with working(place, lookers=3):
        while len(cinema.clips) < 5:
            time.sleep(0.005)
        place.publish(TOPICS.segments, "cam", 1)
        while "cam" not in cinema.seen:
            time.sleep(0.005)
        time.sleep(0.05)
        before = len(cinema.clips)
        time.sleep(0.3)
        assert len(cinema.clips) == before
        cinema.opened.set()
        place.until(1)
        while len(cinema.clips) < before + 5:
            time.sleep(0.005)
        cinema.cut.set()
        place.until(2)


def test_what_observes_archives_stands_still_with_them_and_what_observes_live_streams_does_not() -> None:
    place = desk()
    place.stepwise = Gate(opened=place.gate.opened)
    place.gate.opened.set()
    place.publish(TOPICS.archive, "film", 2)
    place.publish(TOPICS.segments, "cam", 2)
    with working(place):
        place.until(4)
    assert (place.gate.seen, place.stepwise.seen) == (["cam"] * 2, ["film"] * 2)


def test_archives_are_covered_in_full_and_never_shed_and_live_streams_are_not() -> None:
    place = desk()
    place.publish(TOPICS.archive, "film", 2, captured_at_ms=1)
    place.publish(TOPICS.segments, "cam", 2)
    place.publish(TOPICS.segments, "late", 2, captured_at_ms=1)
    place.gate.opened.set()
    with working(place, shed_after_s=30):
        place.until(6)
    assert place.gate.modes == {"film": Mode.FULL, "cam": Mode.PATROL}


def test_a_stream_of_one_name_is_remembered_once_live_and_once_as_an_archive() -> None:
    place = desk()
    place.publish(TOPICS.segments, "cam", 3)
    place.publish(TOPICS.archive, "cam", 5)
    with working(place):
        place.until(8)
    place.publish(TOPICS.segments, "cam", 1, first=3)
    place.publish(TOPICS.archive, "cam", 1, first=5)
    with working(place):
        place.until(10)
    reader = place.bus.reader([TOPICS.verdicts], from_beginning=True)
    said = [wire.verdict_of(delivery.record) for delivery in reader.poll(0, 100)]
    assert all(not verdict.reasons for verdict in said), "neither a gap nor a repeat"
    assert verify(place.bus, TOPICS, "group").holds


def test_an_archive_that_gives_way_is_not_taken_for_one_that_stands_still() -> None:
    place = desk()
    place.publish(TOPICS.archive, "film", 50)
    payload = b"slow 9 0.25"
    for number in range(10):
        slow = Segment(f"slow-{number}", 0, 0, payload, hashlib.sha256(payload).hexdigest())
        place.bus.publisher().publish(wire.segment_record(slow, TOPICS.segments))
    place.gate.opened.set()
    with working(place, lookers=2, stuck_after_s=0.4):
        place.until(60)
    stuck = place.registry.get_sample_value("scanner_partitions_stuck_total", {"remedy": "report"})
    assert not stuck


def test_archives_do_not_speak_in_the_figures_of_live_streams() -> None:
    place = desk()
    place.publish(TOPICS.archive, "film", 3)
    place.gate.opened.set()
    with working(place):
        place.until(3)
        assert place.registry.get_sample_value("scanner_verdict_delay_seconds_count") == 0
        assert not place.registry.get_sample_value("scanner_seconds_behind_live", {"partition": "0"})
        assert place.registry.get_sample_value("scanner_archive_segments_total") == 3


@pytest.mark.parametrize("topic", ["segments", "archive"])
def test_a_verdict_says_by_which_topic_its_segment_came(topic: str) -> None:
    place = desk()
    place.publish(getattr(TOPICS, topic), "film", 1)
    place.gate.opened.set()
    with working(place):
        place.until(1)
    (delivery,) = place.bus.reader([TOPICS.verdicts], from_beginning=True).poll(0, 10)
    source = wire.verdict_of(delivery.record).source
    assert source is not None
    assert source.topic == getattr(TOPICS, topic)
    assert (wire.LIVE_AT in dict(delivery.record.headers)) == (topic == "segments")
