"""Moving pixels: similarity transforms, thin-plate splines and affine regions."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.training.forge.layers import Pixels, Points
from scanner.training.landmarks import BROW_A, BROW_B, EYE_A, EYE_B, LIPS, LIPS_INNER, NOSE, OVAL

CONTROL: Final = tuple(
    dict.fromkeys(
        (*OVAL[::2], *LIPS[::2], *LIPS_INNER[::3], *EYE_A[::2], *EYE_B[::2], *BROW_A[::3], *BROW_B[::3], *NOSE[::3])
    )
)
"""About 70 of the 468 points: enough for a face's shape, few enough to solve a spline a frame in a millisecond."""
STABLE: Final = (33, 133, 263, 362, 168, 6, 197, 195, 5, 4)
"""Eye corners and the bridge of the nose: they move with the head, not with speech."""
_GRID: Final = 40
"""Knots a side at which a spline is evaluated before it is interpolated."""


def similarity(source: Points, target: Points) -> NDArray[np.float64]:
    """The 2 × 3 matrix of rotation, scale and shift that lays points (L, 2) on points (L, 2) in least squares."""
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    a, b = source - mean_s, target - mean_t
    denominator = max(float((a**2).sum()), 1e-6)
    real = float((a * b).sum()) / denominator
    imag = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / denominator
    matrix = np.array([[real, -imag], [imag, real]])
    return np.column_stack([matrix, mean_t - matrix @ mean_s])


def move(points: Points, matrix: NDArray[np.float64]) -> Points:
    """Points (…, 2) under a 2 × 3 matrix."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def lay(
    picture: Pixels, matrix: NDArray[np.float64], shape: tuple[int, int], border: int = cv2.BORDER_REFLECT_101
) -> Pixels:
    """`picture` under a 2 × 3 matrix on a canvas (H, W); the border is mirrored, or what OpenCV's `border` says.

    Where it shrinks it is smoothed first: OpenCV's warps have no area mode, and would leave aliases that no filmed
    face has.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.45 * (1 / max(scale, 0.05) - 1) + 1e-3), np.uint8)
    out = cv2.warpAffine(picture, matrix, shape[::-1], flags=cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(out, np.uint8)


def corners(shape: tuple[int, int]) -> Points:
    """Eight points on the border of a picture (H, W): anchors that keep the background where it is."""
    h, w = shape
    return np.array([(x, y) for y in (0, h / 2, h) for x in (0, w / 2, w) if (x, y) != (w / 2, h / 2)], np.float32)


def spline(picture: Pixels, source: Points, target: Points, shape: tuple[int, int]) -> Pixels:
    """`picture` bent by a thin-plate spline: points `source` (L, 2) lie on `target` (L, 2) of a canvas (H, W)."""
    flow = spline_flow(source, target, shape)
    out = cv2.remap(picture, flow[..., 0], flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(out, np.uint8)


def spline_flow(source: Points, target: Points, shape: tuple[int, int]) -> Points:
    """(H, W, 2): for every pixel of the canvas, where in the source picture it comes from."""
    size = float(max(shape))
    knots, values = target.astype(np.float64) / size, source.astype(np.float64)
    count = len(knots)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _bend(knots, knots) + 1e-4 * np.eye(count)
    system[:count, count:] = np.column_stack([np.ones(count), knots])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    ys, xs = np.meshgrid(np.linspace(0, shape[0] - 1, _GRID), np.linspace(0, shape[1] - 1, _GRID), indexing="ij")
    at = np.stack([xs, ys], axis=-1).reshape(-1, 2) / size
    flow = _bend(at, knots) @ weights[:count] + np.column_stack([np.ones(len(at)), at]) @ weights[count:]
    return _spread(flow.reshape(_GRID, _GRID, 2).astype(np.float32), shape)


def _bend(at: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    squared = ((at[:, None] - knots[None]) ** 2).sum(axis=-1)
    return np.asarray(squared * np.log(squared + 1e-12), np.float64)


def _spread(grid: Points, shape: tuple[int, int]) -> Points:
    """Values at the knots, corners included, interpolated to every pixel."""
    h, w = shape
    xs = np.linspace(0, _GRID - 1, w, dtype=np.float32)
    ys = np.linspace(0, _GRID - 1, h, dtype=np.float32)
    map_x, map_y = np.meshgrid(xs, ys)
    return np.asarray(cv2.remap(grid, map_x, map_y, cv2.INTER_LINEAR), np.float32)


def turn(centre: Points, angle: float, scale: float, shift: Points) -> NDArray[np.float64]:
    """2 × 3 matrix: rotate by `angle` radians and scale about `centre`, then shift by pixels."""
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrix = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([matrix, centre + shift - matrix @ centre])
