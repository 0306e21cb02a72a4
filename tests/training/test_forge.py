"""Each family: deterministic, confined to what its mask says, and different from its source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scanner.training.forge import FAMILIES, draw_family, forge
from scanner.training.forge.masks import region
from scanner.training.forge.warp import lay, move, similarity, spline_flow

pytestmark = pytest.mark.training


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_forges_the_same_pixels(scene, family):
    first, again = forge(family, scene, 7), forge(family, scene, 7)
    assert np.array_equal(first.clip, again.clip)
    assert np.array_equal(first.mask, again.mask)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forgery_has_the_shape_of_its_source_and_is_not_it(scene, family):
    made = forge(family, scene, 3)
    assert made.clip.shape == scene.clip.shape
    assert made.clip.dtype == np.uint8
    assert made.mask.shape == scene.clip.shape[:3]
    assert made.frames.shape == (16,)
    assert 0 <= made.mask.min() <= made.mask.max() <= 1
    assert not np.array_equal(made.clip, scene.clip)


@pytest.mark.parametrize("family", "ABDE")
def test_a_blended_forgery_leaves_the_corners_alone(scene, family):
    made = forge(family, scene, 5)
    assert np.array_equal(made.clip[:, :8, :8], scene.clip[:, :8, :8])


def test_the_source_is_not_written_to(scene):
    before = scene.whole.copy()
    for family in FAMILIES:
        forge(family, scene, 11)
    assert np.array_equal(before, scene.whole)


def test_regions_lie_inside_one_another(scene):
    shape = scene.clip.shape[1:3]
    face, mouth, lower = (region(name, scene.track, shape) for name in ("face", "mouth", "lower"))
    assert (mouth <= face).all()
    assert mouth.sum() < lower.sum() < face.sum()


def test_a_region_that_grows_covers_what_it_covered(scene):
    shape = scene.clip.shape[1:3]
    small, large = (region("eyes", scene.track, shape, grow) for grow in (0.0, 0.1))
    assert (small <= large).all()
    assert small.sum() < large.sum()


def test_a_similarity_is_found_again(scene):
    face = scene.track[0]
    matrix = np.array([[0.9, -0.2, 5.0], [0.2, 0.9, -3.0]])
    assert np.allclose(similarity(face, move(face, matrix)), matrix, atol=1e-3)


def test_a_spline_between_equal_points_moves_nothing(scene):
    points = scene.track[0][::12]
    flow = spline_flow(points, points, (64, 64))
    ys, xs = np.mgrid[:64, :64]
    assert np.abs(flow - np.stack([xs, ys], axis=-1)).max() < 0.1


def test_a_still_is_forged_by_nothing_that_moves_and_nothing_is_drawn_without_a_net():
    rng = np.random.default_rng(0)
    drawn = {draw_family(rng, still=True, drawn=False) for _ in range(200)}
    assert drawn == set(FAMILIES) - set("CDG") - set("IR")
    assert {draw_family(rng, still=False, drawn=True) for _ in range(400)} == set(FAMILIES)


@pytest.mark.parametrize("length", [1, 16])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_called_forged_is(scene, family, length):
    scene = replace(scene, length=length)
    for seed in range(25 if length == 1 else 5):
        made = forge(family, scene, seed)
        assert made.mask.any()
        assert made.frames.any()
        assert not np.array_equal(made.clip, scene.clip)


def test_a_face_that_never_moves_is_forged_by_other_means_than_its_motion(scene):
    still = np.repeat(scene.points[4:5], len(scene.points), axis=0)
    made = forge("C", replace(scene, points=still), 0)
    assert made.family in {"C", "F"}
    assert made.frames.any()


def test_a_picture_that_shrinks_is_smoothed_first():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    small = lay(noise, np.array([[0.25, 0, 0], [0, 0.25, 0]]), (75, 75))
    assert small[5:-5, 5:-5].std() < noise.std() / 2
