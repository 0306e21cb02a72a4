"""Decode cells are killed while they look, and now and then a worker with them: each segment has exactly one answer.

pytest tests/chaos                 6 cells
pytest tests/chaos -m chaos -s     100 cells, 10 workers
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from chaos_worker import Orders
from crew import Crew, Feed, everything, told, topics_on, undisturbed, wait_for_no_lag
from real_cells import POINTS, celled, drawn, payloads

from scanner import letters, wire
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.verify import verify

pytestmark = pytest.mark.kafka

Spot = tuple[str, int]
"""stream and sequence"""


def killed(log: Path) -> list[tuple[str, Spot]]:
    """Where each cell was when it was killed, and over which segment."""
    said = log.read_text().splitlines() if log.exists() else []
    lines = [json.loads(line) for line in said if '"cell_killed"' in line]
    return [(line["at"], (line["stream"], line["number"])) for line in lines]


def lost(bus: KafkaBus, topics: wire.Topics) -> frozenset[Spot]:
    """Segments whose second cell was lost, too."""
    found = everything(bus, topics.deadletters)
    twice = [each for each in found if letters.rejected_of(each).error.endswith(".CellLostError")]
    assert {letters.rejected_of(each).attempt for each in twice} <= {2}
    return frozenset((letters.header(each, "stream-id"), int(letters.header(each, "sequence"))) for each in twice)


def survive(broker: LocalBroker, folder: Path, *, cells: int, workers: int, per_s: float, seed: int) -> Counter[str]:
    rng, log = random.Random(seed), folder / "workers.log"
    payloads()  # drawn before the clock runs
    bus = KafkaBus(KafkaConfig((broker.bootstrap,), deadline_s=10))
    topics, group = topics_on(bus), f"group-{uuid.uuid4()}"
    crew = Crew(Orders(broker.bootstrap, topics, group, None, str(log), cell_dies=0.25), rng, lives_s=12)
    feed = Feed(bus, topics.segments, random.Random(seed + 1), per_s, drawn)
    feed.start()
    toll = crew.toll
    try:
        while sum(toll.kills.values()) < workers or toll.cells.total() - toll.cells["resting"] < cells:
            crew.tend(deadly=sum(toll.kills.values()) < workers)
            toll.cells = Counter(at for at, _ in killed(log))
            time.sleep(0.1)
        count = feed.stop()
        crew.pardon()
        wait_for_no_lag(bus, topics, group, 600)
        crew.dismiss()
    finally:
        feed.stop()
        crew.kill()
    proof = verify(bus, topics, group)
    toll.cells, dead = Counter(at for at, _ in killed(log)), lost(bus, topics)
    over = {spot for at, spot in killed(log) if at != "resting"}
    fates = (
        f"{len(over)} segments lost a cell: {len(over - dead)} answered by a fresh one, {len(over & dead)} lost that"
    )
    said = f"{proof.verdicts} verdicts, {proof.dead_letters} dead letters; {proof.counts()}"
    print(f"\n{toll} {count} segments; {said}; {fates}")
    assert proof.holds, proof.findings[:10]
    assert (proof.pending, proof.verdicts + proof.dead_letters) == (0, proof.segments)
    assert len(over - dead) > len(over & dead)
    parts = partial(celled, 0.0, dead)
    assert told(bus, topics) == undisturbed(everything(bus, topics.segments), parts)
    return toll.cells


def test_six_dead_cells_change_no_answer(broker: LocalBroker, tmp_path: Path) -> None:
    cells = survive(broker, tmp_path, cells=6, workers=0, per_s=3, seed=2)
    assert cells["looking"] + cells["shown"] >= 6


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_a_hundred_dead_cells_change_no_answer(broker: LocalBroker, tmp_path: Path) -> None:
    cells = survive(broker, tmp_path, cells=100, workers=10, per_s=4, seed=3)
    assert all(cells[point] for point in POINTS)
    assert sum(cells[point] for point in POINTS) >= 100
