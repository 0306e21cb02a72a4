"""Accuracy over cost: what counts as the frontier, and a run over two small designs."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.core.types import ClipSpec
from scanner.evaluation.crops import Item
from scanner.sample import draw_sample
from scanner.training.frontier import Design, Material, Point, designs, explore, knee, markdown, write
from scanner.training.model import TempoNet

pytestmark = [pytest.mark.training, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def point(ms, auc, kind="fp32"):
    return Point(Design(160, 8, kind), ms, auc, auc - 0.1, auc + 0.1, 0.5)


def test_what_costs_more_and_tells_no_more_is_not_on_the_frontier():
    cheap, dear, better = point(1, 0.6), point(3, 0.6), point(5, 0.7)
    assert knee([better, dear, cheap]) == [cheap, better]
    assert knee([point(1, 0.5), point(1, 0.6)]) == [point(1, 0.6)]


def test_the_table_begins_with_the_cheapest_and_prints_the_frontier_bold():
    lines = markdown([point(5, 0.55), point(2, 0.6, "int8")]).splitlines()[2:]
    assert lines[0].startswith("| **8 × 160 px int8** | 2.0 | 0.600 (0.50–0.70)")
    assert lines[1].startswith("| 8 × 160 px fp32 | 5.0 |")


def test_every_combination_is_a_design():
    assert len(set(designs([128, 160], [8, 16], ["fp32", "int8"]))) == 8


def test_two_designs_are_built_timed_and_measured(tmp_path):
    items = []
    for seed, forged in ((1, False), (1, True), (2, False), (2, True)):
        file = f"{seed}-{forged}.mp4"
        spans = [(0.0, 1.0)] if forged else []
        draw_sample(tmp_path / file, forged=forged, forged_spans=spans, seconds=1, size=(320, 240), seed=seed)
        items.append(Item(file, forged, "face_swap", "drawn", str(seed), str(seed), str(seed)))
    spec = ClipSpec(length=8, size=64)
    ranges = tmp_path / "pack"
    ranges.mkdir()
    np.save(ranges / "000000.npy", np.random.default_rng(0).integers(0, 256, (4, 2, 3, 96, 96, 3), np.uint8))
    wanted = designs([64, 96], [4], ["fp32", "int8"])
    found = explore(TempoNet().eval(), Material(tmp_path, items, spec, 2), wanted, ranges, tmp_path / "out")
    assert [one.design for one in found] == wanted
    assert all(one.ms > 0 and 0 <= one.low <= one.auc <= one.high <= 1 for one in found)
    write(found, tmp_path / "out")
    assert {path.suffix for path in (tmp_path / "out").glob("frontier.*")} == {".json", ".md", ".png"}
