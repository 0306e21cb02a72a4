"""The bus in this process: topics, partitions, keys, offsets and groups behave as on Apache Kafka.

What does not fit into memory waits instead of vanishing: a publisher blocks until every group has committed enough of
the oldest records. A topic that no group reads keeps its newest records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Condition
from typing import Literal

from scanner.bus.memory.groups import Group, Member
from scanner.bus.memory.log import Log
from scanner.core.errors import BrokerUnavailableError, MembershipLostError, ReplacedError, TopicMissingError
from scanner.core.types import Source
from scanner.ports import Assignments, Delivery, Place, Record, TopicPlan

Clock = Callable[[], int]
Start = Literal["earliest", "latest"]


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryBus:
    """Topics that live as long as this object."""

    def __init__(
        self,
        *,
        retention_bytes: int = 64 * 1024 * 1024,
        start: Start = "earliest",
        deadline_s: float = 30.0,
        clock_ms: Clock = _wall_clock_ms,
    ) -> None:
        """
        Args:
            retention_bytes: what a partition keeps at most.
            start: where a group without committed offsets begins.
            deadline_s: how long a publisher waits for room.
        """
        self.changed = Condition()
        """held by whoever touches topics or groups; notified when records, offsets or members change"""
        self._retention_bytes = retention_bytes
        self._start = start
        self._deadline_s = deadline_s
        self._clock_ms = clock_ms
        self._topics: dict[str, list[Log]] = {}
        self._groups: dict[str, Group] = {}
        self.sole: dict[str, MemorySolePublisher] = {}
        """the one that may publish under a name"""

    def create(self, topics: Mapping[str, TopicPlan]) -> list[str]:
        with self.changed:
            missing = sorted(topics.keys() - self._topics.keys())
            for name in missing:
                plan = topics[name]
                self._topics[name] = [
                    Log(name, number, self._retention_bytes, compacted=plan.compacted)
                    for number in range(plan.partitions)
                ]
        return missing

    def subscribe(self, topics: Sequence[str], group: str, listener: Assignments | None = None) -> MemorySubscription:
        with self.changed:
            places = [log.place for topic in topics for log in self.logs(topic)]
            joined = self._groups.setdefault(group, Group())
            for place in places:
                self.beginning(joined, place)
            member = joined.join(places)
            self.changed.notify_all()
        return MemorySubscription(self, joined, member, listener)

    def publisher(self) -> MemoryPublisher:
        return MemoryPublisher(self)

    def sole_publisher(self, name: str) -> MemorySolePublisher:
        with self.changed:
            publisher = self.sole[name] = MemorySolePublisher(self, name)
        return publisher

    def reader(
        self,
        topics: Sequence[str],
        *,
        from_beginning: bool,
        partitions: Sequence[int] | None = None,
        since_ms: int | None = None,
    ) -> MemoryReader:
        with self.changed:
            logs = [log for topic in topics for log in self.logs(topic)]
            chosen = [log for log in logs if partitions is None or log.place[1] in partitions]
            return MemoryReader(self, {log.place: _start(log, from_beginning, since_ms) for log in chosen})

    def fetch(self, source: Source) -> Delivery | None:
        with self.changed:
            logs = self.logs(source.topic)
            found = logs[source.partition].read(source.offset, 1) if 0 <= source.partition < len(logs) else []
        return found[0] if found and found[0].offset == source.offset else None

    def lag(self, topic: str, group: str) -> dict[Place, int]:
        with self.changed:
            committed = self._groups[group].committed if group in self._groups else {}
            return {log.place: log.next - max(committed.get(log.place, 0), log.first) for log in self.logs(topic)}

    def committed(self, topic: str, group: str) -> dict[Place, int]:
        with self.changed:
            committed = self._groups[group].committed if group in self._groups else {}
            return {log.place: committed[log.place] for log in self.logs(topic) if log.place in committed}

    def logs(self, topic: str) -> list[Log]:
        """The partitions of a topic. Raises TopicMissingError."""
        if topic not in self._topics:
            raise TopicMissingError(f"no such topic: {topic}; create it first")
        return self._topics[topic]

    def log(self, place: Place) -> Log:
        return self._topics[place[0]][place[1]]

    def beginning(self, group: Group, place: Place) -> int:
        """Where a new owner reads on: behind what is committed."""
        log = self.log(place)
        # "latest" is the end when the group first subscribed, not when a member happens to look.
        return group.committed.setdefault(place, log.first if self._start == "earliest" else log.next)

    def append(self, records: Sequence[Record]) -> None:
        """All or nothing; waits for room up to the deadline. To be called with `changed` held."""
        chosen = [(Log.choose(self.logs(record.topic), record.key), record) for record in records]
        sizes: dict[Place, int] = {}
        for log, record in chosen:
            sizes[log.place] = sizes.get(log.place, 0) + record.size

        def full() -> Place | None:
            """The first partition that has no room."""
            rooms = (
                (place, self.log(place).make_room(size, self._needed_from(place))) for place, size in sizes.items()
            )
            return next((place for place, room in rooms if not room), None)

        if not self.changed.wait_for(lambda: full() is None, self._deadline_s):
            topic, partition = full() or next(iter(sizes))
            raise BrokerUnavailableError(
                f"{topic}/{partition} holds {self.log((topic, partition)).bytes} bytes that a group has not committed,"
                f" and nothing was committed for {self._deadline_s:g} s"
            )
        for log, record in chosen:
            log.append(record, self._clock_ms())
        self.changed.notify_all()

    def _needed_from(self, place: Place) -> int | None:
        """The first offset that some group still has to commit; None when nobody reads the topic."""
        readers = [group for group in self._groups.values() if group.reads(place)]
        return min((self.beginning(group, place) for group in readers), default=None)


def _start(log: Log, from_beginning: bool, since_ms: int | None) -> int:
    if since_ms is not None:
        return log.since(since_ms)
    return log.first if from_beginning else log.next


class MemoryPublisher:
    """Everything published is there at once."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def publish(self, record: Record) -> None:
        with self._bus.changed:
            self._bus.append([record])

    def flush(self, timeout_s: float) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""


class MemorySolePublisher:
    """Nothing is there before it is flushed, and nothing any more once another one has its name."""

    def __init__(self, bus: MemoryBus, name: str) -> None:
        self._bus = bus
        self._name = name
        self._waiting: list[Record] = []

    def publish(self, record: Record) -> None:
        self._waiting.append(record)

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002 - the bus's own deadline bounds it
        with self._bus.changed:
            if self._bus.sole[self._name] is not self:
                raise ReplacedError(f"somebody else publishes as {self._name} from now on")
            waiting, self._waiting = self._waiting, []
            self._bus.append(waiting)

    def close(self) -> None:
        self._waiting.clear()


class MemorySubscription:
    """One member of a group. A partition goes to another member only after this one has polled and let it go."""

    def __init__(self, bus: MemoryBus, group: Group, member: Member, listener: Assignments | None) -> None:
        self._bus = bus
        self._group = group
        self._member = member
        self._listener = listener
        self._positions: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._untold: list[Place] = []

    def poll(self, timeout_s: float, limit: int) -> list[Delivery]:
        deadline = time.monotonic() + timeout_s
        while True:
            self._move()
            with self._bus.changed:
                found = self._read(limit)
                left_s = deadline - time.monotonic()
                if found or left_s <= 0:
                    return found
                if not self._group.unsettled(self._member):
                    self._bus.changed.wait(left_s)

    def pause(self, places: Iterable[Place]) -> None:
        self._paused |= set(places) & self._positions.keys()

    def resume(self, places: Iterable[Place]) -> None:
        self._paused -= set(places)

    def commit(self, outputs: Sequence[Record], offsets: Mapping[Place, int]) -> None:
        with self._bus.changed:
            if foreign := sorted(set(offsets) - self._group.owned(self._member)):
                raise MembershipLostError(f"no longer this member's: {foreign}")
            self._bus.append(outputs)
            self._group.committed.update(offsets)
            self._bus.changed.notify_all()

    def behind(self, places: Iterable[Place]) -> dict[Place, int]:
        with self._bus.changed:
            ours = [place for place in places if place in self._positions]
            return {place: self._bus.log(place).next - self._positions[place] for place in ours}

    def rewind(self, places: Iterable[Place]) -> None:
        with self._bus.changed:
            for place in self._positions.keys() & set(places):
                self._positions[place] = self._bus.beginning(self._group, place)

    def close(self) -> None:
        with self._bus.changed:
            self._group.leave(self._member)
            self._positions.clear()
            self._bus.changed.notify_all()

    def _move(self) -> None:
        """Lets go what another member is to have, and takes what is free. A listener that fails is told again."""
        with self._bus.changed:
            leaving = self._group.leaving(self._member)
        if leaving:
            for place in leaving:
                self._positions.pop(place, None)
            self._paused -= set(leaving)
            if self._listener is not None:
                self._listener.revoked(leaving)
        with self._bus.changed:
            self._group.release(self._member, leaving)
            taken = self._group.take(self._member)
            self._positions |= {place: self._bus.beginning(self._group, place) for place in taken}
            self._untold += taken
            if leaving or taken:
                self._bus.changed.notify_all()
        if self._untold and self._listener is not None:
            self._listener.assigned(self._untold)
        self._untold = []

    def _read(self, limit: int) -> list[Delivery]:
        found: list[Delivery] = []
        for place in [place for place in self._positions if place not in self._paused]:
            batch = self._bus.log(place).read(self._positions[place], limit - len(found))
            if batch:
                found += batch
                # Whoever was served goes to the back of the line.
                del self._positions[place]
                self._positions[place] = batch[-1].offset + 1
        return found


class MemoryReader:
    """Reads outside any group."""

    def __init__(self, bus: MemoryBus, positions: dict[Place, int]) -> None:
        self._bus = bus
        self._positions = positions

    def poll(self, timeout_s: float, limit: int) -> list[Delivery]:
        with self._bus.changed:
            deadline = time.monotonic() + timeout_s
            while not (found := self._read(limit)) and (left_s := deadline - time.monotonic()) > 0:
                self._bus.changed.wait(left_s)
            return found

    def at_end(self) -> bool:
        with self._bus.changed:
            return all(position >= self._bus.log(place).next for place, position in self._positions.items())

    def close(self) -> None:
        self._positions = {}

    def _read(self, limit: int) -> list[Delivery]:
        found: list[Delivery] = []
        for place, position in self._positions.items():
            batch = self._bus.log(place).read(position, limit - len(found))
            if batch:
                found += batch
                self._positions[place] = batch[-1].offset + 1
        return found
