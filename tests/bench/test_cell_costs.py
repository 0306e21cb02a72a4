"""What a decode cell costs: `pytest -m bench tests/bench/test_cell_costs.py -s`. Prints one JSON line a figure."""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from scanner.core.errors import CellLostError
from scanner.core.types import ClipSpec, Mode
from scanner.media.cell import Cell, CellPlan
from scanner.media.pool import CellPool
from scanner.sample import draw_sample
from scanner.testing import segment_of

sys.path.insert(0, str(Path(__file__).parent))

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
ROUNDS = 15


def told(figure: str, **facts: object) -> None:
    sys.stderr.write(json.dumps({"figure": figure, **facts}) + "\n")


def seen(pool: CellPool, payload: bytes) -> float:
    began = time.perf_counter()
    clips = sum(1 for _ in pool.observe(segment_of(payload), Mode.FULL).clips())
    assert clips
    return time.perf_counter() - began


def computed(pid: int) -> float:
    """Seconds of processor time of a process with all its threads: steadier than the clock on a shared machine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def worked(pool: CellPool, payload: bytes) -> float:
    """Processor seconds of the one cell that sees the segment."""
    cell = pool._idle[-1]  # the one that came back last is lent next
    before = computed(cell.child.pid)
    seen(pool, payload)
    return computed(cell.child.pid) - before


@pytest.fixture(scope="module")
def payload(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    draw_sample(path, forged=False, seconds=4, fps=30, size=(1280, 720))
    return path.read_bytes()


def test_a_confined_cell_beside_one_that_is_not(payload: bytes) -> None:
    """Alternating, the same segment: 4 s of 720p30 with one face."""
    spec, times = ClipSpec(), {"confined": [], "open": []}
    with (
        CellPool(1, CellPlan(spec)) as confined,
        CellPool(1, CellPlan(spec, detectors="open_room:near_and_far")) as open_,
    ):
        assert set(confined.ready()) - set(open_.ready()) == {"seccomp", "landlock"}
        for pool in (confined, open_):
            seen(pool, payload)
        for _ in range(ROUNDS):
            times["confined"].append(worked(confined, payload))
            times["open"].append(worked(open_, payload))
    medians = {name: statistics.median(values) for name, values in times.items()}
    told(
        "cell_beside_open_room",
        confined_cpu_s=round(medians["confined"], 3),
        open_cpu_s=round(medians["open"], 3),
        ratio=round(statistics.median(c / o for c, o in zip(times["confined"], times["open"], strict=True)), 3),
        rounds=ROUNDS,
    )


def test_a_cell_starts_and_is_replaced(payload: bytes) -> None:
    """From nothing to ready; and from its death to the end of the next segment, less what that one takes itself."""
    starts, costs = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        cell = Cell(CellPlan(ClipSpec()))
        cell.start(60)
        starts.append(time.perf_counter() - began)
        costs.append(computed(cell.child.pid))
        cell.close()
    gaps = []
    with CellPool(1, CellPlan(ClipSpec())) as pool:
        usual = min(seen(pool, payload) for _ in range(3))
        for _ in range(ROUNDS):
            clips = pool.observe(segment_of(payload), Mode.FULL).clips()
            next(clips)
            (cell,) = pool._lent
            os.kill(cell.child.pid, signal.SIGKILL)
            died = time.perf_counter()
            with suppress(CellLostError):
                list(clips)
            seen(pool, payload)
            gaps.append(time.perf_counter() - died - usual)
            time.sleep(2)
    told(
        "cell_start_and_replacement",
        start_cpu_s=round(statistics.median(costs), 2),
        start_s=round(statistics.median(starts), 2),
        replaced_s=round(statistics.median(gaps), 3),
        replaced_at_worst_s=round(max(gaps), 3),
        rounds=ROUNDS,
    )
