"""A worker process that kills itself at a named point of its loop. Forked from a server that has all of this loaded."""

from __future__ import annotations

import os
import random
import signal
import threading
from dataclasses import dataclass
from multiprocessing.synchronize import Event

from prometheus_client import CollectorRegistry
from real_cells import celled
from scripted import pipeline

from scanner import wire
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.bus.kafka.transactor import KafkaTransactor
from scanner.telemetry import Metrics, set_up_logs
from scanner.worker import Rules, Worker, loop

POINTS = ("restoring", "polled", "looking", "judged", "sent", "offsets", "ended", "paid")


@dataclass(frozen=True)
class Orders:
    bootstrap: str
    topics: wire.Topics
    group: str
    instance: str | None
    log: str
    point: str | None = None
    """where to die"""
    how: signal.Signals = signal.SIGKILL
    """SIGSTOP: not to die, but to be frozen there until somebody sends SIGCONT"""
    passes: int = 0
    """how often the point is passed before"""
    forget_after_s: float = 3600.0
    pending_bytes: int = 256 * 1024 * 1024
    shed_after_s: float | None = None
    cell_dies: float | None = None
    """real decode cells look, and this is the chance that one is killed during a segment; None: a script looks"""


def run(orders: Orders, ready: Event) -> None:
    """`ready` is set when the worker owns its first partitions."""
    log = os.open(orders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    set_up_logs("info", "json")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _after(loop.Worker, "assigned", ready.set)
    if orders.point:
        _arm(orders.point, orders.passes, orders.how)
    config = KafkaConfig(
        (orders.bootstrap,),
        instance=orders.instance,
        deadline_s=5,
        session_s=4,
        poll_interval_s=20,
        fetch_bytes=orders.pending_bytes // 4,
    )
    rules = Rules(
        orders.topics,
        orders.group,
        None,
        lookers=4,
        commit_interval_s=0.05,
        drain_s=10,
        forget_after_s=orders.forget_after_s,
        pending_bytes=orders.pending_bytes,
        shed_after_s=orders.shed_after_s,
    )
    with pipeline() if orders.cell_dies is None else celled(orders.cell_dies) as parts:
        Worker(KafkaBus(config), parts, None, Metrics(CollectorRegistry()), rules).run(stop)


def _arm(point: str, passes: int, how: signal.Signals) -> None:
    left = passes

    def at(here: str) -> None:
        nonlocal left
        if here == point:
            left -= 1
            if left == -1:
                os.kill(os.getpid(), how)

    waits = ["offsets", "ended"]

    def waited() -> None:
        waits.reverse()
        at(waits[1])

    _after(loop, "remembered", lambda: at("restoring"))
    _after(loop.Worker, "_take", lambda: at("polled"))
    _after(loop.Looker, "look", lambda: at("looking"))
    _after(loop.Answering, "answer", lambda: at("judged"))
    _after(KafkaTransactor, "_send", lambda: at("sent"))
    _after(KafkaTransactor, "_wait", waited)
    _after(loop.Worker, "_note", lambda: at("paid"))


def _after(owner, name: str, then) -> None:
    """Makes `then` run whenever the function is done."""
    plain = getattr(owner, name)

    def wrapped(*arguments, **named):
        result = plain(*arguments, **named)
        then()
        return result

    setattr(owner, name, staticmethod(wrapped) if isinstance(vars(owner)[name], staticmethod) else wrapped)


def orders_to_die(rng: random.Random) -> dict[str, object]:
    """Four of five die at a named point, the others whenever it pleases their killer."""
    return {"point": rng.choice(POINTS) if rng.random() < 0.8 else None, "passes": rng.choice([0, 0, 1, 3])}
