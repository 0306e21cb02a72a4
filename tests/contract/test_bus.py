"""What every bus promises of records and commits: held by the one in memory and by Apache Kafka itself."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from buses import PATIENCE_S, Watcher, created, gather, next_offsets, publish, settle, take

from scanner.bus.partitions import partition_of
from scanner.core.errors import MembershipLostError, TopicMissingError
from scanner.ports import Bus, Delivery, Record

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
