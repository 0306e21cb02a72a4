"""What tests share that kill workers: a crew that is filled again, a feed that goes on, and what must be true after."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from chaos_worker import Orders, orders_to_die, run
from prometheus_client import CollectorRegistry
from scripted import facts, pipeline, record

from scanner import wire
from scanner.bus.kafka import KafkaBus
from scanner.bus.memory import MemoryBus
from scanner.core.errors import BrokerUnavailableError
from scanner.ports import Bus, Record, TopicPlan
from scanner.telemetry import Metrics
from scanner.worker import Rules, Worker

STREAMS = 6
PARTITIONS = 4
SLOTS = 2
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["chaos_worker"])


@dataclass
class Toll:
    """What was done to them."""

    kills: Counter[str] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)
    broker_restarts: int = 0
    rebalances: int = 0


@dataclass
class Hand:
    """A worker process, and what is to become of it."""

    process: multiprocessing.process.BaseProcess
    ready: Event
    point: str | None
    lives_s: float
    """once it works, unless it comes to its point before; one that does not get to work lives a little longer"""
    born_s: float = field(default_factory=time.monotonic)
    began_s: float | None = None

    @property
    def overdue(self) -> bool:
        now = time.monotonic()
        if self.began_s is None and self.ready.is_set():
            self.began_s = now
        return now > (self.born_s + 30 if self.began_s is None else self.began_s + self.lives_s)


class Crew:
    """Worker slots that are filled again as soon as they are empty, and a temporary hand now and then."""

    def __init__(self, orders: Orders, rng: random.Random, lives_s: float = 2) -> None:
        """`lives_s` is how long at most a worker lives that does not die at a point of its loop."""
        self.toll = Toll()
        self._orders = orders
        self._rng = rng
        self._lives_s = lives_s
        self._slots: dict[str, Hand] = {}

    def tend(self, *, deadly: bool) -> None:
        """Buries the dead, kills whose time has come, fills empty slots."""
        for name, hand in list(self._slots.items()):
            if not hand.process.is_alive():
                code = hand.process.exitcode
                assert code == -signal.SIGKILL, f"{name} ended by itself: {code}"
                self.toll.kills["at random" if hand.overdue else str(hand.point)] += 1
                del self._slots[name]
            elif deadly and hand.overdue:
                hand.process.kill()
        for name in (f"slot-{number}" for number in range(SLOTS)):
            if name not in self._slots:
                self.hire(name, name, deadly=deadly)

    def hire(self, name: str, instance: str | None, *, deadly: bool) -> None:
        orders = replace(self._orders, instance=instance, **(orders_to_die(self._rng) if deadly else {}))
        ready = FORKS.Event()
        process = FORKS.Process(target=run, args=(orders, ready), daemon=True)
        process.start()
        self._slots[name] = Hand(
            process, ready, orders.point, self._rng.uniform(0, self._lives_s) + 3 * bool(orders.point)
        )

    def pardon(self) -> None:
        """The armed are replaced by workers that live, and so do their cells."""
        self.kill()
        self._slots.clear()
        if self._orders.cell_dies is not None:
            self._orders = replace(self._orders, cell_dies=0.0)
        self.tend(deadly=False)

    def dismiss(self, *names: str) -> None:
        """SIGTERM: they finish, commit and leave."""
        for name in names or tuple(self._slots):
            assert self._slots[name].ready.wait(60), f"{name} never got to work"  # until then SIGTERM is death
            self._slots[name].process.terminate()
        for name in names or tuple(self._slots):
            process = self._slots.pop(name).process
            process.join(30)
            assert process.exitcode == 0, f"{name} did not leave: {process.exitcode}"

    def kill(self) -> None:
        for hand in self._slots.values():
            hand.process.kill()
            hand.process.join()


class Feed(threading.Thread):
    """Publishes segments until it is told to stop, whatever becomes of the broker. 5 % are poison."""

    def __init__(self, bus: KafkaBus, topic: str, rng: random.Random, per_s: float, make=record) -> None:
        super().__init__(daemon=True)
        self._make = make
        self.records: list[Record] = []
        self._bus, self._topic, self._rng, self._per_s = bus, topic, rng, per_s
        self._stop_it = threading.Event()

    def run(self) -> None:
        publisher = self._bus.publisher()
        while not self._stop_it.wait(1 / self._per_s):
            kind = self._rng.choices(["good", "poison", "lost"], [94, 5, 1])[0]
            self.records.append(self._make(kind, len(self.records), STREAMS, self._topic))
            while True:
                try:
                    publisher.publish(self.records[-1])
                    publisher.flush(5)
                    break
                except BrokerUnavailableError:
                    continue  # it may be there twice then: the proof counts by offset
        publisher.close()

    def stop(self) -> int:
        self._stop_it.set()
        self.join(60)
        assert not self.is_alive()
        return len(self.records)


def open_nursery() -> None:
    """The process that workers are forked from, with everything loaded: born in a second, not in ten."""
    here = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]))
        forkserver.ensure_running()


def topics_on(bus: Bus) -> wire.Topics:
    mark = uuid.uuid4().hex[:8]
    names = {kind: f"{kind}-{mark}" for kind in ("segments", "verdicts", "alerts", "states", "deadletters")}
    bus.create({name: TopicPlan(PARTITIONS, compacted=kind == "states") for kind, name in names.items()})
    return wire.Topics(**names)


def everything(bus: Bus, topic: str) -> list[Record]:
    found: list[Record] = []
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        while not reader.at_end():
            found += [delivery.record for delivery in reader.poll(0.1, 1000)]
    return found


def told(bus: Bus, topics: wire.Topics) -> tuple[object, object, object]:
    """Verdicts, the last state of each stream, and alerts, without what is a matter of time."""
    verdicts = facts([wire.verdict_of(each) for each in everything(bus, topics.verdicts)])
    states = {each.key: each.value for each in everything(bus, topics.states)}
    alerts = sorted(each.value or b"" for each in everything(bus, topics.alerts))
    return verdicts, states, alerts


def undisturbed(records: list[Record], parts=pipeline) -> tuple[object, object, object]:
    """The same segments through one worker that nothing happens to; `parts` makes its pipeline."""
    bus = MemoryBus()
    topics = topics_on(bus)
    publisher = bus.publisher()
    for each in records:
        publisher.publish(replace(each, topic=topics.segments))
    stop = threading.Event()
    rules = Rules(topics, "alone", None, lookers=4)
    with parts() as made:
        worker = Worker(bus, made, None, Metrics(CollectorRegistry()), rules)
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        wait_for_no_lag(bus, topics, "alone", 120)
        stop.set()
        thread.join(30)
    return told(bus, topics)


def wait_for_no_lag(bus: Bus, topics: wire.Topics, group: str, for_s: float) -> None:
    deadline = time.monotonic() + for_s
    while any((lag := bus.lag(topics.segments, group)).values()):
        assert time.monotonic() < deadline, f"after {for_s} s left: {lag}"
        time.sleep(0.1)
