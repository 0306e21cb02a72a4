"""Pairs whose members are equally sharp."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scanner.training.gpu.spectra import BINS, evened, filtered, spectrum
from scanner.training.gpu.steps import Draw, Forged, smoothed
from scanner.training.gpu.table import LENGTH

pytestmark = pytest.mark.training
CPU = torch.device("cpu")


def pair(seed=0):
    """A sharp clip (2, T, 3, 96, 96) and a soft copy."""
    torch.manual_seed(seed)
    sharp = torch.rand(2, LENGTH, 3, 96, 96)
    soft = smoothed(sharp.flatten(0, 1), torch.full((2 * LENGTH,), 0.8)).unflatten(0, (2, LENGTH))
    return sharp, soft


def apart(one, other):
    return float((spectrum(one).log() - spectrum(other).log())[:, 1 : BINS // 2].abs().mean())


@pytest.mark.parametrize("chance", [True, False])
def test_both_members_of_a_pair_come_out_equally_sharp(monkeypatch, chance):
    sharp, soft = pair()
    draw = Draw(np.random.default_rng(0), CPU)
    monkeypatch.setattr(Draw, "chance", lambda self, share: chance)
    mask = torch.ones(2, LENGTH, 1, 96, 96)
    real, made = evened(sharp, Forged(soft, mask), draw)
    assert (real is sharp) is not chance
    assert (made.clips is soft) is chance
    assert apart(real, made.clips) < 0.25 * apart(sharp, soft)


def test_what_is_not_forged_is_not_sharpened(monkeypatch):
    sharp, soft = pair()
    monkeypatch.setattr(Draw, "chance", lambda self, share: False)
    mask = torch.zeros(2, LENGTH, 1, 96, 96)
    mask[..., 24:72, 24:72] = 1
    _, made = evened(sharp, Forged(soft, mask), Draw(np.random.default_rng(0), CPU))
    assert torch.equal(made.clips[..., :24, :], soft[..., :24, :])
    assert not torch.equal(made.clips[..., 40:50, 40:50], soft[..., 40:50, 40:50])


def test_a_filter_of_ones_changes_nothing_and_the_mean_always_stays():
    sharp, _ = pair()
    assert torch.allclose(filtered(sharp, torch.ones(2, BINS)), sharp, atol=1e-5)
    calm = 0.4 + 0.1 * sharp
    assert torch.allclose(filtered(calm, torch.full((2, BINS), 0.1)).mean(), calm.mean(), atol=1e-3)
