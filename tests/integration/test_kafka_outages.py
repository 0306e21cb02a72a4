"""What happens when Apache Kafka goes away, comes back, or says no."""

from __future__ import annotations

import gc
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.errors import BrokerRefusedError, BrokerUnavailableError, ScannerError
from scanner.ports import Delivery, Record, Subscription, TopicPlan

pytestmark = pytest.mark.kafka

DEADLINE_S = 3.0
# A deadline counts from the last sign of life; a call may begin just before it and last one request.
WITHIN_S = 2 * DEADLINE_S


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker of our own, to be killed."""
    with LocalBroker(tmp_path_factory.mktemp("outages") / "broker") as broker:
        yield broker


@pytest.fixture
def bus(broker: LocalBroker) -> KafkaBus:
    broker.start()
    return KafkaBus(KafkaConfig((broker.bootstrap,), deadline_s=DEADLINE_S, session_s=10))


@pytest.fixture
def topic(bus: KafkaBus) -> str:
    name = f"topic-{uuid.uuid4()}"
    bus.create({name: TopicPlan(1)})
    return name


def fails_in_time(call: Callable[[], object]) -> None:
    started = time.monotonic()
    with pytest.raises(BrokerUnavailableError) as caught:
        call()
    took_s = time.monotonic() - started
    assert took_s < WITHIN_S, f"{caught.value} took {took_s:.1f} s"


def take(member: Subscription, count: int) -> list[Delivery]:
    """Polls as a worker does: an absent broker is no reason to stop."""
    got: list[Delivery] = []
    deadline = time.monotonic() + 60
    while len(got) < count:
        assert time.monotonic() < deadline, f"{len(got)} of {count} came"
        try:
            got += member.poll(0.1, 100)
        except BrokerUnavailableError:
            continue
    return got


def poll_until_it_fails(poll: Callable[[float, int], list[Delivery]]) -> None:
    while True:
        assert poll(0.1, 100) == []


def test_nobody_there_is_told_within_the_deadline() -> None:
    bus = KafkaBus(KafkaConfig(("127.0.0.1:1",), deadline_s=1))
    fails_in_time(lambda: bus.create({"t": TopicPlan(1)}))
    fails_in_time(lambda: bus.subscribe(["t"], "g"))
    fails_in_time(bus.publisher)
    fails_in_time(lambda: bus.reader(["t"], from_beginning=True))
    fails_in_time(lambda: bus.lag("t", "g"))


def test_a_broker_that_dies_is_noticed_and_its_return_too(bus: KafkaBus, broker: LocalBroker, topic: str) -> None:
    publisher, reader = bus.publisher(), bus.reader([topic], from_beginning=True)
    with closing(publisher), closing(reader), closing(bus.subscribe([topic], "g")) as member:
        publisher.publish(Record(topic, b"k", b"before"))
        publisher.flush(DEADLINE_S)
        first = take(member, 1)
        assert [d.record.value for d in reader.poll(5, 10)] == [b"before"]
        offsets = {(topic, 0): first[-1].offset + 1}
        broker.kill()

        publisher.publish(Record(topic, b"k", b"lost"))
        fails_in_time(lambda: publisher.flush(DEADLINE_S))
        fails_in_time(lambda: poll_until_it_fails(member.poll))
        fails_in_time(lambda: poll_until_it_fails(reader.poll))
        fails_in_time(lambda: member.commit([], offsets))
        fails_in_time(lambda: member.commit([Record(topic, b"k", b"lost too")], offsets))
        broker.start()

        member_commits(member, offsets)
        publisher.publish(Record(topic, b"k", b"after"))
        publisher.flush(30)
        assert [d.record.value for d in take(member, 1)][-1] == b"after"
    with closing(bus.subscribe([topic], "g")) as member:
        assert take(member, 1)[0].offset == first[-1].offset + 1, "the commit outlived the broker"


def member_commits(member: Subscription, offsets: dict[tuple[str, int], int]) -> None:
    """As a worker does: poll, try again."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            return member.commit([], offsets)
        except ScannerError:
            assert member.poll(0.1, 100) == []
    pytest.fail("never committed")


def test_a_clean_restart_is_ridden_out(bus: KafkaBus, broker: LocalBroker, topic: str) -> None:
    with closing(bus.publisher()) as publisher, closing(bus.subscribe([topic], "g2")) as member:
        publisher.publish(Record(topic, b"k", b"0"))
        publisher.flush(DEADLINE_S)
        take(member, 1)
        broker.stop()
        broker.start()
        publisher.publish(Record(topic, b"k", b"1"))
        publisher.flush(30)
        assert [d.record.value for d in take(member, 1)] == [b"1"]


def test_an_absent_broker_costs_neither_memory_nor_a_hang_at_the_end(
    bus: KafkaBus, broker: LocalBroker, topic: str
) -> None:
    small = KafkaBus(KafkaConfig((broker.bootstrap,), deadline_s=DEADLINE_S, inflight_bytes=3_000_000))
    publisher, member = small.publisher(), bus.subscribe([topic], "g3")
    publisher.publish(Record(topic, b"k", bytes(1_000_000)))
    publisher.flush(30)
    take(member, 1)
    broker.kill()
    publisher.publish(Record(topic, b"k", bytes(1_000_000)))
    publisher.publish(Record(topic, b"k", bytes(1_000_000)))
    fails_in_time(lambda: publisher.publish(Record(topic, b"k", bytes(1_500_000))))
    publisher.publish(Record(topic, b"k", b"never sent"))
    started = time.monotonic()
    publisher.close()
    member.close()
    assert time.monotonic() - started < WITHIN_S


def test_a_record_over_the_topics_limit_is_refused_with_a_hint(bus: KafkaBus) -> None:
    topic = f"topic-{uuid.uuid4()}"
    bus.create({topic: TopicPlan(1, max_record_bytes=1_000_000)})
    with closing(bus.publisher()) as publisher:
        publisher.publish(Record(topic, b"k", bytes(2_000_000)))
        with pytest.raises(BrokerRefusedError, match="inline_limit_bytes"):
            publisher.flush(DEADLINE_S)
        publisher.publish(Record(topic, b"k", b"small"))
        publisher.flush(DEADLINE_S)


def test_a_commit_whose_outputs_are_refused_moves_no_offset(bus: KafkaBus, topic: str) -> None:
    answers = f"topic-{uuid.uuid4()}"
    bus.create({answers: TopicPlan(1, max_record_bytes=1000)})
    with closing(bus.publisher()) as publisher:
        publisher.publish(Record(topic, b"k", b"question"))
        publisher.flush(DEADLINE_S)
    with closing(bus.subscribe([topic], "g4")) as member:
        (question,) = take(member, 1)
        with pytest.raises(BrokerRefusedError):
            member.commit([Record(answers, b"k", bytes(5000))], {(topic, 0): question.offset + 1})
    assert bus.lag(topic, "g4") == {(topic, 0): 1}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker that asks for a name and a password."""
    users = 'user_admin="admin-secret" user_scanner="open sesame"'
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": f'{login} username="admin" password="admin-secret" {users};',
    }
    with LocalBroker(tmp_path_factory.mktemp("guarded") / "broker", properties=properties) as broker:
        yield broker


def test_a_password_opens_and_a_wrong_one_is_asked_about(guarded: LocalBroker) -> None:
    def bus(password: str) -> KafkaBus:
        config = KafkaConfig(
            (guarded.bootstrap,),
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            username="scanner",
            password=password,
            deadline_s=DEADLINE_S,
        )
        assert password not in repr(config)
        return KafkaBus(config)

    assert bus("open sesame").create({"t": TopicPlan(1)}) == ["t"]
    with (
        closing(bus("open sesame").publisher()) as publisher,
        closing(bus("open sesame").subscribe(["t"], "g")) as member,
    ):
        publisher.publish(Record("t", b"k", b"v"))
        publisher.flush(DEADLINE_S)
        assert [d.record.value for d in take(member, 1)] == [b"v"]
    with pytest.raises(BrokerUnavailableError, match="are username and password right"):
        bus("wrong").create({"t": TopicPlan(1)})


def test_asking_in_vain_leaves_no_thread_and_no_descriptor() -> None:
    bus = KafkaBus(KafkaConfig(("127.0.0.1:1",), deadline_s=0.2, instance="slot"))
    asked = (lambda: bus.subscribe(["t"], "g"), bus.publisher, lambda: bus.reader(["t"], from_beginning=True))
    before = held()
    for ask in asked * 5:
        with pytest.raises(BrokerUnavailableError):
            ask()
    after = held()
    assert after[0] <= before[0]
    assert after[1] <= before[1] + 1


def held() -> tuple[int, int]:
    gc.collect()  # sockets that were refused are left to it
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
