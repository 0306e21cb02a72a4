"""Workers and brokers are killed under a stream of segments; afterwards every segment has exactly one answer.

pytest tests/chaos                 15 kills
pytest tests/chaos -m chaos -s     200 kills, 10 broker restarts, 20 rebalances
"""

from __future__ import annotations

import random
import time
import uuid
from pathlib import Path

import pytest
from chaos_worker import Orders
from crew import Crew, Feed, Toll, everything, told, topics_on, undisturbed, wait_for_no_lag

from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.verify import verify

pytestmark = pytest.mark.kafka


def survive(
    broker: LocalBroker, folder: Path, *, kills: int, restarts: int, rebalances: int, per_s: float, seed: int
) -> Toll:
    rng = random.Random(seed)
    bus = KafkaBus(KafkaConfig((broker.bootstrap,), deadline_s=10))
    topics = topics_on(bus)
    group = f"group-{uuid.uuid4()}"
    crew = Crew(Orders(broker.bootstrap, topics, group, None, str(folder / "workers.log")), rng)
    feed = Feed(bus, topics.segments, random.Random(seed + 1), per_s)
    feed.start()
    toll = crew.toll
    try:
        while sum(toll.kills.values()) < kills:
            crew.tend(deadly=True)
            time.sleep(0.05)
            share = sum(toll.kills.values()) / kills
            if toll.broker_restarts < restarts * share:
                toll.broker_restarts += 1
                (broker.kill if toll.broker_restarts % 2 else broker.stop)()
                broker.start()
            if toll.rebalances < rebalances * share:
                # A hand without a name comes, takes partitions and dies: two rebalances.
                crew.hire(f"hand-{toll.rebalances}", None, deadly=True)
                toll.rebalances += 2
        # No more deaths: what is left gets its answers.
        crew.pardon()
        count = feed.stop()
        wait_for_no_lag(bus, topics, group, 120)
        crew.dismiss()
    finally:
        feed.stop()
        crew.kill()
    proof = verify(bus, topics, group)
    print(f"\n{toll} {count} segments; {proof.verdicts} verdicts, {proof.dead_letters} dead letters; {proof.counts()}")
    assert proof.holds, proof.findings[:10]
    assert (proof.pending, proof.verdicts + proof.dead_letters) == (0, proof.segments)
    if proof.counts()["repeated_upstream"] == 0:
        assert proof.segments == count
    assert told(bus, topics) == undisturbed(everything(bus, topics.segments))
    return toll


def test_fifteen_deaths_change_no_answer(broker: LocalBroker, tmp_path: Path) -> None:
    toll = survive(broker, tmp_path, kills=15, restarts=0, rebalances=0, per_s=20, seed=1)
    assert sum(toll.kills.values()) >= 15


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [7])
def test_two_hundred_deaths_change_no_answer(broker: LocalBroker, tmp_path: Path, seed: int) -> None:
    toll = survive(broker, tmp_path, kills=200, restarts=10, rebalances=20, per_s=12, seed=seed)
    assert (sum(toll.kills.values()) >= 200, toll.broker_restarts >= 10, toll.rebalances >= 20) == (True, True, True)
