"""Many who redrive the same dead letters at once, on a real Apache Kafka: every segment comes once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from scripted import record

from scanner import letters, wire
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.errors import MediaError, ReplacedError
from scanner.ports import Delivery, Record, TopicPlan
from scanner.redrive import Fate, Wanted, redrive
from scanner.redrive import letters as found_letters

pytestmark = pytest.mark.kafka

LETTERS = 30
AT_ONCE = 4


@dataclass
class Office:
    """Dead letters on a broker."""

    bus: KafkaBus
    topics: wire.Topics
    bootstrap: str
    fates: list[tuple[str, Fate]] = field(default_factory=list)
    replaced: int = 0

    def redrive(self) -> None:
        chosen = list(found_letters(self.bus, self.topics, Wanted()))
        try:
            redrive(self.bus, self.topics, chosen, dry=False, told=lambda at, fate: self.fates.append((at.name, fate)))
        except ReplacedError:
            self.replaced += 1

    def redriven(self) -> Counter[str | None]:
        """How often each letter's segment lies on the topic."""
        with closing(self.bus.reader([self.topics.segments], from_beginning=True)) as reader:
            found: list[Delivery] = []
            while not reader.at_end():
                found += reader.poll(0.1, 100)
        return Counter(letters.redriven_from(each.record) for each in found)


@pytest.fixture
def office(kafka_broker: LocalBroker) -> Office:
    mark = uuid.uuid4().hex[:8]
    names = {kind: f"{kind}-{mark}" for kind in ("segments", "archive", "verdicts", "deadletters")}
    topics = wire.Topics(**names)
    bus = KafkaBus(KafkaConfig((kafka_broker.bootstrap,)))
    bus.create(dict.fromkeys(names.values(), TopicPlan(3)))
    with closing(bus.publisher()) as publisher:
        for number in range(LETTERS):
            publisher.publish(dead(record("poison", number, 5, topics.segments), number, topics))
        publisher.flush(30)
    return Office(bus, topics, kafka_broker.bootstrap)


def dead(segment: Record, number: int, topics: wire.Topics) -> Record:
    letter = letters.DeadLetter(MediaError("not video"), 1)
    return letters.deadletter_record(Delivery(segment, 0, number, 0), letter, topics.deadletters, at_ms=0)


def test_many_at_once_put_each_segment_on_its_topic_once(office: Office) -> None:
    threads = [threading.Thread(target=office.redrive) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    office.redrive()  # whoever was the last has ended the others, and may have been ended by none
    assert set(office.redriven().values()) == {1}
    assert len(office.redriven()) == LETTERS
    said = Counter(name for name, fate in office.fates if fate is Fate.REDRIVEN)
    assert said == office.redriven(), "whoever says that it redrove has done it, and only one says so"


def test_one_that_comes_in_the_middle_ends_the_first_and_goes_on_from_there(office: Office) -> None:
    chosen = list(found_letters(office.bus, office.topics, Wanted()))
    done: list[str] = []

    def told(letter, fate: Fate) -> None:
        done.append(letter.name)
        if len(done) == 7:
            office.redrive()

    with pytest.raises(ReplacedError):
        redrive(office.bus, office.topics, chosen, dry=False, told=told)
    assert len(done) == 7
    assert Counter(fate for _, fate in office.fates) == {Fate.BEFORE: 7, Fate.REDRIVEN: LETTERS - 7}
    assert set(office.redriven().values()) == {1}
    assert len(office.redriven()) == LETTERS


def test_the_marks_that_a_redrive_leaves_are_no_backlog(office: Office) -> None:
    office.redrive()
    assert sum(office.bus.lag(office.topics.segments, "g").values()) >= LETTERS
    with closing(office.bus.subscribe([office.topics.segments], "g")) as member:
        taken: dict[tuple[str, int], int] = {}
        deadline = time.monotonic() + 60
        while len(taken) < 3 or sum(office.bus.lag(office.topics.segments, "g").values()):
            assert time.monotonic() < deadline
            taken |= {(each.record.topic, each.partition): each.offset + 1 for each in member.poll(0.2, 100)}
            member.commit([], taken)
    with closing(office.bus.publisher()) as publisher:
        publisher.publish(record("good", 0, 1, office.topics.segments))
        publisher.flush(30)
    assert sum(office.bus.lag(office.topics.segments, "g").values()) >= 1


def test_two_commands_at_once(office: Office) -> None:
    topics = office.topics
    told = ["--bootstrap", office.bootstrap, "--all", "--json"]
    environment = {
        "SCANNER_TOPICS__SEGMENTS": topics.segments,
        "SCANNER_TOPICS__ARCHIVE": str(topics.archive),
        "SCANNER_TOPICS__VERDICTS": topics.verdicts,
        "SCANNER_TOPICS__DEADLETTERS": topics.deadletters,
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "scanner", "deadletters", "redrive", *told],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in started]
    assert {code for *_, code in ended} <= {0, 3}
    assert all(code == 0 or b"somebody else publishes" in said for _, said, code in ended)
    office.redrive()
    assert set(office.redriven().values()) == {1}
    assert len(office.redriven()) == LETTERS
