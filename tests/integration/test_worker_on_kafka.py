"""The worker on a real Apache Kafka: slow segments, streams that move, restarts one after another."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry
from scripted import Facts, ScriptedObserver, facts, pipeline, record

from scanner import wire
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.bus.memory import MemoryBus
from scanner.ports import Bus, Place, Record, TopicPlan
from scanner.telemetry import Metrics
from scanner.verify import verify
from scanner.worker import Rules, Worker

pytestmark = pytest.mark.kafka

PARTITIONS = 6  # of the topic of live segments, and as many of that of archives
STREAMS = 9


class CountingObserver(ScriptedObserver):
    """Knows how often each payload was looked at."""

    def __init__(self) -> None:
        self.looks: Counter[bytes] = Counter()

    def observe(self, segment, mode):
        self.looks[segment.payload] += 1
        return super().observe(segment, mode)


@dataclass
class Hand:
    """A worker on a thread of its own."""

    bus: Bus
    topics: wire.Topics
    group: str
    observer: CountingObserver
    moves: list[tuple[str, set[int]]] = field(default_factory=list)
    owned: set[int] = field(default_factory=set)

    def start(self) -> None:
        self._stop = threading.Event()
        self._failure: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def leave(self) -> float:
        """As SIGTERM does. Seconds until it was gone."""
        began = time.monotonic()
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert self._failure == []
        self.owned.clear()
        return time.monotonic() - began

    def _run(self) -> None:
        rules = Rules(self.topics, self.group, None, lookers=4, commit_interval_s=0.05, drain_s=10)
        with pipeline() as parts:
            worker = Worker(self.bus, replace(parts, observer=self.observer), None, Metrics(CollectorRegistry()), rules)
            worker.assigned = self._told("assigned", worker.assigned)
            worker.revoked = self._told("revoked", worker.revoked)
            try:
                worker.run(self._stop)
            except BaseException as error:  # noqa: BLE001 – told by `leave`
                self._failure.append(error)

    def _told(self, verb: str, plain: Callable[[Sequence[Place]], None]) -> Callable[[Sequence[Place]], None]:
        def tell(places: Sequence[Place]) -> None:
            plain(places)
            numbers = {number for topic, number in places if topic == self.topics.segments}
            self.moves.append((verb, numbers))
            self.owned = self.owned | numbers if verb == "assigned" else self.owned - numbers

        return tell


@dataclass
class Workplace:
    """Topics, a group, and who works there."""

    broker: LocalBroker
    bus: KafkaBus
    topics: wire.Topics
    group: str
    observer: CountingObserver = field(default_factory=CountingObserver)
    sent: list[Record] = field(default_factory=list)

    def hand(self, instance: str | None = None, **config) -> Hand:
        settings = {"deadline_s": 10.0, "session_s": 10.0, **config}
        bus = KafkaBus(KafkaConfig((self.broker.bootstrap,), instance=instance, **settings))
        return Hand(bus, self.topics, self.group, self.observer)

    def publish(self, kinds: Sequence[str], *, archived: bool = False) -> None:
        """`archived` puts every second stream on the topic of archives."""
        with closing(self.bus.publisher()) as publisher:
            for kind in kinds:
                self.sent.append(record(kind, len(self.sent), STREAMS, self.topics.segments))
                if archived and int(self.sent[-1].key[-1:]) % 2:
                    self.sent[-1] = replace(self.sent[-1], topic=self.topics.archive)
                publisher.publish(self.sent[-1])
            publisher.flush(30)

    def answered(self) -> Facts:
        found = []
        with closing(self.bus.reader([self.topics.verdicts], from_beginning=True)) as reader:
            while not reader.at_end():
                found += [wire.verdict_of(delivery.record) for delivery in reader.poll(0.1, 1000)]
        return facts(found)

    def until(self, done: Callable[[], bool], for_s: float = 60) -> None:
        deadline = time.monotonic() + for_s
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def nothing_left(self) -> bool:
        return not any(lag for asked in self.topics.asked for lag in self.bus.lag(asked, self.group).values())

    def proven(self) -> None:
        proof = verify(self.bus, self.topics, self.group)
        assert proof.holds, proof.findings[:5]
        assert (proof.pending, proof.segments) == (0, len(self.sent))

    def undisturbed(self) -> Facts:
        """The same segments through one worker in memory."""
        bus = MemoryBus()
        bus.create(plans(self.topics))
        for each in self.sent:
            bus.publisher().publish(each)
        alone = Hand(bus, self.topics, self.group, CountingObserver())
        alone.start()
        self.until(lambda: not any(lag for asked in self.topics.asked for lag in bus.lag(asked, self.group).values()))
        alone.leave()
        reader = bus.reader([self.topics.verdicts], from_beginning=True)
        return facts([wire.verdict_of(delivery.record) for delivery in reader.poll(0, 10**6)])


def plans(topics: wire.Topics) -> dict[str, TopicPlan]:
    names = (*topics.asked, topics.verdicts, topics.alerts, topics.deadletters)
    states = [topics.states_of(asked) for asked in topics.asked]
    return {
        **dict.fromkeys(names, TopicPlan(PARTITIONS)),
        **dict.fromkeys(states, TopicPlan(PARTITIONS, compacted=True)),
    }


@pytest.fixture
def place(kafka_broker: LocalBroker) -> Workplace:
    mark = uuid.uuid4().hex[:8]
    kinds = ("segments", "verdicts", "alerts", "states", "deadletters", "archive", "archive_states")
    topics = wire.Topics(**{kind: f"{kind}-{mark}" for kind in kinds})
    bus = KafkaBus(KafkaConfig((kafka_broker.bootstrap,)))
    bus.create(plans(topics))
    return Workplace(kafka_broker, bus, topics, f"group-{mark}")


def test_a_segment_slower_than_session_and_poll_interval_breaks_nothing(place: Workplace) -> None:
    hand = place.hand(session_s=4.0, poll_interval_s=4.0)
    hand.start()
    place.until(lambda: len(hand.owned) == PARTITIONS)
    place.publish(["slow 0 12", *["good"] * 17])
    slow, others = place.sent[0].key, [each for each in place.sent if each.key != place.sent[0].key]
    began = time.monotonic()
    # Streams that share the slow one's partition wait with their commit; the rest does not.
    place.until(lambda: len(place.answered()) >= len(others) // 2, 10)
    assert time.monotonic() - began < 11
    assert slow.decode() not in {stream for stream, _ in place.answered()}
    place.until(place.nothing_left)
    hand.leave()
    assert [verb for verb, _ in hand.moves] == ["assigned"], "no rebalance"
    assert set(place.observer.looks.values()) == {1}
    place.proven()


def test_a_stream_that_moves_between_workers_gets_the_verdicts_of_one_that_never_moved(place: Workplace) -> None:
    hands = [place.hand() for _ in range(3)]
    hands[0].start()
    for number in range(4):
        place.publish(["good"] * 20 + ["poison"], archived=True)
        if number == 1:
            hands[1].start()
            place.until(lambda: len(hands[1].owned) == PARTITIONS // 2)
        if number == 2:
            hands[2].start()
            hands[0].leave()
            place.until(lambda: len(hands[1].owned) + len(hands[2].owned) == PARTITIONS)
    place.until(place.nothing_left)
    for hand in hands[1:]:
        hand.leave()
    place.proven()
    assert place.answered() == place.undisturbed()


def test_a_rolling_restart_repeats_nothing_and_leaves_the_others_alone(place: Workplace) -> None:
    hands = [place.hand(f"{place.group}-{number}") for number in range(3)]
    for hand in hands:
        hand.start()
    place.until(lambda: sum(len(hand.owned) for hand in hands) == PARTITIONS and all(hand.owned for hand in hands))
    stop = threading.Event()

    def feed() -> None:
        while not stop.wait(0.2):
            place.publish(["good"] * 3)

    feeder = threading.Thread(target=feed)
    feeder.start()
    for hand in hands:
        others = [(other, len(other.moves)) for other in hands if other is not hand]
        mine = set(hand.owned)
        assert hand.leave() < 10
        hand.start()
        place.until(lambda hand=hand, mine=mine: hand.owned == mine)
        for other, before in others:
            assert other.moves[before:] == [], "an untouched member keeps what it has"
    stop.set()
    feeder.join()
    place.until(place.nothing_left)
    for hand in hands:
        hand.leave()
    place.proven()
    assert set(place.observer.looks.values()) == {1}, "nothing was looked at twice"
