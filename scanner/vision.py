"""Pixels to pixels: planes to RGB, squares out of pictures, and what can be measured of a face. OpenCV lives here.

A picture stays in the decoder's planes (Y, U, V). Only what is looked at becomes RGB: a small copy for the
face detector and the squares that clips are made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.core.types import Pixels

Square = tuple[int, int, int]
"""x0, y0 and side in pixels of the picture; may reach outside of it."""

# Rows give R, G, B from (Y, U, V, 1). ITU-R BT.601 and BT.709, each for limited and full range.
_KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}


@cache
def rgb_matrix(standard: str, *, full_range: bool) -> NDArray[np.float32]:
    """(3, 4) matrix from Y'CbCr codes in [0, 255] to R'G'B' in [0, 255].

    Args:
        standard: "bt601", "bt709" or "bt2020".
        full_range: whether codes span [0, 255] rather than [16, 235] (luma) and [16, 240] (chroma).
    """
    kr, kb = _KR_KB[standard]
    kg = 1 - kr - kb
    luma, chroma, black = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    u_to_b, v_to_r = 2 * (1 - kb) * chroma, 2 * (1 - kr) * chroma
    u_to_g, v_to_g = -u_to_b * kb / kg, -v_to_r * kr / kg
    rows = np.array([[luma, 0, v_to_r], [luma, u_to_g, v_to_g], [luma, u_to_b, 0]])
    offset = -rows @ np.array([black, 128.0, 128.0])
    matrix = np.column_stack([rows, offset]).astype(np.float32)
    matrix.flags.writeable = False  # every picture of a kind shares it
    return matrix


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded frame in its planes, upright."""

    y: Pixels
    """(H, W) luma"""
    u: Pixels
    """(ceil(H / 2), ceil(W / 2)) blue-difference chroma, 4:2:0"""
    v: Pixels
    matrix: NDArray[np.float32]
    """(3, 4) see rgb_matrix"""

    @property
    def height(self) -> int:
        return int(self.y.shape[0])

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    def rotated(self, quarter_turns: int) -> Picture:
        """Turned counter-clockwise by quarter turns, without copying."""
        if quarter_turns % 4 == 0:
            return self
        y, u, v = (np.rot90(plane, quarter_turns) for plane in (self.y, self.u, self.v))
        return Picture(y, u, v, self.matrix)

    def small(self, longest_px: int) -> Pixels:
        """The whole picture as (h, w, 3) RGB, the longer side at most `longest_px`."""
        scale = min(1.0, longest_px / max(self.width, self.height))
        size = max(1, round(self.width * scale)), max(1, round(self.height * scale))
        return self._rgb(_resized([self.y, self.u, self.v], size))

    def square(self, square: Square, size: int) -> Pixels:
        """(size, size, 3) RGB of a square of the picture; edges repeat outside the picture."""
        x0, y0, side = square
        half = side // 2
        luma = _cut(self.y, x0, y0, side)
        chroma = [_cut(plane, x0 // 2, y0 // 2, half) for plane in (self.u, self.v)]
        return self._rgb(_resized([luma, *chroma], (size, size)))

    def _rgb(self, codes: Pixels) -> Pixels:
        return cast(Pixels, cv2.transform(codes, self.matrix))


def fingerprint(picture: Picture) -> Pixels:
    """(9, 16) luma of the picture, sparsely sampled: enough to notice a scene cut."""
    return picture.y[_sparse(picture.height, picture.width)]


def luma_difference(one: Pixels, other: Pixels) -> float:
    """Mean absolute difference of two fingerprints, in [0, 255]."""
    return float(cv2.norm(one, other, cv2.NORM_L1)) / one.size


@cache
def _sparse(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows (9, 1) and columns (1, 16), evenly spread over the picture."""
    rows = np.linspace(0, height - 1, 9).astype(np.intp)
    columns = np.linspace(0, width - 1, 16).astype(np.intp)
    return rows[:, None], columns[None, :]


def sharpness(pixels: Pixels) -> float:
    """How much detail a second blur takes away, in [0, 1]; 0 is blurred already.

    One minus the blur effect of Crete, Dolmiere, Ladret and Nicolas (2007), "The blur effect: perception and
    estimation with a new no-reference perceptual blur metric", on the luma of an (H, W, 3) RGB picture.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    remaining = []
    for axis, kernel in ((0, (1, 9)), (1, (9, 1))):
        before = np.abs(np.diff(grey, axis=axis))
        after = np.abs(np.diff(cv2.blur(grey, kernel), axis=axis))
        lost = np.maximum(0.0, before - after).sum()
        remaining.append(1.0 - float(lost) / max(float(before.sum()), 1e-6))
    return round(1.0 - max(remaining), 4)


def brightness(pixels: Pixels) -> float:
    """Mean luma of an (H, W, 3) RGB picture, in [0, 1]."""
    return round(float(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).mean()) / 255.0, 4)


def single_threaded() -> None:
    """Keeps OpenCV to the calling thread: cells are parallel to each other, not inside."""
    cv2.setNumThreads(1)


def _resized(planes: list[Pixels], size: tuple[int, int]) -> Pixels:
    """Three planes to (h, w, 3), each halved by areas, then bilinear: at once where they have met, which costs less."""
    halved = [_halved(plane, size) for plane in planes]
    if len({plane.shape for plane in halved}) == 1:
        return _bilinear(cast(Pixels, cv2.merge(halved)), size)
    return cast(Pixels, cv2.merge([_bilinear(plane, size) for plane in halved]))


def _halved(plane: Pixels, size: tuple[int, int]) -> Pixels:
    """Halved by areas while twice as large: area means at other factors cost several times as much.

    An odd last row or column is left out before: a stretch of less than one in 2 * size.
    """
    while plane.shape[0] >= 2 * size[1] and plane.shape[1] >= 2 * size[0]:
        half = plane.shape[1] // 2, plane.shape[0] // 2
        even = plane[: 2 * half[1], : 2 * half[0]]
        plane = cast(Pixels, cv2.resize(even, half, interpolation=cv2.INTER_AREA))
    return plane


def _bilinear(picture: Pixels, size: tuple[int, int]) -> Pixels:
    if picture.shape[:2] == (size[1], size[0]):
        return picture
    return cast(Pixels, cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))


def _cut(plane: Pixels, x0: int, y0: int, side: int) -> Pixels:
    left, columns, right = _reach(x0, side, plane.shape[1])
    top, rows, bottom = _reach(y0, side, plane.shape[0])
    inner = plane[rows, columns]
    if top or left or bottom or right:
        return cast(Pixels, cv2.copyMakeBorder(inner, top, bottom, left, right, cv2.BORDER_REPLICATE))
    return inner


def _reach(start: int, side: int, size: int) -> tuple[int, slice, int]:
    """How a stretch lies on [0, size): what is missing before, what is there, what is missing after."""
    before = min(max(0, -start), side - 1)
    first = min(max(0, start), size - 1)
    end = max(first + 1, min(size, start + side))
    return before, slice(first, end), side - before - (end - first)
