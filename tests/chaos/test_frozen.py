"""Workers that are frozen in the middle of their loop until others have their partitions, and go on as if nothing were.

pytest tests/chaos/test_frozen.py
"""

from __future__ import annotations

import os
import random
import signal
import time
import uuid
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from chaos_worker import POINTS, Orders, run
from crew import FORKS, Feed, everything, told, topics_on, undisturbed, wait_for_no_lag

from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.verify import verify

pytestmark = pytest.mark.kafka

ICE_S = 13.0
"""longer than a worker's session (4 s) and its transactions' lives (10 s)"""


def hired(orders: Orders) -> BaseProcess:
    """A worker that owns its first partitions, or is frozen already."""
    ready = FORKS.Event()
    process = FORKS.Process(target=run, args=(orders, ready), daemon=True)
    process.start()
    until(lambda: ready.is_set() or frozen(process), 60)
    return process


def frozen(process: BaseProcess) -> bool:
    try:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False


def until(condition, for_s: float) -> None:
    deadline = time.monotonic() + for_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def survive(broker: LocalBroker, folder: Path, points: tuple[str, ...], *, named: bool) -> None:
    bus = KafkaBus(KafkaConfig((broker.bootstrap,), deadline_s=10))
    topics, group = topics_on(bus), f"group-{uuid.uuid4()}"
    plain = Orders(broker.bootstrap, topics, group, None, str(folder / "workers.log"))
    feed = Feed(bus, topics.segments, random.Random(5), 15)
    feed.start()
    workers: list[BaseProcess] = []
    try:
        for number, point in enumerate(points):
            # Each takes over from the frozen one before.
            name = f"slot-{number}" if named else None
            passes = 0 if point == "restoring" else 2  # once a membership
            workers.append(hired(replace(plain, instance=name, point=point, passes=passes, how=signal.SIGSTOP)))
            until(lambda: frozen(workers[-1]), 60)
        workers.append(hired(plain))
        time.sleep(ICE_S)
        for worker in workers[:-1]:
            os.kill(worker.pid or 0, signal.SIGCONT)
        time.sleep(3)
        count = feed.stop()
        wait_for_no_lag(bus, topics, group, 120)
        assert all(worker.is_alive() for worker in workers), "who was frozen works on"
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(30)
            assert worker.exitcode == 0
    finally:
        feed.stop()
        for worker in workers:
            worker.kill()
    proof = verify(bus, topics, group)
    assert proof.holds, proof.findings[:10]
    assert (proof.pending, proof.verdicts + proof.dead_letters, proof.segments) == (0, count, count)
    assert told(bus, topics) == undisturbed(everything(bus, topics.segments))


def test_who_wakes_up_after_others_took_over_answers_nothing_twice(broker: LocalBroker, tmp_path: Path) -> None:
    survive(broker, tmp_path, ("sent", "ended"), named=True)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
@pytest.mark.parametrize("points", [POINTS[0:3], POINTS[3:6], POINTS[6:]])
def test_at_every_point_of_the_loop(
    broker: LocalBroker,
    tmp_path: Path,
    points: tuple[str, ...],
    *,
    named: bool,
) -> None:
    survive(broker, tmp_path, points, named=named)


def test_two_workers_that_were_given_one_name_answer_nothing_twice(broker: LocalBroker, tmp_path: Path) -> None:
    bus = KafkaBus(KafkaConfig((broker.bootstrap,), deadline_s=10))
    topics, group = topics_on(bus), f"group-{uuid.uuid4()}"
    orders = Orders(broker.bootstrap, topics, group, "twin", str(tmp_path / "workers.log"))
    feed = Feed(bus, topics.segments, random.Random(6), 15)
    feed.start()
    twins = [hired(orders) for _ in range(2)]
    try:
        time.sleep(8)
        print([twin.exitcode for twin in twins])
        assert any(twin.is_alive() for twin in twins)
        count = feed.stop()
        wait_for_no_lag(bus, topics, group, 60)
    finally:
        feed.stop()
        for twin in twins:
            twin.kill()
    proof = verify(bus, topics, group)
    assert proof.holds, proof.findings[:10]
    assert (proof.pending, proof.verdicts + proof.dead_letters, proof.segments) == (0, count, count)
    assert told(bus, topics) == undisturbed(everything(bus, topics.segments))
