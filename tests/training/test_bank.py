"""The bank: fresh pairs, the same for the same draw, both members of one size."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_faces import drawn_clip

from scanner.core.types import ClipSpec
from scanner.training.bank import Bank, squared
from scanner.training.config import TrainConfig
from scanner.training.sources import Footage
from scanner.training.train import open_bank

pytestmark = pytest.mark.training


@pytest.fixture
def folder(tmp_path):
    squares, points, boxes, groups = [], [], [], []
    for seed in range(3):
        frames, track = drawn_clip(seed)
        box = np.tile(np.array([34, 26, 94, 106], np.float32), (len(frames), 1))
        f, p, b = squared(Footage(frames, box, track), [0, 8, 16])
        squares.append(f)
        points.append(p)
        boxes.append(b)
        groups += [seed] * 3
    np.save(tmp_path / "frames.npy", np.concatenate(squares))
    np.savez(
        tmp_path / "table.npz",
        points=np.concatenate(points),
        boxes=np.concatenate(boxes),
        groups=np.array(groups),
        people=np.array(["a", "b", "c"]),
        methods=np.array(["", "", ""]),
    )
    return tmp_path


@pytest.fixture
def bank(folder):
    return Bank(folder, ClipSpec())


def test_the_same_draw_gives_the_same_pair(bank):
    first, again = (bank.pair(np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.mask, again.mask)
    assert np.abs(first.pixels.astype(int) - again.pixels).mean() < 1  # what x264 makes of both may differ by a bit
    assert first.family == again.family


def test_a_pair_is_cut_to_the_models_square_and_its_members_differ(bank):
    rng = np.random.default_rng(0)
    pairs = [bank.pair(rng) for _ in range(8)]
    assert all(pair.pixels.shape == (2, 1, 160, 160, 3) for pair in pairs)
    assert all(pair.mask.shape == (1, 20, 20) for pair in pairs)
    assert sum(not np.array_equal(*pair.pixels) for pair in pairs) >= 7
    assert len({pair.family for pair in pairs}) > 1


def test_a_model_to_compare_with_sees_self_blends_alone(folder):
    bank, rng = Bank(folder, ClipSpec(), true_share=0.0, shares={"A": 1.0}), np.random.default_rng(0)
    assert {bank.pair(rng).family for _ in range(8)} == {"A"}


def test_a_family_that_does_not_exist_is_named(folder):
    with pytest.raises(ValueError, match="no family Z"):
        open_bank(TrainConfig(packs=(), bank=str(folder), fresh_pairs=12, only="AZ"))


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stage": "clip"}, "the clip stage more"),
        ({"length": 8}, "the frame stage has a length of 1"),
        ({"stage": "video"}, "must be frame or clip"),
        ({"stage": "clip", "length": 8, "bank": "b", "packs": ("p",)}, "a bank has single frames"),
        ({"bank": "b"}, "all 12 pairs are fresh"),
    ],
)
def test_a_run_that_could_not_learn_what_it_was_asked_is_refused(asked, says):
    with pytest.raises(ValueError, match=says):
        TrainConfig(**{"packs": (), **asked})
