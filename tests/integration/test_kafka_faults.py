"""Requests and answers that get lost on the wire: every commit recovers within its deadline, and counts once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from fault_proxy import HOST, Api, Fault, FaultProxy, proxied_broker

from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.errors import BrokerUnavailableError
from scanner.ports import Delivery, Record, Subscription, TopicPlan

pytestmark = pytest.mark.kafka

DEADLINE_S = 2.0
GRACE_S = 1.5  # a producer that is given up takes a second to end


@dataclass
class Line:
    """Two ways to one broker: as the worker sees it, and as it is."""

    proxy: FaultProxy
    proxied: KafkaBus
    direct: KafkaBus


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    broker, front, behind = proxied_broker(tmp_path_factory.mktemp("faults") / "broker")
    with broker:
        proxy = FaultProxy(front, behind)
        config = {"deadline_s": DEADLINE_S, "session_s": 30.0}
        yield Line(
            proxy, KafkaBus(KafkaConfig((f"{HOST}:{front}",), **config)), KafkaBus(KafkaConfig((broker.bootstrap,)))
        )
        proxy.close()


@pytest.fixture(autouse=True)
def healthy(line: Line) -> Iterator[None]:
    line.proxy.fault = None
    yield
    line.proxy.fault = None


@dataclass
class Desk:
    """A member with one question before it, and its first commit behind it."""

    line: Line
    member: Subscription
    question: Delivery
    answers: str

    @property
    def commitment(self):
        source = self.question.source
        return [Record(self.answers, b"k", b"answer")], {(source.topic, source.partition): source.offset + 1}

    def seen(self) -> list[bytes | None]:
        """What readers see in the end, the first answer left out."""
        with closing(self.line.direct.reader([self.answers], from_beginning=True)) as reader:
            found: list[bytes | None] = []
            while not reader.at_end():
                found += [d.record.value for d in reader.poll(0.1, 100)]
        return found[1:]


@pytest.fixture
def desk(line: Line) -> Iterator[Desk]:
    questions, answers = (f"topic-{uuid.uuid4()}" for _ in range(2))
    line.direct.create({questions: TopicPlan(1), answers: TopicPlan(1)})
    with closing(line.direct.publisher()) as publisher:
        publisher.publish(Record(questions, b"k", b"0"))
        publisher.publish(Record(questions, b"k", b"1"))
        publisher.flush(30)
    with closing(line.proxied.subscribe([questions], f"group-{questions}")) as member:
        first, second = take(member, 2)
        desk = Desk(line, member, first, answers)
        member.commit(*desk.commitment)
        desk.question = second
        yield desk
        line.proxy.fault = None


def take(member: Subscription, count: int) -> list[Delivery]:
    got: list[Delivery] = []
    deadline = time.monotonic() + 30
    while len(got) < count:
        assert time.monotonic() < deadline
        got += member.poll(0.1, 10)
    return got


def poll_for_ever(member: Subscription) -> None:
    while True:
        assert member.poll(0.1, 10) == []


def in_time(since: float, deadlines: float = 1) -> bool:
    return time.monotonic() - since < deadlines * DEADLINE_S + GRACE_S


@pytest.mark.parametrize(
    ("what", "api"),
    [
        *[("swallow", api) for api in (Api.ADD_PARTITIONS, Api.PRODUCE, Api.ADD_OFFSETS, Api.OFFSETS, Api.END_TXN)],
        *[("mute", api) for api in (Api.PRODUCE, Api.OFFSETS, Api.END_TXN)],
    ],
)
def test_a_commit_that_gets_no_answer_fails_in_time_and_counts_once_when_repeated(desk: Desk, what, api: Api) -> None:
    fault = desk.line.proxy.fault = Fault(what, api)
    began = time.monotonic()
    with pytest.raises(BrokerUnavailableError):
        desk.member.commit(*desk.commitment)
    assert in_time(began)
    assert fault.met
    assert desk.member.poll(0.05, 10) == []
    desk.line.proxy.fault = None
    again = time.monotonic()
    desk.member.commit(*desk.commitment)
    assert in_time(again)
    assert desk.seen() == [b"answer"]
    source = desk.question.source
    assert desk.line.direct.lag(source.topic, f"group-{source.topic}") == {(source.topic, 0): 0}


def test_it_may_take_several_attempts_to_learn_what_happened(desk: Desk) -> None:
    desk.line.proxy.fault = Fault("mute", Api.END_TXN)
    with pytest.raises(BrokerUnavailableError):
        desk.member.commit(*desk.commitment)
    desk.line.proxy.fault = Fault("swallow", Api.INIT_PRODUCER_ID)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(BrokerUnavailableError):
            desk.member.commit(*desk.commitment)
        assert in_time(began)
    desk.line.proxy.fault = None
    desk.member.commit(*desk.commitment)
    assert desk.seen() == [b"answer"]


@pytest.mark.parametrize("api", [Api.ADD_PARTITIONS, Api.PRODUCE, Api.OFFSETS, Api.END_TXN])
def test_a_connection_that_is_cut_in_the_middle_costs_a_moment(desk: Desk, api: Api) -> None:
    desk.line.proxy.fault = Fault("cut", api, times=1)
    began = time.monotonic()
    desk.member.commit(*desk.commitment)
    assert in_time(began)
    assert desk.line.proxy.fault.met
    assert desk.seen() == [b"answer"]


def test_a_slow_line_is_no_fault(desk: Desk) -> None:
    desk.line.proxy.fault = Fault("delay", seconds=0.15)
    desk.member.commit(*desk.commitment)
    assert desk.seen() == [b"answer"]


def test_fetches_that_get_no_answer_are_told_and_go_on_afterwards(desk: Desk) -> None:
    desk.line.proxy.fault = Fault("swallow")
    began = time.monotonic()
    with pytest.raises(BrokerUnavailableError):
        poll_for_ever(desk.member)
    assert in_time(began, 2)
    desk.line.proxy.fault = None
    topic = desk.question.source.topic
    with closing(desk.line.direct.publisher()) as publisher:
        publisher.publish(Record(topic, b"k", b"2"))
        publisher.flush(30)
    got: list[Delivery] = []
    while not got:
        assert time.monotonic() - began < 30
        try:
            got = desk.member.poll(0.1, 10)
        except BrokerUnavailableError:
            continue
    assert got[0].record.value == b"2"
