"""How far behind live a worker says that it is: what waits for its answer, and nothing that is over."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry
from scripted import pipeline
from works import TOPICS, published

from scanner import wire
from scanner.bus.memory import MemoryBus
from scanner.core.errors import BrokerUnavailableError
from scanner.core.types import Segment
from scanner.ports import Bus
from scanner.telemetry import Metrics
from scanner.worker import Rules, Worker

AGE_S = 40


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.worker.behind.QUIET_S", 0.2)


@contextmanager
def working(bus: Bus, registry: CollectorRegistry) -> Iterator[None]:
    stop = threading.Event()
    rules = Rules(TOPICS, "group", None, lookers=2, commit_interval_s=0.01, drain_s=5)

    def run() -> None:
        with pipeline() as parts:
            Worker(bus, parts, None, Metrics(registry), rules).run(stop)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def behind(registry: CollectorRegistry, partition: int = 0) -> float | None:
    return registry.get_sample_value("scanner_seconds_behind_live", {"partition": str(partition)})


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def late(bus: MemoryBus, payload: bytes) -> None:
    """A segment that was complete so long ago, kept in a spool until now."""
    captured_at_ms = time.time_ns() // 1_000_000 - 30_000 - AGE_S * 1000
    digest = hashlib.sha256(payload).hexdigest()
    segment = Segment("cam", 0, 0, payload, digest, captured_at_ms=captured_at_ms)
    bus.publisher().publish(wire.segment_record(segment, TOPICS.segments))


def test_a_partition_on_which_something_waits_is_behind_and_one_that_goes_quiet_afterwards_is_not() -> None:
    bus, registry = published([], 1, partitions=1), CollectorRegistry()
    late(bus, b"slow 9 1")
    with working(bus, registry):
        until(lambda: (behind(registry) or 0) >= AGE_S)
        until(lambda: behind(registry) == 0)


def test_a_partition_to_which_nothing_came_yet_is_not_behind() -> None:
    bus, registry = published([], 1, partitions=2), CollectorRegistry()
    with working(bus, registry):
        until(lambda: (behind(registry, 0), behind(registry, 1)) == (0, 0))


def test_who_hears_nothing_of_the_broker_does_not_say_that_nothing_waits() -> None:
    bus, registry, deaf = published([], 1, partitions=1), CollectorRegistry(), threading.Event()
    polls: list[bool] = []

    class Member:
        def __init__(self, member: object) -> None:
            self._member = member

        def poll(self, timeout_s: float, limit: int) -> object:
            polls.append(deaf.is_set())
            if deaf.is_set():
                raise BrokerUnavailableError("away")
            return self._member.poll(min(timeout_s, 0.002), limit)

        def __getattr__(self, name: str) -> object:
            return getattr(self._member, name)

    class Away:
        def subscribe(self, *asked: object) -> Member:
            return Member(bus.subscribe(*asked))

        def __getattr__(self, name: str) -> object:
            return getattr(bus, name)

    late(bus, b"slow 9 0.5")
    with working(Away(), registry):
        until(lambda: (behind(registry) or 0) >= AGE_S)
        deaf.set()
        until(lambda: polls.count(True) >= 8)  # the segment is answered meanwhile
        assert (behind(registry) or 0) >= AGE_S
        deaf.clear()
        until(lambda: behind(registry) == 0)
