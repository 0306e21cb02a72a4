"""Pairs whose members are equally sharp."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from scanner.training.gpu.steps import smoothed
from scanner.training.gpu.table import LENGTH
from scanner.training.spectra import BINS, evened, evened_apart, evened_pictures, filtered, spectrum

pytestmark = pytest.mark.training
FACE = (24, 24, 48)


def pair(seed=0):
    """A sharp clip (2, T, 3, 96, 96) and a soft copy."""
    torch.manual_seed(seed)
    sharp = torch.rand(2, LENGTH, 3, 96, 96)
    soft = smoothed(sharp.flatten(0, 1), torch.full((2 * LENGTH,), 0.8)).unflatten(0, (2, LENGTH))
    return sharp, soft


def apart(one, other):
    return float((spectrum(one).log() - spectrum(other).log())[:, 1 : BINS // 2].abs().mean())


@pytest.mark.parametrize("sharpen", [True, False])
def test_both_members_of_a_pair_come_out_equally_sharp(sharpen):
    sharp, soft = pair()
    real, made = evened(sharp, soft, torch.ones(2, LENGTH, 1, 96, 96), FACE, sharpen=sharpen)
    assert (real is sharp) is sharpen
    assert (made is soft) is not sharpen
    assert apart(real, made) < 0.25 * apart(sharp, soft)


def test_what_is_not_forged_is_not_sharpened():
    sharp, soft = pair()
    mask = torch.zeros(2, LENGTH, 1, 96, 96)
    mask[..., 24:72, 24:72] = 1
    _, made = evened(sharp, soft, mask, FACE, sharpen=True)
    assert torch.equal(made[..., :24, :], soft[..., :24, :])
    assert not torch.equal(made[..., 40:50, 40:50], soft[..., 40:50, 40:50])


@pytest.mark.parametrize("sharpen", [True, False])
@pytest.mark.parametrize("shape", [(96, 96), (90, 121)])
def test_pictures_of_any_shape_are_evened_where_their_face_is(shape, sharpen):
    height, width = shape
    rng = np.random.default_rng(0)
    sharp = rng.integers(40, 216, (2, *shape, 3), dtype=np.uint8)
    soft = np.stack([cv2.GaussianBlur(picture, (0, 0), 0.5) for picture in sharp])
    mask = np.zeros((2, *shape), np.float32)
    box = np.array([-4, 10, width + 9, height - 10], np.float32)  # a face may reach beyond its picture
    real, made = evened_pictures(sharp, soft, mask, box, sharpen=sharpen)
    assert real.shape == made.shape == sharp.shape
    assert np.array_equal(real, sharp) is sharpen
    fine = [np.diff(clip.astype(float), axis=2).std() for clip in (sharp, soft, real, made)]
    assert abs(fine[2] - fine[3]) < 0.3 * (fine[0] - fine[1])


def test_a_filter_of_ones_changes_nothing_and_the_mean_always_stays():
    sharp, _ = pair()
    assert torch.allclose(filtered(sharp, torch.ones(2, BINS)), sharp, atol=1e-5)
    calm = 0.4 + 0.1 * sharp
    assert torch.allclose(filtered(calm, torch.full((2, BINS), 0.1)).mean(), calm.mean(), atol=1e-3)


@pytest.mark.parametrize("sharpen", [True, False])
def test_clips_of_other_people_and_sizes_are_evened_by_their_faces(sharpen):
    rng = np.random.default_rng(0)
    sharp = rng.integers(40, 216, (2, 100, 140, 3), dtype=np.uint8)
    soft = np.stack([cv2.GaussianBlur(picture, (0, 0), 0.6) for picture in rng.integers(40, 216, (2, 96, 96, 3), "u1")])
    places = np.array([0.2, 0.1, 0.7, 0.8], np.float32), np.array([0.1, 0.1, 0.8, 0.9], np.float32)
    real, made = evened_apart(sharp, soft, places, sharpen=sharpen)
    assert (real.shape, made.shape) == (sharp.shape, soft.shape)
    assert np.array_equal(made, soft) is not sharpen
    fine = [np.diff(clip.astype(float), axis=2).std() for clip in (sharp, soft, real, made)]
    assert abs(fine[2] - fine[3]) < 0.4 * (fine[0] - fine[1])
