"""What every bus promises of topics and of readers that join no group."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import closing

import pytest
from buses import PATIENCE_S, MakeBus, Watcher, created, gather, next_offsets, publish, quiet, take

from scanner.bus.partitions import partition_of
from scanner.core.errors import TopicMissingError
from scanner.core.types import Source
from scanner.ports import Bus, Delivery, Record, TopicPlan

# Where reading starts.


@pytest.mark.parametrize(("start", "expected"), [("earliest", [b"old", b"new"]), ("latest", [b"new"])])
def test_a_new_group_starts_where_it_is_told(make_bus: MakeBus, start: str, expected: list[bytes], group: str) -> None:
    bus, owner = make_bus(start), Watcher()
    topic = created(bus)
    publish(bus, topic, ("k", b"old"))
    with closing(bus.subscribe([topic], group, owner)) as member:
        got = gather([member], lambda got: len(owner.owned) == 4 and len(got) == len(expected) - 1)
        got += quiet(member, 0.5)
        publish(bus, topic, ("k", b"new"))
        got += take(member, 1)
    assert [d.record.value for d in got] == expected


@pytest.mark.parametrize(("from_beginning", "expected"), [(True, [b"old", b"new"]), (False, [b"new"])])
def test_a_reader_starts_where_it_is_told(bus: Bus, topic: str, *, from_beginning: bool, expected: list[bytes]) -> None:
    publish(bus, topic, ("k", b"old"))
    with closing(bus.reader([topic], from_beginning=from_beginning)) as reader:
        publish(bus, topic, ("k", b"new"))
        got = gather([reader], lambda got: len(got) == len(expected))
    assert [d.record.value for d in got] == expected


def test_a_reader_may_ask_for_some_partitions_only(bus: Bus, topic: str) -> None:
    publish(bus, topic, *((f"{i}", b"x") for i in range(40)))
    with closing(bus.reader([topic], from_beginning=True, partitions=[1, 3])) as reader:
        got = gather([reader], lambda _: reader.at_end())
    assert {d.partition for d in got} == {1, 3}


def test_a_reader_knows_when_it_has_read_everything(bus: Bus, topic: str) -> None:
    publish(bus, topic, ("a", b"0"), ("b", b"1"))
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        assert not reader.at_end()
        gather([reader], lambda got: len(got) == 2)
        assert reader.at_end()
        publish(bus, topic, ("a", b"2"))
        assert not reader.at_end()


# Topics.


def test_topics_are_created_once(bus: Bus, group: str) -> None:
    topic = created(bus, 2)
    other = f"topic-{uuid.uuid4()}"
    assert bus.create({topic: TopicPlan(2), other: TopicPlan(1, compacted=True)}) == [other]
    assert bus.create({topic: TopicPlan(2)}) == []
    assert set(bus.lag(topic, group)) == {(topic, 0), (topic, 1)}


@pytest.mark.parametrize("use", ["subscribe", "publish", "read", "lag", "commit"])
def test_a_topic_that_is_not_there_is_named(bus: Bus, topic: str, use: str, group: str) -> None:
    uses: dict[str, Callable[[], object]] = {
        "subscribe": lambda: bus.subscribe(["no-such-topic"], group),
        "publish": lambda: publish(bus, "no-such-topic", ("k", b"v")),
        "read": lambda: bus.reader(["no-such-topic"], from_beginning=True),
        "lag": lambda: bus.lag("no-such-topic", group),
        "commit": lambda: commit_to_nowhere(bus, topic, group),
    }
    started = time.monotonic()
    with pytest.raises(TopicMissingError, match="no-such-topic"):
        uses[use]()
    assert time.monotonic() - started < 10, "a misspelt name is told at once, not after the deadline"


def commit_to_nowhere(bus: Bus, topic: str, group: str) -> None:
    with closing(bus.subscribe([topic], group)) as member:
        member.commit([Record("no-such-topic", b"k", b"v")], {})


def test_a_reader_starts_at_a_time(bus: Bus, topic: str) -> None:
    publish(bus, topic, ("a", b"old"), ("b", b"old"))
    time.sleep(0.05)
    since_ms = time.time_ns() // 1_000_000
    time.sleep(0.05)
    publish(bus, topic, ("a", b"new"))
    with closing(bus.reader([topic], from_beginning=True, since_ms=since_ms)) as reader:
        got: list[Delivery] = []
        deadline = time.monotonic() + PATIENCE_S
        while not (reader.at_end() and got) and time.monotonic() < deadline:
            got += reader.poll(0.1, 10)
        publish(bus, topic, ("c", b"later"))
        while len(got) < 2 and time.monotonic() < deadline:
            got += reader.poll(0.1, 10)
    assert [delivery.record.value for delivery in got] == [b"new", b"later"]


def test_a_record_is_fetched_by_its_coordinates(bus: Bus, topic: str) -> None:
    publish(bus, topic, *[("a", f"{number}".encode()) for number in range(5)])
    partition = partition_of(b"a", 4)
    found = bus.fetch(Source(topic, partition, 3))
    assert found is not None
    assert (found.record.value, found.offset, found.partition) == (b"3", 3, partition)
    for lost in (Source(topic, partition, 5), Source(topic, 99, 0), Source(topic, (partition + 1) % 4, 0)):
        assert bus.fetch(lost) is None


def test_what_is_committed_is_told_by_partition(bus: Bus, topic: str, group: str) -> None:
    publish(bus, topic, *((f"{i}", b"x") for i in range(12)))
    with closing(bus.subscribe([topic], group)) as member:
        ends = next_offsets(take(member, 12))
        chosen = dict(list(ends.items())[:1])
        member.commit([], chosen)
    deadline = time.monotonic() + PATIENCE_S
    while not chosen.items() <= bus.committed(topic, group).items():
        assert time.monotonic() < deadline  # Kafka shows what a transaction committed a moment after its end
        time.sleep(0.05)
    assert all(offset == 0 for place, offset in bus.committed(topic, group).items() if place not in chosen)


def test_a_rewound_partition_delivers_again_what_was_not_committed(bus: Bus, topic: str, group: str) -> None:
    place = (topic, partition_of(b"k", 4))
    publish(bus, topic, *(("k", str(i).encode()) for i in range(6)))
    with closing(bus.subscribe([topic], group)) as member:
        first = take(member, 4, limit=2)
        assert member.behind([place]) == {place: 6 - len(first)}
        member.commit([], next_offsets(first[:2]))
        member.rewind([place])
        assert member.behind([place]) == {place: 4}
        assert [d.record.value for d in take(member, 4)] == [b"2", b"3", b"4", b"5"]
        assert member.behind([place, (topic, 99)]) == {place: 0}
