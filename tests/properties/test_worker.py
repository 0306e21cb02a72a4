"""The worker under a script of good, poisoned and lost segments, and crashes at any call that crosses an edge."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from scripted import SPEC, ScriptedObserver, pipeline

from scanner import letters, wire
from scanner.bus.memory import MemoryBus
from scanner.core.errors import BrokerUnavailableError, ClaimUnavailableError, InferenceError, WorkerStuckError
from scanner.core.types import Claim, Mode, Reason, Segment, StreamState
from scanner.core.verdict import Calibration, Judge, Policy
from scanner.inference.batcher import Batcher
from scanner.ledger import Debt
from scanner.pipeline import Pipeline
from scanner.ports import Delivery, TopicPlan
from scanner.telemetry import Metrics
from scanner.testing import FakeModel
from scanner.verify import verify
from scanner.worker import Rules, Worker
from scanner.worker.looking import GoneError, Looker
from scanner.worker.streams import Job

TOPICS = wire.Topics(archive="scanner.archive")


class CrashError(Exception):
    """The process would be gone."""


@dataclass
class Fuse:
    """Blows at the n-th call that crosses an edge, once."""

    blows_at: int | None = None
    calls: int = field(default=0)

    def step(self):
        self.calls += 1
        if self.calls == self.blows_at:
            raise CrashError(f"call {self.calls}")


class FusedBus:
    """A MemoryBus whose members crash by script, before or after what they were asked to do."""

    def __init__(self, bus, fuse):
        self._bus, self._fuse = bus, fuse

    def subscribe(self, topics, group, listener=None):
        return FusedMember(self._bus.subscribe(topics, group, listener), self._fuse)

    def __getattr__(self, name):
        return getattr(self._bus, name)


class FusedMember:
    def __init__(self, member, fuse):
        self._member, self._fuse = member, fuse

    def poll(self, timeout_s, limit):
        self._fuse.step()
        return self._member.poll(min(timeout_s, 0.002), limit)

    def commit(self, outputs, offsets):
        self._fuse.step()
        self._member.commit(outputs, offsets)
        self._fuse.step()

    def __getattr__(self, name):
        return getattr(self._member, name)


def published(kinds, streams, partitions=2, archived=()):
    """Segments of so many streams in turn; those of the streams `archived` on the archives' topic."""
    bus = MemoryBus()
    bus.create({name: TopicPlan(partitions) for name in (*TOPICS.asked, TOPICS.verdicts, TOPICS.alerts)})
    bus.create({TOPICS.states_of(asked): TopicPlan(partitions, compacted=True) for asked in TOPICS.asked})
    bus.create({TOPICS.deadletters: TopicPlan(1)})
    publisher = bus.publisher()
    for number, kind in enumerate(kinds):
        payload = f"{kind} {number}".encode()
        segment = Segment(
            f"cam-{number % streams}",
            number // streams,
            number // streams * 2000,
            payload,
            hashlib.sha256(payload).hexdigest(),
        )
        topic = TOPICS.archive if number % streams in archived else TOPICS.segments
        publisher.publish(wire.segment_record(segment, topic))
    return bus


def lag(bus):
    return {place: count for asked in TOPICS.asked for place, count in bus.lag(asked, "group").items() if count}


def worked(bus, *, blows_at=None, mode=None, **more):
    """Runs one worker until nothing is left, or it crashes. Whether it crashed."""
    stop = threading.Event()
    rules = Rules(TOPICS, "group", mode, lookers=2, commit_interval_s=0.0, drain_s=5, **more)
    fused = FusedBus(bus, Fuse(blows_at))
    crashed = []

    def run():
        with pipeline() as parts:
            try:
                Worker(fused, parts, None, Metrics(CollectorRegistry()), rules).run(stop)
            except CrashError:
                crashed.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 20
    while thread.is_alive() and lag(bus):
        assert time.monotonic() < deadline, lag(bus)
        time.sleep(0.002)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    return bool(crashed)


def read(bus, topic):
    reader = bus.reader([topic], from_beginning=True)
    found = []
    while not reader.at_end():
        found.extend(reader.poll(0, limit=1000))
    return found


def answers(bus):
    """Offset to answers, and verdicts without what may differ between two runs."""
    verdicts = [wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts)]
    dead = [dict(delivery.record.headers) for delivery in read(bus, TOPICS.deadletters)]
    places = [(v.source.topic, v.source.partition, v.source.offset) for v in verdicts]
    told = ("__streams.errors.topic", "__streams.errors.partition", "__streams.errors.offset")
    for headers in dead:
        topic, partition, offset = (headers[name].decode() for name in told)
        places.append((topic, int(partition), int(offset)))
    facts = {v.verdict_id: (v.label, v.score, [t.track_id for t in v.tracks], v.tracks[0].evidence) for v in verdicts}
    return Counter(places), facts


kinds = st.lists(st.sampled_from(["good", "good", "good", "poison", "lost"]), min_size=1, max_size=12)
archived = st.sets(st.integers(0, 2))
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(kinds=kinds, streams=st.integers(1, 3), archived=archived)
def test_every_segment_is_answered_exactly_once(kinds, streams, archived) -> None:
    bus = published(kinds, streams, archived=archived)
    worked(bus)
    places, facts = answers(bus)
    assert sum(places.values()) == len(kinds) == len(places)
    assert len(facts) == kinds.count("good")


@quick
@given(kinds=kinds, streams=st.integers(1, 3), archived=archived, crash=st.integers(1, 12))
def test_a_crash_at_any_edge_loses_nothing_and_changes_no_verdict(kinds, streams, archived, crash) -> None:
    undisturbed = published(kinds, streams, archived=archived)
    worked(undisturbed)
    bus = published(kinds, streams, archived=archived)
    worked(bus, blows_at=crash)
    worked(bus)
    places, facts = answers(bus)
    assert places == answers(undisturbed)[0]
    assert set(places.values()) == {1}
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.pending) == (True, 0), proof.findings
    assert facts == answers(undisturbed)[1]


def test_an_answer_that_no_topic_takes_becomes_a_dead_letter_and_is_not_remembered() -> None:
    bus = published(["good"] * 3, 1)
    worked(bus, largest_record_bytes=600)
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.verdicts, proof.dead_letters, proof.pending) == (True, 0, 3, 0)
    (told, *_) = [letters.rejected_of(delivery.record) for delivery in read(bus, TOPICS.deadletters)]
    assert "a record of its answer has" in told.message
    assert read(bus, TOPICS.states) == []


def test_a_bare_end_of_stream_gets_a_verdict() -> None:
    bus = published(["good"], 1)
    end = Segment("cam-0", 1, 2000, b"", hashlib.sha256(b"").hexdigest(), end_of_stream=True)
    bus.publisher().publish(wire.segment_record(end, TOPICS.segments))
    worked(bus)
    verdicts = [wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts)]
    assert [verdict.sequence for verdict in verdicts] == [0, 1]
    assert verdicts[1].label.value == "insufficient_evidence"
    assert [reason.value for reason in verdicts[1].reasons] == ["no_video", "end_of_stream"]
    assert not read(bus, TOPICS.deadletters)


def test_a_fixed_mode_and_a_decided_one_answer_alike() -> None:
    kinds = ["good"] * 12
    facts = []
    for mode in (Mode.FULL, Mode.FULL, None):
        bus = published(kinds, 2)
        worked(bus, mode=mode)
        facts.append(answers(bus)[1])
    assert facts[0] == facts[1]
    assert facts[0].keys().isdisjoint(facts[2])  # coverage is a part of a verdict's identity
    assert sorted(facts[0].values()) == sorted(facts[2].values())


def test_two_workers_share_the_work_and_say_the_same() -> None:
    alone = published(["good"] * 20, 4, partitions=4)
    worked(alone)
    shared = published(["good"] * 20, 4, partitions=4)
    threads = [threading.Thread(target=worked, args=(shared,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places, facts = answers(shared)
    assert len(places) == 20
    assert facts == answers(alone)[1]


class SilentMember:
    """Nobody hears its commits."""

    def __init__(self, member, heard):
        self._member, self.commits, self._heard = member, 0, heard

    def commit(self, outputs, offsets):
        self.commits += 1
        self._heard.set()
        raise BrokerUnavailableError("away")

    def __getattr__(self, name):
        return getattr(self._member, name)


def test_who_is_told_to_stop_does_not_ask_again_for_a_broker_that_is_away() -> None:
    bus, stop, heard, members = published(["good"] * 4, 1), threading.Event(), threading.Event(), []

    class Silent:
        def subscribe(self, *asked):
            members.append(SilentMember(bus.subscribe(*asked), heard))
            return members[-1]

        def __getattr__(self, name):
            return getattr(bus, name)

    rules = Rules(TOPICS, "group", None, lookers=2, commit_interval_s=1.0, drain_s=60)
    with pipeline() as parts:
        worker = Worker(Silent(), parts, None, Metrics(CollectorRegistry()), rules)
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        assert heard.wait(20)
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert members[0].commits == 1
    assert lag(bus)


class AwayStore:
    def __init__(self, fails):
        self.fails = fails

    def get(self, uri, size, sha256):
        self.fails -= 1
        if self.fails >= 0:
            raise ClaimUnavailableError("away")
        return b"good 7"


def claimed(**more):
    segment = Segment("cam", 0, 0, b"", "0", claim=Claim("s3://x/y", 6, "0"))
    delivery = Delivery(wire.segment_record(segment, "segments"), 0, 0, 0)
    return Job(Debt(delivery, 0.0), segment)


def test_a_store_that_is_away_is_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("scanner.worker.looking.BACKOFF_S", (0.01, 0.01))
    with pipeline() as parts:
        look = Looker(parts, AwayStore(20)).look(claimed(), Mode.FULL)
    assert look.segment.payload == b"good 7"


def test_a_wait_ends_when_nobody_waits_any_more(monkeypatch) -> None:
    monkeypatch.setattr("scanner.worker.looking.BACKOFF_S", (60.0,))
    job = claimed()
    threading.Timer(0.1, job.gone.set).start()
    with pipeline() as parts, pytest.raises(GoneError):
        Looker(parts, AwayStore(10**9)).look(job, Mode.FULL)


def failing(when, until=10**9):
    """A pipeline whose model fails on clips of these values, for so many calls."""
    calls = count()

    def script(clips):
        if when(clips.mean()) and next(calls) < until:
            raise RuntimeError("out of memory")
        return clips.mean(axis=(1, 2, 3, 4)) - 4

    fake = FakeModel(SPEC, script=script)
    batcher = Batcher(fake)
    return batcher, Pipeline(ScriptedObserver(), batcher, Judge(Policy(), Calibration(null_bound=0.3), fake.ref))


def test_a_model_that_fails_on_everything_is_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("scanner.worker.looking.BACKOFF_S", (0.01,))
    batcher, parts = failing(lambda _: True, until=9)
    with batcher:
        look = Looker(parts, AwayStore(0)).look(claimed(), Mode.FULL)
    assert len(look.scored) == 1


def test_a_clip_that_the_model_fails_on_alone_is_its_segments_fault() -> None:
    batcher, parts = failing(lambda mean: mean == 7)
    with batcher, pytest.raises(InferenceError):
        Looker(parts, AwayStore(0)).look(claimed(), Mode.FULL)


class DeafBus(FusedBus):
    """Members that deliver nothing until they are rewound so often, or a new one subscribes so often."""

    def __init__(self, bus, *, rewinds=10**9, members=10**9):
        super().__init__(bus, Fuse())
        self.rewinds, self.members = rewinds, members

    def subscribe(self, topics, group, listener=None):
        self.members -= 1
        return DeafMember(self._bus.subscribe(topics, group, listener), self)


class DeafMember:
    def __init__(self, member, bus):
        self._member, self._bus = member, bus

    def poll(self, timeout_s, limit):
        got = self._member.poll(min(timeout_s, 0.002), limit)
        return got if self._bus.rewinds <= 0 or self._bus.members <= 0 else []

    def rewind(self, places):
        self._bus.rewinds -= 1
        self._member.rewind(places)

    def behind(self, places):
        return {place: int(place[0] == TOPICS.segments) for place in places}

    def __getattr__(self, name):
        return getattr(self._member, name)


def roused(bus):
    rules = Rules(TOPICS, "group", None, lookers=2, commit_interval_s=0.0, drain_s=5, stuck_after_s=0.3)
    stop = threading.Event()
    failures = []

    def run():
        with pipeline() as parts:
            try:
                Worker(bus, parts, None, Metrics(CollectorRegistry()), rules).run(stop)
            except WorkerStuckError as error:
                failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 10
    while thread.is_alive() and any(bus.lag(TOPICS.segments, "group").values()) and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    return failures


@pytest.mark.parametrize("heals", [{"rewinds": 1}, {"members": 2}])
def test_a_partition_that_stands_still_is_sought_again_then_joined_again(heals) -> None:
    bus = published(["good"] * 4, 2, partitions=1)
    assert roused(DeafBus(bus, **heals)) == []
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.verdicts) == (True, 4)


def test_a_partition_that_stands_still_for_ever_ends_the_process() -> None:
    bus = published(["good"] * 4, 2, partitions=1)
    (failure,) = roused(DeafBus(bus))
    assert "stands still" in str(failure)


def test_live_segments_that_come_too_late_are_answered_without_a_look_and_archives_are_looked_at() -> None:
    bus = published(["good"], 1)
    late = Segment("live", 0, 0, b"good 1", hashlib.sha256(b"good 1").hexdigest(), captured_at_ms=1)
    bus.publisher().publish(wire.segment_record(late, TOPICS.segments))
    worked(bus, shed_after_s=30)
    verdicts = {v.stream_id: v for v in (wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts))}
    assert [reason.value for reason in verdicts["live"].reasons] == ["shed"]
    assert (verdicts["live"].label.value, verdicts["live"].coverage.frames_decoded) == ("insufficient_evidence", 0)
    assert verdicts["cam-0"].coverage.frames_decoded == 60
    assert verify(bus, TOPICS, "group").holds


def watched(streams, sequences, value):
    """Segments of streams that are all as suspicious as `value` is; one after another."""
    bus = published([], 1, partitions=2)
    payload = f"good {value}".encode()
    digest = hashlib.sha256(payload).hexdigest()
    for sequence in range(sequences):
        for stream in range(streams):
            sent = Segment(f"cam-{stream}", sequence, sequence * 2000, payload, digest)
            bus.publisher().publish(wire.segment_record(sent, TOPICS.segments))
    return bus


def verdicts_on(bus):
    found = [wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts)]
    return sorted(found, key=lambda verdict: (verdict.stream_id, verdict.sequence))


def test_suspicious_streams_are_inspected_as_far_as_there_is_room_and_the_others_say_that_it_was_withheld() -> None:
    bus = watched(streams=3, sequences=6, value=15)
    worked(bus, inspect_at_once=1)
    said = verdicts_on(bus)
    withheld = [v for v in said if Reason.INSPECTION_WITHHELD in v.reasons]
    inspected = [v for v in said if v.coverage.mode is Mode.INSPECT]
    assert len(said) == 18
    assert len(withheld) + len(inspected) == 15  # all but the first of each stream, when nothing was known of it
    assert inspected
    assert withheld
    assert {v.coverage.mode for v in withheld} == {Mode.PATROL}
    assert verify(bus, TOPICS, "group").holds


def test_with_room_for_all_nothing_is_withheld() -> None:
    bus = watched(streams=3, sequences=4, value=15)
    worked(bus)
    assert {v.coverage.mode for v in verdicts_on(bus) if v.sequence} == {Mode.INSPECT}
    assert not [v for v in verdicts_on(bus) if v.reasons]


def test_verdicts_follow_from_the_modes_that_they_name_whatever_the_room_was() -> None:
    bus = watched(streams=3, sequences=6, value=15)
    worked(bus, inspect_at_once=1)
    states = {}
    with pipeline() as parts:
        for said in verdicts_on(bus):
            payload = b"good 15"
            again = Segment(said.stream_id, said.sequence, said.start_ms, payload, hashlib.sha256(payload).hexdigest())
            state = states.get(said.stream_id, StreamState(said.stream_id))
            conclusion = parts.answer(state, parts.look(again, said.coverage.mode))
            states[said.stream_id] = conclusion.state
            kept = replace(conclusion.verdict, source=said.source, timing_ms=said.timing_ms)
            assert kept == said


def segment(stream, sequence, **more):
    payload = f"good {sequence + 7}".encode()
    digest = hashlib.sha256(payload).hexdigest()
    return wire.segment_record(Segment(stream, sequence, sequence * 2000, payload, digest, **more), TOPICS.segments)


def remembered_streams(bus):
    states = {delivery.record.key.decode(): delivery.record.value for delivery in read(bus, TOPICS.states)}
    return sorted(key for key, value in states.items() if value is not None)


def test_a_stream_that_ended_is_forgotten_and_may_begin_again() -> None:
    bus = published([], 1)
    for record in (segment("a", 0), segment("b", 0), segment("a", 1, end_of_stream=True)):
        bus.publisher().publish(record)
    worked(bus)
    assert remembered_streams(bus) == ["b"]
    bus.publisher().publish(segment("a", 0))
    worked(bus)
    verdicts = [wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts)]
    assert [[r.value for r in v.reasons] for v in verdicts if v.stream_id == "a"] == [[], [], []]
    assert remembered_streams(bus) == ["a", "b"]
    assert verify(bus, TOPICS, "group").counts() == dict.fromkeys(verify(bus, TOPICS, "group").counts(), 0)


def test_a_stream_that_fell_silent_is_forgotten_when_another_speaks() -> None:
    bus = published([], 1, partitions=1)
    bus.publisher().publish(segment("silent", 0))
    worked(bus)
    bus.publisher().publish(segment("other", 0))
    worked(bus, forget_after_s=10**6)
    assert remembered_streams(bus) == ["other", "silent"]
    bus.publisher().publish(segment("other", 1))
    worked(bus, forget_after_s=-1)
    assert remembered_streams(bus) == []
