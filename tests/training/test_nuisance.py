"""What happens to video on its way: sizes, an earlier encoder, alike for both members of a pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_faces import drawn_clip

from scanner.training.nuisance import SHOWN_PX, draw_nuisance, shown, shown_mask, shown_shape

pytestmark = pytest.mark.training

NATIVE_PX = 80.0


@pytest.fixture(scope="module")
def clip():
    return drawn_clip(0)[0][:4]


def draws(count: int):
    rng = np.random.default_rng(0)
    return [draw_nuisance(rng, NATIVE_PX, 4) for _ in range(count)]


def test_faces_are_shown_smaller_and_up_to_three_times_larger_than_they_were_filmed():
    ratios = [draw.face_px / draw.origin_px for draw in draws(400)]
    assert min(ratios) < 0.8
    assert 1.5 < max(ratios) < 3.001
    assert all(draw.origin_px <= NATIVE_PX and draw.face_px <= SHOWN_PX[1] for draw in draws(400))


def test_an_earlier_encoder_leaves_its_mark(clip):
    draw = replace(draws(1)[0], noise=0.0, fixed_noise=0.0, repeat=(0, 0))
    clean = shown(clip, NATIVE_PX, replace(draw, first_crf=None)).astype(float)
    marks = [np.abs(shown(clip, NATIVE_PX, replace(draw, first_crf=crf)) - clean).mean() for crf in (18, 33)]
    assert 0 < marks[0] < marks[1]


def test_pictures_and_masks_are_shown_in_the_same_size(clip):
    for draw in draws(12):
        shape = shown_shape(clip.shape[1:3], NATIVE_PX, draw)
        assert shown(clip, NATIVE_PX, draw).shape == (4, *shape, 3)
        assert shown_mask(np.ones(clip.shape[:3], np.float32), NATIVE_PX, draw).shape == (4, *shape)
