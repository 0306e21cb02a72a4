"""Pixels: our colour matrices against swscale, squares at the edge, and what is measured of a face."""

from __future__ import annotations

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from scanner.testing import draw_pictures
from scanner.vision import Picture, brightness, fingerprint, luma_difference, rgb_matrix, sharpness

# Of 255, away from edges, where each interpolates chroma in its own way. swscale's fast path cuts off where we round
# (its green is 1.1 to 1.7 below ours). Measured: mean 1.1 (full range) to 1.5 (limited range), largest 5.
MEAN_TOLERANCE, LARGEST_TOLERANCE = 2.0, 6

SPACES = {"bt601": 5, "bt709": 1, "bt2020": 9}
"""our name to AVColorSpace"""


def picture_of(frame: av.VideoFrame, standard: str, *, full_range: bool) -> Picture:
    planes = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    width, height = frame.width, frame.height
    half = -(-width // 2), -(-height // 2)
    u, v = (plane[: half[1], : half[0]] for plane in planes[1:3])
    return Picture(planes[0][:height, :width], u, v, rgb_matrix(standard, full_range=full_range))


def colourful() -> NDArray[np.uint8]:
    """Strong colours that change slowly, so that chroma counts and its interpolation does not."""
    y, x = np.mgrid[0:120, 0:160] / 25
    waves = [128 + 100 * np.sin(x + phase) * np.cos(y - phase) for phase in (0, 2, 4)]
    return np.stack(waves, axis=2).astype(np.uint8)


def drawn(standard: str, *, full_range: bool) -> av.VideoFrame:
    rgb = colourful()
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace=SPACES[standard], dst_color_range=2 if full_range else 1)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("standard", SPACES)
def test_our_matrix_gives_the_colours_of_swscale(standard: str, full_range: bool) -> None:
    frame = drawn(standard, full_range=full_range)
    theirs = frame.reformat(
        format="rgb24",
        src_colorspace=SPACES[standard],
        src_color_range=2 if full_range else 1,
        dst_color_range=2,
    ).to_ndarray()
    ours = picture_of(frame, standard, full_range=full_range).small(160)
    flat = smooth(theirs)
    gap = np.abs(ours.astype(int) - theirs.astype(int))[flat]
    assert gap.mean() < MEAN_TOLERANCE
    assert gap.max() <= LARGEST_TOLERANCE


def smooth(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels with no edge within two pixels."""
    luma = picture.astype(int).sum(axis=2)
    edge = np.zeros(luma.shape, bool)
    for axis in (0, 1):
        for shift in (-2, -1, 1, 2):
            edge |= np.abs(np.roll(luma, shift, axis) - luma) > 30
    return ~edge


def test_the_wrong_matrix_would_be_seen() -> None:
    frame = drawn("bt709", full_range=False)
    right = picture_of(frame, "bt709", full_range=False).small(160).astype(int)
    wrong = picture_of(frame, "bt709", full_range=True).small(160).astype(int)
    assert np.abs(right - wrong).mean() > 5


@pytest.mark.parametrize(
    ("full_range", "codes", "expected"),
    [
        (False, (16, 128, 128), (0, 0, 0)),
        (False, (235, 128, 128), (255, 255, 255)),
        (True, (0, 128, 128), (0, 0, 0)),
        (True, (255, 128, 128), (255, 255, 255)),
        (True, (76, 85, 255), (254, 0, 0)),
        (False, (81, 90, 240), (254, 0, 0)),
        (False, (41, 240, 110), (0, 0, 255)),
    ],
)
def test_black_white_and_red_by_hand(full_range: bool, codes: tuple[int, ...], expected: tuple[int, ...]) -> None:
    rgb = rgb_matrix("bt601", full_range=full_range) @ np.array([*codes, 1], np.float32)
    np.testing.assert_allclose(rgb, expected, atol=1.5)


def grey(values: NDArray[np.uint8]) -> Picture:
    half = np.full((-(-values.shape[0] // 2), -(-values.shape[1] // 2)), 128, np.uint8)
    return Picture(values, half, half, rgb_matrix("bt601", full_range=True))


def test_a_square_outside_the_picture_repeats_its_edge() -> None:
    values = np.tile(np.arange(0, 200, 10, dtype=np.uint8), (20, 1))
    square = grey(values).square((-10, -10, 20), 20)[:, :, 0]
    assert (square[:, :10] == 0).all()
    np.testing.assert_array_equal(square[:10, 10:], np.tile(values[0, :10], (10, 1)))


@pytest.mark.parametrize("square", [(-40, 0, 20), (100, 0, 20), (0, 100, 20), (0, -100, 20)])
def test_a_square_wholly_outside_the_picture_is_its_edge(square: tuple[int, int, int]) -> None:
    assert grey(np.full((20, 20), 77, np.uint8)).square(square, 16).shape == (16, 16, 3)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_picture_shows_the_same_square(turns: int) -> None:
    values = np.random.default_rng(0).integers(0, 255, (40, 60), np.uint8)
    turned = grey(values).rotated(turns)
    expected = np.rot90(values, turns)
    assert (turned.height, turned.width) == expected.shape
    np.testing.assert_array_equal(turned.square((4, 8, 20), 20)[:, :, 0], expected[8:28, 4:24])


@pytest.mark.parametrize("side", [128, 256, 258, 300, 514, 516, 518, 520])
def test_a_large_square_is_shrunk_evenly_whatever_its_side(side: int) -> None:
    ramp = np.tile(np.linspace(16, 235, side, dtype=np.float32), (side, 1)).round().astype(np.uint8)
    shown = grey(ramp).square((0, 0, side), 64)[:, :, 0].astype(float)
    ideal = 16 + 219 * ((np.arange(64) + 0.5) / 64)
    assert np.abs(shown - ideal).max() < 2.5
    assert np.abs(shown - shown[0]).max() <= 1


def test_small_keeps_the_shape_and_never_enlarges() -> None:
    assert grey(np.zeros((480, 640), np.uint8)).small(320).shape == (240, 320, 3)
    assert grey(np.zeros((30, 40), np.uint8)).small(320).shape == (30, 40, 3)


def test_a_blurred_face_is_less_sharp_and_a_dark_one_less_bright() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 1), np.uint8).repeat(3, axis=2)
    blurred = noise.copy()
    for _ in range(3):
        blurred = ((blurred.astype(int) + np.roll(blurred, 1, 0) + np.roll(blurred, 1, 1)) // 3).astype(np.uint8)
    flat = np.full((80, 80, 3), 90, np.uint8)
    assert sharpness(noise) > sharpness(blurred) > sharpness(flat) == 0
    assert brightness(flat) == pytest.approx(90 / 255, abs=1e-3)
    assert brightness(flat // 3) < brightness(flat)


def test_the_fingerprint_tells_a_cut_from_a_movement() -> None:
    pictures = [grey(next(iter([p[:, :, 0]]))) for p in draw_pictures((160, 120), 2)]
    other = grey(255 - next(draw_pictures((160, 120), 1))[:, :, 0])
    moved = luma_difference(fingerprint(pictures[0]), fingerprint(pictures[1]))
    cut = luma_difference(fingerprint(pictures[0]), fingerprint(other))
    assert moved < 5
    assert cut > 28
