"""A publisher of which there is one at a time, held by the bus in memory and by Apache Kafka itself."""

from __future__ import annotations

import uuid
from contextlib import closing

import pytest

from scanner.core.errors import ReplacedError
from scanner.ports import Bus, Record

FOR_S = 30.0


def values(bus: Bus, topic: str) -> list[bytes | None]:
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        found: list[bytes | None] = []
        while not reader.at_end():
            found += [delivery.record.value for delivery in reader.poll(0.1, 100)]
    return found


@pytest.fixture
def name() -> str:
    return f"sole-{uuid.uuid4()}"


def test_what_is_flushed_is_there_and_what_is_not_is_not(bus: Bus, topic: str, name: str) -> None:
    with closing(bus.sole_publisher(name)) as publisher:
        publisher.flush(FOR_S)
        publisher.publish(Record(topic, b"k", b"1"))
        publisher.publish(Record(topic, b"k", b"2"))
        assert values(bus, topic) == []
        publisher.flush(FOR_S)
        publisher.publish(Record(topic, b"k", b"never flushed"))
    assert values(bus, topic) == [b"1", b"2"]


def test_the_second_of_a_name_ends_the_first(bus: Bus, topic: str, name: str) -> None:
    with closing(bus.sole_publisher(name)) as first:
        first.publish(Record(topic, b"k", b"first"))
        first.flush(FOR_S)
        first.publish(Record(topic, b"k", b"too late"))
        with closing(bus.sole_publisher(name)) as second:
            with pytest.raises(ReplacedError, match=name):
                first.flush(FOR_S)
            with pytest.raises(ReplacedError):
                first.flush(FOR_S)
            second.publish(Record(topic, b"k", b"second"))
            second.flush(FOR_S)
    assert values(bus, topic) == [b"first", b"second"]


def test_names_do_not_disturb_each_other(bus: Bus, topic: str, name: str) -> None:
    with closing(bus.sole_publisher(name)) as one, closing(bus.sole_publisher(f"{name}-2")) as other:
        for publisher in (one, other):
            publisher.publish(Record(topic, b"k", b"x"))
            publisher.flush(FOR_S)
    assert values(bus, topic) == [b"x", b"x"]
