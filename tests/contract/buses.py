"""What the tests of every bus share: records out and in, and members that are watched."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from scanner.ports import Bus, Delivery, Place, Record, Subscription, TopicPlan

PATIENCE_S = 30.0
MakeBus = Callable[[str], Bus]
"""start ("earliest" or "latest") to a bus over the same topics"""


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


def take_apart(first: Subscription, second: Subscription, count: int) -> tuple[list[Delivery], list[Delivery]]:
    mine: list[Delivery] = []
    theirs: list[Delivery] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(mine) + len(theirs) < count:
        assert time.monotonic() < deadline
        mine += first.poll(0.1, 100)
        theirs += second.poll(0.1, 100)
    return mine, theirs
