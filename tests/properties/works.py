"""Segments on a bus in memory, a worker that may crash at any edge, and what it answered."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from scripted import pipeline

from scanner import wire
from scanner.bus.memory import MemoryBus
from scanner.core.types import Segment
from scanner.ports import TopicPlan
from scanner.telemetry import Metrics
from scanner.worker import Rules, Worker

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
    deadline = time.monotonic() + 60
    while thread.is_alive() and lag(bus):
        assert time.monotonic() < deadline, lag(bus)
        time.sleep(0.002)
    stop.set()
    thread.join(60)
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
