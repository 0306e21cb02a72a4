"""What every bus promises: held by the one in memory and by Apache Kafka itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.bus.memory import MemoryBus
from scanner.bus.partitions import partition_of
from scanner.core.errors import BrokerUnavailableError, MembershipLostError, TopicMissingError
from scanner.core.types import Source
from scanner.ports import Bus, Delivery, Place, Record, Subscription, TopicPlan

PATIENCE_S = 30.0
MakeBus = Callable[[str], Bus]
"""start ("earliest" or "latest") to a bus over the same topics"""


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def make_bus(request: pytest.FixtureRequest) -> MakeBus:
    if request.param == "memory":
        return lambda start: MemoryBus(start=start)
    address = request.getfixturevalue("kafka_broker").bootstrap
    return lambda start: KafkaBus(KafkaConfig((address,), start=start, deadline_s=15, session_s=6))


@pytest.fixture
def bus(make_bus: MakeBus) -> Bus:
    return make_bus("earliest")


@pytest.fixture
def topic(bus: Bus) -> str:
    return created(bus)


@pytest.fixture
def group() -> str:
    return f"group-{uuid.uuid4()}"


def created(bus: Bus, partitions: int = 4, **plan: Any) -> str:
    name = f"topic-{uuid.uuid4()}"
    assert bus.create({name: TopicPlan(partitions, **plan)}) == [name]
    return name


def publish(bus: Bus, topic: str, *entries: tuple[str, bytes | None]) -> None:
    with closing(bus.publisher()) as publisher:
        for key, value in entries:
            publisher.publish(Record(topic, key.encode(), value))
        publisher.flush(PATIENCE_S)


def take(member: Subscription, count: int, *, limit: int = 100) -> list[Delivery]:
    """Polls until `count` deliveries have come."""
    return gather([member], lambda got: len(got) >= count, limit=limit)


def gather(
    members: Sequence[Subscription], enough: Callable[[list[Delivery]], bool], *, limit: int = 100
) -> list[Delivery]:
    got: list[Delivery] = []
    deadline = time.monotonic() + PATIENCE_S
    while not enough(got):
        assert time.monotonic() < deadline, f"only {[d.record.value for d in got]} came"
        for member in members:
            got += member.poll(0.1, limit)
    return got


def quiet(member: Subscription, for_s: float = 1.0) -> list[Delivery]:
    """What comes although nothing should."""
    deadline = time.monotonic() + for_s
    got: list[Delivery] = []
    while time.monotonic() < deadline:
        got += member.poll(0.1, 100)
    return got


def next_offsets(deliveries: Sequence[Delivery]) -> dict[Place, int]:
    return {(d.record.topic, d.partition): d.offset + 1 for d in deliveries}


@dataclass
class Watcher:
    """Remembers what a member owns."""

    owned: set[Place] = field(default_factory=set)
    moves: list[tuple[str, list[Place]]] = field(default_factory=list)

    def assigned(self, places: Sequence[Place]) -> None:
        self.owned |= set(places)
        self.moves.append(("assigned", list(places)))

    def revoked(self, places: Sequence[Place]) -> None:
        self.owned -= set(places)
        self.moves.append(("revoked", list(places)))


def settle(members: Sequence[Subscription], done: Callable[[], bool]) -> None:
    gather(members, lambda _: done())


# Order, keys, bytes.


def test_records_of_a_key_come_in_the_order_they_were_published(bus: Bus, topic: str, group: str) -> None:
    publish(bus, topic, *((f"cam-{i % 5}", str(i).encode()) for i in range(50)))
    with closing(bus.subscribe([topic], group)) as member:
        got = take(member, 50, limit=7)
    for camera in range(5):
        mine = [int(d.record.value or b"") for d in got if d.record.key == f"cam-{camera}".encode()]
        assert mine == list(range(camera, 50, 5))


def test_a_key_goes_to_the_partition_that_kafkas_own_clients_choose(bus: Bus, topic: str) -> None:
    keys = [b"", b"a", b"ab", b"abc", b"cam-1", b"news/2024.mp4", "流-7".encode()]
    expected = {key: partition_of(key, 4) for key in keys}  # see tests/unit/test_partitions.py
    publish(bus, topic, *((key.decode(), b"x") for key in expected))
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        got = gather([reader], lambda got: len(got) == len(expected))
    assert {d.record.key: d.partition for d in got} == expected


def test_headers_survive_byte_for_byte(bus: Bus, topic: str, group: str) -> None:
    headers = (("ce_id", b"1"), ("empty", b""), ("binary", bytes(range(256))), ("ce_id", b"again"), ("é", "é".encode()))
    with closing(bus.publisher()) as publisher:
        publisher.publish(Record(topic, b"k", b"v", headers))
        publisher.flush(PATIENCE_S)
    with closing(bus.subscribe([topic], group)) as member:
        assert take(member, 1)[0].record.headers == headers


def test_a_large_record_arrives_whole(bus: Bus, topic: str, group: str) -> None:
    value = bytes(range(256)) * 12 * 1024  # 3 MiB
    publish(bus, topic, ("k", value), ("k", b"after"))
    with closing(bus.subscribe([topic], group)) as member:
        assert [d.record.value for d in take(member, 2)] == [value, b"after"]


def test_empty_and_absent_values_differ(bus: Bus, topic: str, group: str) -> None:
    publish(bus, topic, ("k", b""), ("k", None))
    with closing(bus.subscribe([topic], group)) as member:
        assert [d.record.value for d in take(member, 2)] == [b"", None]


def test_a_delivery_knows_its_place_and_time(bus: Bus, topic: str, group: str) -> None:
    before_ms = time.time_ns() // 1_000_000
    publish(bus, topic, ("k", b"0"), ("k", b"1"))
    with closing(bus.subscribe([topic], group)) as member:
        first, second = take(member, 2)
    assert (first.record.topic, first.offset, second.offset) == (topic, 0, 1)
    assert first.partition == second.partition
    assert before_ms - 1 <= first.timestamp_ms <= time.time_ns() // 1_000_000 + 1


def test_poll_gives_no_more_than_was_asked_for(bus: Bus, topic: str, group: str) -> None:
    publish(bus, topic, *((f"{i}", b"x") for i in range(10)))
    with closing(bus.subscribe([topic], group)) as member:
        got: list[Delivery] = []
        while len(got) < 10:
            batch = member.poll(PATIENCE_S, 3)
            assert 0 < len(batch) <= 3
            got += batch


# Committing.


def test_a_committed_record_is_not_delivered_again(bus: Bus, topic: str, group: str) -> None:
    publish(bus, topic, ("k", b"0"), ("k", b"1"), ("k", b"2"))
    with closing(bus.subscribe([topic], group)) as member:
        first = take(member, 1, limit=1)
        member.commit([], next_offsets(first))
    with closing(bus.subscribe([topic], group)) as member:
        assert [d.record.value for d in take(member, 2)] == [b"1", b"2"]


def test_an_uncommitted_record_is_delivered_again(bus: Bus, topic: str, group: str) -> None:
    publish(bus, topic, ("k", b"0"), ("k", b"1"))
    with closing(bus.subscribe([topic], group)) as member:
        take(member, 2)
    with closing(bus.subscribe([topic], group)) as member:
        assert [d.record.value for d in take(member, 2)] == [b"0", b"1"]


def test_outputs_are_there_when_commit_returns(bus: Bus, topic: str, group: str) -> None:
    answers = created(bus, 1)
    publish(bus, topic, ("k", b"question"))
    with closing(bus.subscribe([topic], group)) as member:
        got = take(member, 1)
        member.commit([Record(answers, b"k", b"answer", (("h", b"1"),))], next_offsets(got))
        with closing(bus.reader([answers], from_beginning=True)) as reader:
            found = gather([reader], bool)
    assert [d.record for d in found] == [Record(answers, b"k", b"answer", (("h", b"1"),))]


def test_a_commit_that_is_refused_shows_nothing_and_moves_nothing(bus: Bus, topic: str, group: str) -> None:
    answers, key = created(bus, 1), "k"
    publish(bus, topic, (key, b"question"))
    other = (topic, (partition_of(key.encode(), 4) + 1) % 4)
    with closing(bus.subscribe([topic], group, one := Watcher())) as first:
        got = take(first, 1)
        settle([first], lambda: len(one.owned) == 4)
        with closing(bus.subscribe([topic], group, two := Watcher())) as second:
            settle([first, second], lambda: len(one.owned) == len(two.owned) == 2)
            mine = other if other in one.owned else (topic, partition_of(key.encode(), 4))
            theirs = next(iter(two.owned))
            output = Record(answers, b"k", b"answer")
            with pytest.raises(MembershipLostError):
                first.commit([output], {theirs: 1})
            with pytest.raises(TopicMissingError, match="no-such-topic"):
                first.commit([output, Record("no-such-topic", b"k", b"answer")], {mine: 1})
            assert len(got) == 1
            assert sum(bus.lag(topic, group).values()) == 1
            first.commit([Record(answers, b"k", b"afterwards")], {})
    with closing(bus.reader([answers], from_beginning=True)) as reader:
        found = gather([reader], lambda _: reader.at_end())
    assert [d.record.value for d in found] == [b"afterwards"]


def test_outputs_to_many_topics_and_partitions_come_together(bus: Bus, topic: str, group: str) -> None:
    answers, notes = created(bus, 4), created(bus, 2, compacted=True)
    publish(bus, topic, *((f"{i}", b"question") for i in range(20)))
    with closing(bus.subscribe([topic], group)) as member:
        for _ in range(4):
            got = take(member, 5, limit=5)
            outputs = [Record(answers, d.record.key, b"answer") for d in got]
            member.commit([*outputs, *(Record(notes, d.record.key, b"note") for d in got)], next_offsets(got))
    with closing(bus.reader([answers, notes], from_beginning=True)) as reader:
        found = gather([reader], lambda _: reader.at_end())
    assert sorted((d.record.key, d.record.value) for d in found) == sorted(
        (f"{i}".encode(), said) for i in range(20) for said in (b"answer", b"note")
    )
    assert sum(bus.lag(topic, group).values()) == 0


def test_groups_do_not_disturb_each_other(bus: Bus, topic: str, group: str) -> None:
    publish(bus, topic, ("k", b"0"))
    with closing(bus.subscribe([topic], group)) as member:
        member.commit([], next_offsets(take(member, 1)))
    with closing(bus.subscribe([topic], f"{group}-other")) as member:
        assert len(take(member, 1)) == 1


def test_lag_counts_what_a_group_has_not_committed(bus: Bus, group: str) -> None:
    topic = created(bus, 1)
    assert bus.lag(topic, group) == {(topic, 0): 0}
    publish(bus, topic, *(("k", b"x") for _ in range(5)))
    assert bus.lag(topic, group) == {(topic, 0): 5}
    with closing(bus.subscribe([topic], group)) as member:
        got = take(member, 5)
        member.commit([], next_offsets(got[:3]))
    assert bus.lag(topic, group) == {(topic, 0): 2}


# Members.


def test_two_members_share_the_partitions(bus: Bus, topic: str, group: str) -> None:
    one, two = Watcher(), Watcher()
    with closing(bus.subscribe([topic], group, one)) as first:
        settle([first], lambda: len(one.owned) == 4)
        with closing(bus.subscribe([topic], group, two)) as second:
            settle([first, second], lambda: len(one.owned) == len(two.owned) == 2)
            assert not one.owned & two.owned
            kept = [places for verb, places in one.moves if verb == "revoked"]
            assert sum(map(len, kept)) == 2, "a partition that stays is not revoked on the way"
            publish(bus, topic, *((f"{i}", str(i).encode()) for i in range(40)))
            mine, theirs = take_apart(first, second, 40)
    assert {d.partition for d in mine} == {number for _, number in one.owned}
    assert {d.partition for d in theirs} == {number for _, number in two.owned}


def take_apart(first: Subscription, second: Subscription, count: int) -> tuple[list[Delivery], list[Delivery]]:
    mine: list[Delivery] = []
    theirs: list[Delivery] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(mine) + len(theirs) < count:
        assert time.monotonic() < deadline
        mine += first.poll(0.1, 100)
        theirs += second.poll(0.1, 100)
    return mine, theirs


def test_a_member_that_leaves_gives_its_partitions_and_uncommitted_records_to_the_other(
    bus: Bus, topic: str, group: str
) -> None:
    one, two = Watcher(), Watcher()
    publish(bus, topic, *((f"{i}", str(i).encode()) for i in range(20)))
    with closing(bus.subscribe([topic], group, one)) as first:
        second = bus.subscribe([topic], group, two)
        got = gather([first, second], lambda got: len(two.owned) == 2 and len({d.record.value for d in got}) == 20)
        assert len(got) >= 20
        second.close()
        left = two.owned
        again = gather([first], lambda got: len(one.owned) == 4 and {d.partition for d in got} >= {n for _, n in left})
    assert {d.partition for d in again} >= {number for _, number in left}


def test_a_partition_that_went_to_another_member_cannot_be_committed(bus: Bus, topic: str, group: str) -> None:
    one, two = Watcher(), Watcher()
    publish(bus, topic, *((f"{i}", b"x") for i in range(20)))
    with closing(bus.subscribe([topic], group, one)) as first:
        got = take(first, 20)
        with closing(bus.subscribe([topic], group, two)) as second:
            settle([first, second], lambda: len(two.owned) == 2)
            with pytest.raises(MembershipLostError, match=topic):
                first.commit([], next_offsets(got))
            first.commit([], {place: offset for place, offset in next_offsets(got).items() if place in one.owned})


def test_a_listener_that_fails_is_told_again_and_no_record_is_skipped(bus: Bus, topic: str, group: str) -> None:
    class Unlucky(Watcher):
        failures = 2

        def assigned(self, places: Sequence[Place]) -> None:
            if self.failures:
                self.failures -= 1
                raise BrokerUnavailableError("states could not be read")
            super().assigned(places)

    owner = Unlucky()
    publish(bus, topic, *((f"{i}", str(i).encode()) for i in range(8)))
    with closing(bus.subscribe([topic], group, owner)) as member:
        for _ in range(2):
            # One long poll: the partitions and their first records come together.
            with pytest.raises(BrokerUnavailableError, match="states"):
                member.poll(PATIENCE_S, 100)
        assert sorted(int(d.record.value or b"") for d in take(member, 8)) == list(range(8))
    assert len(owner.owned) == 4


# Pausing.


def test_a_paused_partition_waits_and_the_others_go_on(bus: Bus, topic: str, group: str) -> None:
    owner = Watcher()
    with closing(bus.subscribe([topic], group, owner)) as member:
        settle([member], lambda: len(owner.owned) == 4)
        member.pause([(topic, 1)])
        publish(bus, topic, *((f"{i}", b"x") for i in range(40)))
        got = quiet(member)
        assert {d.partition for d in got} == {0, 2, 3}
        member.resume([(topic, 1)])
        assert {d.partition for d in take(member, 40 - len(got))} == {1}


def test_a_pause_outlives_a_rebalance_that_leaves_the_partition_here(bus: Bus, topic: str, group: str) -> None:
    one, two = Watcher(), Watcher()
    with closing(bus.subscribe([topic], group, one)) as first:
        settle([first], lambda: len(one.owned) == 4)
        first.pause(one.owned)
        with closing(bus.subscribe([topic], group, two)) as second:
            settle([first, second], lambda: len(one.owned) == len(two.owned) == 2)
            publish(bus, topic, *((f"{i}", b"x") for i in range(40)))
            assert quiet(first) == []
            first.resume(one.owned)
            assert {d.partition for d in take(first, 1)} <= {number for _, number in one.owned}


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
    assert chosen.items() <= bus.committed(topic, group).items()
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
