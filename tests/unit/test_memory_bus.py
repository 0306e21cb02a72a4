"""What only the bus in memory has to promise: it stays small and loses nothing that a group still needs."""

from __future__ import annotations

import threading
import time

import pytest

from scanner.bus.memory import MemoryBus
from scanner.bus.memory.groups import Group
from scanner.core.errors import BrokerUnavailableError
from scanner.ports import Record, TopicPlan

KILO = bytes(1000)


def bus_of(retention_bytes: int, *, compacted: bool = False, deadline_s: float = 0.1) -> MemoryBus:
    bus = MemoryBus(retention_bytes=retention_bytes, deadline_s=deadline_s)
    bus.create({"t": TopicPlan(1, compacted=compacted)})
    return bus


def record(value: bytes | None = KILO, key: bytes = b"") -> Record:
    return Record("t", key, value)


def test_a_topic_that_no_group_reads_keeps_its_newest_records() -> None:
    bus = bus_of(3000)
    for n in range(10):
        bus.publisher().publish(record(bytes([n]) * 1000))
    kept = bus.reader(["t"], from_beginning=True).poll(0, 100)
    assert [delivery.offset for delivery in kept] == [7, 8, 9]


def test_what_a_group_has_not_committed_is_never_dropped() -> None:
    bus = bus_of(3000)
    member = bus.subscribe(["t"], "g")
    for _ in range(3):
        bus.publisher().publish(record())
    with pytest.raises(BrokerUnavailableError, match="3000 bytes"):
        bus.publisher().publish(record())
    assert [delivery.offset for delivery in member.poll(1, 100)] == [0, 1, 2]


def test_a_publisher_goes_on_when_the_group_commits() -> None:
    bus = bus_of(3000, deadline_s=10)
    member = bus.subscribe(["t"], "g")
    done = threading.Event()

    def publish_ten() -> None:
        for _ in range(10):
            bus.publisher().publish(record())
        done.set()

    thread = threading.Thread(target=publish_ten)
    thread.start()
    offsets = []
    while len(offsets) < 10:
        for delivery in member.poll(1, 1):
            offsets.append(delivery.offset)
            member.commit([], {("t", 0): delivery.offset + 1})
    thread.join()
    assert done.is_set()
    assert offsets == list(range(10))


def test_a_record_larger_than_the_retention_passes_alone() -> None:
    bus = bus_of(100)
    bus.publisher().publish(record())
    bus.publisher().publish(record())
    assert len(bus.reader(["t"], from_beginning=True).poll(0, 100)) == 1


def test_a_compacted_topic_keeps_the_last_record_of_each_key() -> None:
    bus = bus_of(10_000, compacted=True)
    for n in range(1000):
        bus.publisher().publish(record(str(n).encode(), key=f"cam-{n % 3}".encode()))
    bus.publisher().publish(record(None, key=b"cam-0"))
    kept = bus.reader(["t"], from_beginning=True).poll(0, 5000)
    assert [(d.record.key, d.record.value) for d in kept] == [(b"cam-1", b"997"), (b"cam-2", b"998"), (b"cam-0", None)]


def test_a_poll_wakes_up_when_something_comes() -> None:
    bus = bus_of(10_000)
    member = bus.subscribe(["t"], "g")
    assert member.poll(0, 1) == []
    later = threading.Timer(0.1, lambda: bus.publisher().publish(record()))
    later.start()
    began = time.monotonic()
    assert len(member.poll(10, 1)) == 1
    assert time.monotonic() - began < 5
    later.join()


def test_a_partition_is_never_owned_twice_and_ends_up_with_a_fair_share() -> None:
    places = [("t", n) for n in range(7)]
    group = Group()
    first = group.join(places)
    assert group.take(first) == places
    second = group.join(places)
    assert group.take(second) == [], "the first has not let go yet"
    given = group.leaving(first)
    assert len(given) == 3
    group.release(first, given)
    assert group.take(second) == given
    third = group.join(places)
    for member in (first, second):
        group.release(member, group.leaving(member))
    group.take(third)
    assert sorted(len(group.owned(member)) for member in (first, second, third)) == [2, 2, 3]
    assert not any(group.unsettled(member) for member in (first, second, third))
