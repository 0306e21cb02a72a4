"""A broker that is away when somebody starts is waited for: nobody has to be started again, nobody is ready before."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from scripted import pipeline, record

from scanner import wire
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.cli import replay_topic
from scanner.cli.replay_topic import publish_archive
from scanner.cli.replaying import Order
from scanner.ports import TopicPlan
from scanner.replay.items import items_of
from scanner.settings import Settings
from scanner.telemetry import Metrics
from scanner.testing import draw_video
from scanner.verify import verify
from scanner.worker import Rules, Worker

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    with LocalBroker(tmp_path_factory.mktemp("away") / "broker") as broker:
        yield broker


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """What was left asking has ended, and kafka-python's refused sockets go while that is no warning."""
    yield
    for thread in threading.enumerate():
        if thread.name == "asking the broker":
            thread.join(20)
    gc.collect()


@pytest.fixture
def topics(broker: LocalBroker) -> Iterator[wire.Topics]:
    """They exist, hold five segments, and their broker is away. It is there again afterwards."""
    mark = uuid.uuid4().hex[:8]
    topics = wire.Topics(*(f"{kind}-{mark}" for kind in ("segments", "verdicts", "alerts", "states", "deadletters")))
    broker.start()
    bus = KafkaBus(KafkaConfig((broker.bootstrap,)))
    bus.create({name: TopicPlan(2) for name in (topics.segments, topics.verdicts, topics.alerts, topics.deadletters)})
    bus.create({topics.states: TopicPlan(2, compacted=True)})
    publisher = bus.publisher()
    for number in range(5):
        publisher.publish(record("good", number, 2, topics.segments))
    publisher.flush(30)
    publisher.close()
    broker.stop()
    yield topics
    broker.start()


class Hand:
    """A worker on a thread of its own."""

    def __init__(self, broker: LocalBroker, topics: wire.Topics, *, instance: str | None) -> None:
        self.stop = threading.Event()
        self.metrics = Metrics(CollectorRegistry())
        self.metrics.pulse.warm = True
        self.failure: list[BaseException] = []
        self._bus = KafkaBus(KafkaConfig((broker.bootstrap,), instance=instance, deadline_s=5))
        self._rules = Rules(topics, topics.segments, None, lookers=2, commit_interval_s=0.05)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def leaves_within(self, for_s: float) -> bool:
        self.stop.set()
        self._thread.join(for_s)
        return not self._thread.is_alive() and not self.failure

    @property
    def works(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        with pipeline() as parts:
            try:
                Worker(self._bus, parts, None, self.metrics, self._rules).run(self.stop)
            except BaseException as error:  # noqa: BLE001 - asked for by the test
                self.failure.append(error)


@pytest.mark.parametrize("instance", [None, "slot"])
def test_a_worker_waits_and_then_answers_everything(
    broker: LocalBroker, topics: wire.Topics, instance: str | None
) -> None:
    hand = Hand(broker, topics, instance=instance)
    time.sleep(3)
    assert hand.works, hand.failure
    assert (hand.metrics.pulse.alive, hand.metrics.pulse.ready) == (True, False)
    broker.start()
    bus = KafkaBus(KafkaConfig((broker.bootstrap,)))
    deadline = time.monotonic() + 60
    while any(bus.lag(topics.segments, topics.segments).values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert hand.metrics.pulse.ready
    assert hand.leaves_within(20)
    proof = verify(bus, topics, topics.segments)
    assert (proof.holds, proof.verdicts, proof.pending) == (True, 5, 0)


def test_a_worker_that_waits_leaves_at_once(broker: LocalBroker, topics: wire.Topics) -> None:
    hand = Hand(broker, topics, instance=None)
    time.sleep(1)
    began = time.monotonic()
    assert hand.leaves_within(5)
    assert time.monotonic() - began < 2


@pytest.fixture
def archive(broker: LocalBroker, topics: wire.Topics, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a replay to the topic, which hears of an absent broker within two seconds."""
    impatient = KafkaBus(KafkaConfig((broker.bootstrap,), deadline_s=2))
    monkeypatch.setattr(replay_topic, "kafka_bus", lambda _: impatient)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Settings(topics={"segments": topics.segments})
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_an_archive_waits_for_the_broker_to_publish_to(broker: LocalBroker, archive: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(draw_video(frames=50, gop=25))
    items = items_of([str(tmp_path / "a.mp4")], None)
    order = Order(tmp_path / "out", None, at_once=1, megabytes_per_s=None, parquet=False, room_bytes=1 << 30)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until it is listened for, it must not end the tests
    threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    began = time.monotonic()
    told = publish_archive(items, archive, order, "max", archive.topics.segments)
    assert time.monotonic() - began < 5
    assert (told["done"], told["stopped"]) == (0, True)
    threading.Timer(1, broker.start).start()
    told = publish_archive(items, archive, order, "max", archive.topics.segments)
    assert (told["done"], told["stopped"]) == (1, False)
