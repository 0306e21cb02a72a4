"""What a worker waits for, and what it does about what stands still."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import count

import pytest
from prometheus_client import CollectorRegistry
from scripted import SPEC, ScriptedObserver, pipeline
from works import TOPICS, Fuse, FusedBus, lag, published

from scanner import wire
from scanner.core.calibration import Calibration
from scanner.core.errors import BrokerUnavailableError, ClaimUnavailableError, InferenceError, WorkerStuckError
from scanner.core.policy import Policy
from scanner.core.types import Claim, Mode, Segment
from scanner.core.verdict import Judge
from scanner.inference.batcher import Batcher
from scanner.ledger import Debt
from scanner.pipeline import Pipeline
from scanner.ports import Delivery
from scanner.telemetry import Metrics
from scanner.testing import FakeModel
from scanner.verify import verify
from scanner.worker import Rules, Worker
from scanner.worker.looking import GoneError, Looker
from scanner.worker.streams import Job


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
        assert heard.wait(60)
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
        look = Looker(parts, AwayStore(20), 60).look(claimed(), Mode.FULL)
    assert look.segment.payload == b"good 7"


def test_a_wait_ends_when_nobody_waits_any_more(monkeypatch) -> None:
    monkeypatch.setattr("scanner.worker.looking.BACKOFF_S", (60.0,))
    job = claimed()
    threading.Timer(0.1, job.gone.set).start()
    with pipeline() as parts, pytest.raises(GoneError):
        Looker(parts, AwayStore(10**9), 600).look(job, Mode.FULL)


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
        look = Looker(parts, AwayStore(0), 60).look(claimed(), Mode.FULL)
    assert len(look.scored) == 1


def test_a_clip_that_the_model_fails_on_alone_is_its_segments_fault() -> None:
    batcher, parts = failing(lambda mean: mean == 7)
    with batcher, pytest.raises(InferenceError):
        Looker(parts, AwayStore(0), 60).look(claimed(), Mode.FULL)


class Outage(FusedBus):
    """Members from which the broker goes away, wholly or for commits alone, when they commit first; then it returns."""

    def __init__(self, bus, *, lasts_s, alone):
        super().__init__(bus, Fuse())
        self.lasts_s, self.alone, self.until_s = lasts_s, alone, None

    def subscribe(self, topics, group, listener=None):
        return CutOffMember(self._bus.subscribe(topics, group, listener), self)

    def ask(self):
        if self.until_s is not None and time.monotonic() < self.until_s:
            raise BrokerUnavailableError("away")


class CutOffMember:
    def __init__(self, member, bus):
        self._member, self._bus = member, bus

    def poll(self, timeout_s, limit):
        if not self._bus.alone:
            self._bus.ask()
        return self._member.poll(min(timeout_s, 0.002), limit)

    def behind(self, places):
        if not self._bus.alone:
            self._bus.ask()
        return self._member.behind(places)

    def commit(self, outputs, offsets):
        self._bus.until_s = self._bus.until_s or time.monotonic() + self._bus.lasts_s
        self._bus.ask()
        self._member.commit(outputs, offsets)

    def __getattr__(self, name):
        return getattr(self._member, name)


class CountingObserver(ScriptedObserver):
    def __init__(self):
        self.looks = 0

    def observe(self, segment, mode):
        self.looks += 1
        return super().observe(segment, mode)


@pytest.mark.parametrize("alone", [True, False])
def test_a_broker_that_is_away_is_no_partitions_fault_and_what_was_finished_is_kept(alone) -> None:
    bus, observer, registry = published(["good"] * 4, 2), CountingObserver(), CollectorRegistry()
    assert roused(Outage(bus, lasts_s=2.0, alone=alone), observer, registry) == []
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.verdicts) == (True, 4)
    assert observer.looks == 4
    told = {sample.name for metric in registry.collect() for sample in metric.samples if sample.value}
    assert "scanner_partitions_stuck_total" not in told


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


def roused(bus, observer=None, registry=None):
    """Works until nothing is left, with a watchdog that waits 0.3 s."""
    rules = Rules(TOPICS, "group", None, lookers=2, commit_interval_s=0.0, drain_s=5, stuck_after_s=0.3)
    stop = threading.Event()
    failures = []

    def run():
        with pipeline() as parts:
            try:
                chosen = replace(parts, observer=observer or parts.observer)
                Worker(bus, chosen, None, Metrics(registry or CollectorRegistry()), rules).run(stop)
            except WorkerStuckError as error:
                failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
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
