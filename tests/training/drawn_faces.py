"""Drawn faces for the training tests: no person is needed to check a forgery's facts."""

from __future__ import annotations

import numpy as np

from scanner.training.landmarks import BROW_A, BROW_B, EYE_A, EYE_B, LIPS, LIPS_INNER, NOSE, OVAL

FRAMES, SIDE = 24, 128


def _ring(count, x, y, rx, ry, start=-np.pi / 2):
    turn = start + np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.column_stack([x + rx * np.cos(turn), y + ry * np.sin(turn)])


def drawn_points() -> np.ndarray:
    """(468, 2) of a face that fills the middle of a SIDE × SIDE picture."""
    points = np.random.default_rng(0).uniform(50, 78, (468, 2))
    points[list(OVAL)] = _ring(len(OVAL), 64, 66, 30, 40)
    points[list(LIPS)] = _ring(len(LIPS), 64, 88, 11, 5, np.pi)
    points[list(LIPS_INNER)] = _ring(len(LIPS_INNER), 64, 88, 8, 2, np.pi)
    points[list(EYE_A)] = _ring(len(EYE_A), 51, 56, 6, 3, 0)
    points[list(EYE_B)] = _ring(len(EYE_B), 77, 56, 6, 3, 0)
    points[list(BROW_A)] = _ring(len(BROW_A), 51, 47, 7, 2)
    points[list(BROW_B)] = _ring(len(BROW_B), 77, 47, 7, 2)
    points[list(NOSE)] = _ring(len(NOSE), 64, 68, 5, 10)
    points[33], points[263], points[133], points[362] = (45, 56), (83, 56), (57, 56), (71, 56)
    return points.astype(np.float32)


def drawn_clip(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames (N, H, W, 3) with fixed texture that sways, and their points (N, 468, 2)."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(40, 216, (SIDE, SIDE, 3), np.uint8)
    sway = np.round(3 * np.sin(np.arange(FRAMES) / 4)).astype(int)
    frames = np.stack([np.roll(texture, dx, axis=1) for dx in sway])
    points = np.stack([drawn_points() + np.array([dx, 0], np.float32) for dx in sway])
    return frames, points
