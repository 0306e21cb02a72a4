"""How well a face looks into the camera, from where its nose sits between its eyes."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.media.followed import frontality


def looking(nose: float, *, tilt: float = 0.0) -> np.ndarray:
    """Keypoints (1, 6, 2): eyes 0.2 apart, the nose `nose` of the way from the right eye to the left one."""
    points = np.zeros((1, 6, 2), np.float32)
    along = np.array([np.cos(tilt), np.sin(tilt)], np.float32) * 0.2
    points[0, 0] = (0.4, 0.4)
    points[0, 1] = points[0, 0] + along
    points[0, 2] = points[0, 0] + nose * along + np.array([-along[1], along[0]]) * 0.6
    return points


@pytest.mark.parametrize(
    ("nose", "expected"), [(0.5, 1.0), (0.25, 0.5), (0.75, 0.5), (0.0, 0.0), (1.0, 0.0), (1.4, 0.0)]
)
def test_the_nose_in_the_middle_is_frontal(nose: float, expected: float) -> None:
    assert frontality(looking(nose), 100, 100) == pytest.approx(expected, abs=1e-3)


def test_a_tilted_head_is_as_frontal_as_an_upright_one() -> None:
    assert frontality(looking(0.5, tilt=0.6), 100, 100) == pytest.approx(1.0, abs=1e-3)


def test_the_shape_of_the_picture_counts() -> None:
    """Fractions of a wide picture are not pixels: a tilted frontal face stays frontal only in pixels."""
    points = looking(0.5, tilt=0.6) * np.array([100 / 400, 1], np.float32)
    assert frontality(points, 400, 100) == pytest.approx(1.0, abs=1e-3)


def test_one_bad_probe_does_not_make_a_profile() -> None:
    points = np.concatenate([looking(0.5), looking(1.5), looking(0.5)])
    assert frontality(points, 100, 100) == pytest.approx(1.0, abs=1e-3)


def test_eyes_on_one_spot_are_no_division_by_zero() -> None:
    points = looking(0.5)
    points[0, 1] = points[0, 0]
    assert 0 <= frontality(points, 100, 100) <= 1
