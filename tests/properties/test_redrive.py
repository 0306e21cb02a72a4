"""Dead letters put on their topic again: each at most once, and never what has a verdict meanwhile."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry
from scripted import ScriptedObserver, ScriptedSighting, pipeline, record

from scanner import wire
from scanner.bus.memory import MemoryBus
from scanner.core.types import Segment
from scanner.letters import redriven_from
from scanner.ports import Record, TopicPlan
from scanner.redrive import Fate, Wanted, letters, redrive
from scanner.telemetry import Metrics
from scanner.verify import verify
from scanner.worker import Rules, Worker

TOPICS = wire.Topics()
KINDS = ["good", "poison", "good", "lost", "poison", "good"]


class HealedObserver(ScriptedObserver):
    """Reads what was poison before: a new version was rolled out."""

    def observe(self, segment, mode):
        return ScriptedSighting(segment.payload.replace(b"poison", b"good"), mode)


@pytest.fixture
def bus() -> MemoryBus:
    bus = MemoryBus()
    bus.create({name: TopicPlan(2) for name in (TOPICS.segments, TOPICS.verdicts, TOPICS.alerts, TOPICS.deadletters)})
    bus.create({TOPICS.states: TopicPlan(2, compacted=True)})
    for number, kind in enumerate(KINDS):
        bus.publisher().publish(record(kind, number, 2, TOPICS.segments))
    work(bus)
    return bus


def work(bus: MemoryBus, observer=None, largest_record_bytes: int = 10**6, registry=None, **more: float) -> None:
    """Until nothing is left to answer."""
    stop = threading.Event()
    least = {"lookers": 2, "commit_interval_s": 0.0, "largest_record_bytes": largest_record_bytes}
    rules = Rules(TOPICS, "group", None, **least, **more)
    with pipeline() as parts:
        chosen = replace(parts, observer=observer or parts.observer)
        worker = Worker(bus, chosen, None, Metrics(registry or CollectorRegistry()), rules)
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        deadline = time.monotonic() + 60
        while any(bus.lag(TOPICS.segments, "group").values()):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        stop.set()
        thread.join(60)


def driven(bus: MemoryBus, wanted: Wanted = Wanted(), *, dry: bool = False) -> list[Fate]:  # noqa: B008 - frozen
    fates: list[Fate] = []
    redrive(bus, TOPICS, letters(bus, TOPICS, wanted), dry=dry, told=lambda _, fate: fates.append(fate))
    return fates


def test_a_letter_that_is_named_twice_is_redriven_once(bus: MemoryBus) -> None:
    twice = [*letters(bus, TOPICS, Wanted(stage="decode"))] * 2
    fates: list[Fate] = []
    redrive(bus, TOPICS, twice, dry=False, told=lambda _, fate: fates.append(fate))
    assert fates == [Fate.REDRIVEN] * 3 + [Fate.BEFORE] * 3


def test_letters_tell_where_why_and_what(bus: MemoryBus) -> None:
    found = list(letters(bus, TOPICS, Wanted()))
    assert sorted((each.header("stream-id"), each.header("sequence"), each.rejected.disposition) for each in found) == [
        ("cam-0", "2", "poison"),
        ("cam-1", "0", "poison"),
        ("cam-1", "1", "timeout"),
    ]
    for each in found:
        original = bus.fetch(each.rejected.source)
        assert original is not None
        assert original.record.value == each.record.value


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(), 3),
        (Wanted(stream_id="cam-1"), 2),
        (Wanted(disposition="timeout"), 1),
        (Wanted(stage="decode"), 3),
        (Wanted(stage="wire"), 0),
        (Wanted(error="not video"), 2),
        (Wanted(coordinates=frozenset({(99, 0)})), 0),
    ],
)
def test_only_what_is_wanted_is_found(bus: MemoryBus, wanted: Wanted, count: int) -> None:
    assert len(list(letters(bus, TOPICS, wanted))) == count


def test_what_is_redriven_gets_its_verdict_and_is_redriven_once(bus: MemoryBus) -> None:
    assert driven(bus, Wanted(error="not video"), dry=True) == [Fate.REDRIVEN] * 2
    assert driven(bus, Wanted(error="not video")) == [Fate.REDRIVEN] * 2
    assert driven(bus, Wanted(error="not video")) == [Fate.BEFORE] * 2
    work(bus, HealedObserver())
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.segments, proof.verdicts, proof.dead_letters) == (True, 8, 5, 3), proof.findings
    assert driven(bus, Wanted(error="not video")) == [Fate.BEFORE] * 2


def test_what_has_a_verdict_meanwhile_is_left_alone(bus: MemoryBus) -> None:
    bus.publisher().publish(record("poison", 1, 2, TOPICS.segments))  # its publisher sent it again
    work(bus, HealedObserver())
    assert sorted(driven(bus, Wanted(error="not video"))) == [Fate.ANSWERED, Fate.REDRIVEN]


def test_another_payload_in_the_same_place_is_another_segment(bus: MemoryBus) -> None:
    bus.publisher().publish(record("good 1 other", 1, 2, TOPICS.segments))
    work(bus)
    assert driven(bus, Wanted(error="not video")) == [Fate.REDRIVEN] * 2


def test_what_fails_again_is_a_dead_letter_of_its_own(bus: MemoryBus) -> None:
    driven(bus, Wanted(disposition="timeout"))
    work(bus)
    assert sorted(driven(bus, Wanted(disposition="timeout"))) == [Fate.REDRIVEN, Fate.BEFORE]


def test_a_letter_without_its_bytes_takes_them_from_where_they_lay(bus: MemoryBus) -> None:
    payload = b"poison 7" + bytes(5000)
    big = Segment("big", 0, 0, payload, hashlib.sha256(payload).hexdigest())
    bus.publisher().publish(wire.segment_record(big, TOPICS.segments))
    work(bus, largest_record_bytes=2000)
    (letter,) = letters(bus, TOPICS, Wanted(error="not video", coordinates=newest(bus)))
    assert letter.rejected.omitted_bytes
    assert driven(bus, Wanted(coordinates=newest(bus))) == [Fate.REDRIVEN]
    again = bus.reader([TOPICS.segments], from_beginning=True).poll(0, 100)
    assert [each.record.value for each in again].count(payload) == 2


def live(sequence: int, payload: bytes, captured_at_ms: int) -> Record:
    digest = hashlib.sha256(payload).hexdigest()
    segment = Segment("live", sequence, sequence * 2000, payload, digest, captured_at_ms=captured_at_ms)
    return wire.segment_record(segment, TOPICS.segments)


def test_a_live_segment_that_is_redriven_hours_later_is_looked_at_and_sheds_nobody_else(bus: MemoryBus) -> None:
    now_ms = time.time_ns() // 1_000_000
    captured_ms = now_ms - 5 * 3600 * 1000
    bus.publisher().publish(live(0, b"poison 7", captured_ms))
    work(bus)
    assert driven(bus, Wanted(stream_id="live")) == [Fate.REDRIVEN]
    bus.publisher().publish(live(1, b"good 8", now_ms))
    registry = CollectorRegistry()
    work(bus, HealedObserver(), registry=registry, patrol_after_s=20, shed_after_s=60)
    found = bus.reader([TOPICS.verdicts], from_beginning=True).poll(0, 100)
    said = {v.sequence: (v, d) for d in found if (v := wire.verdict_of(d.record)).stream_id == "live"}
    assert [said[sequence][0].reasons for sequence in (0, 1)] == [(), ()]
    assert [said[sequence][0].coverage.frames_decoded for sequence in (0, 1)] == [60, 60]
    # Seconds behind live are those since it came again; when it was captured stays told.
    assert int(dict(said[0][1].record.headers)[wire.LIVE_AT]) >= now_ms
    behind = [registry.get_sample_value("scanner_seconds_behind_live", {"partition": str(each)}) for each in range(2)]
    assert max(each or 0.0 for each in behind) < 60
    again = [d for d in bus.reader([TOPICS.segments], from_beginning=True).poll(0, 100) if redriven_from(d.record)]
    assert [wire.segment_of(each).captured_at_ms for each in again] == [captured_ms]


def newest(bus: MemoryBus) -> frozenset[tuple[int, int]]:
    last = max(letters(bus, TOPICS, Wanted()), key=lambda letter: letter.at_ms)
    return frozenset({(last.at.partition, last.at.offset)})


def test_noise_among_dead_letters_is_left_out(bus: MemoryBus) -> None:
    bus.publisher().publish(Record(TOPICS.deadletters, b"k", b"noise"))
    assert len(list(letters(bus, TOPICS, Wanted()))) == 3
