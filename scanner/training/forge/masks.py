"""Regions of a face as soft masks, from landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator

from scanner.training.forge.layers import Mask, Points
from scanner.training.landmarks import BROW_A, BROW_B, EYE_A, EYE_B, JAW, LIPS, NOSE, OVAL, iod

REGIONS: Final[dict[str, tuple[tuple[int, ...], ...]]] = {
    "face": (OVAL,),
    "inner": (BROW_A + BROW_B + LIPS + EYE_A + EYE_B + NOSE,),
    "lower": ((*JAW, 2, 98, 327, 129, 358),),
    "mouth": (LIPS,),
    "eyes": (EYE_A + BROW_A, EYE_B + BROW_B),
    "eyes_mouth": (EYE_A + BROW_A, EYE_B + BROW_B, LIPS),
    "nose": (NOSE,),
    "brows": (BROW_A, BROW_B),
}


def region(name: str, points: Points, shape: tuple[int, int], grow: float = 0.0) -> Mask:
    """Hard masks (T, H, W) of the hulls of region `name`.

    Args:
        name: a key of REGIONS, or "box" for the upright rectangle around the inner face.
        points: (T, 468, 2).
        shape: H, W.
        grow: how far the border moves outwards, in distances between the eyes; may be negative.
    """
    out = np.zeros((len(points), *shape), np.uint8)
    for picture, face in zip(out, points, strict=True):
        for hull in _hulls(name, face):
            cv2.fillConvexPoly(picture, np.round(hull).astype(np.int32), 255)
        radius = round(abs(grow) * iod(face))
        if radius:
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
            (cv2.dilate if grow > 0 else cv2.erode)(picture, kernel, dst=picture)
    return out.astype(np.float32) / 255.0


def _hulls(name: str, face: Points) -> Sequence[Points]:
    if name == "box":
        inner = face[list(REGIONS["inner"][0])]
        (x0, y0), (x1, y1) = inner.min(axis=0), inner.max(axis=0)
        return [np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)]
    return [np.asarray(cv2.convexHull(face[list(part)])[:, 0], np.float32) for part in REGIONS[name]]


def blur(mask: Mask, sigma: float) -> Mask:
    """Each frame of (T, H, W) blurred with a Gaussian."""
    if sigma <= 0.0:
        return mask
    return np.stack([cv2.GaussianBlur(picture, (0, 0), sigma) for picture in mask])


def elastic(mask: Mask, rng: Generator, amount: float) -> Mask:
    """The border bent by one smooth random field for the whole clip; `amount` in pixels."""
    height, width = mask.shape[1:]
    coarse = rng.normal(0.0, amount, (2, 7, 7)).astype(np.float32)
    dx, dy = (cv2.resize(axis, (width, height), interpolation=cv2.INTER_CUBIC) for axis in coarse)
    grid_y, grid_x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([cv2.remap(m, grid_x + dx, grid_y + dy, cv2.INTER_LINEAR) for m in mask])


def soften(mask: Mask, rng: Generator, unit_px: float) -> Mask:
    """SBI's border: blur, keep the core, blur again: the seam lies inside the hull. `unit_px` is the eye distance."""
    first = _full(blur(mask, unit_px * rng.uniform(0.01, 0.08)))
    core = np.where(first < 0.9, 0.0, first).astype(np.float32)
    return _full(blur(core, unit_px * rng.uniform(0.03, 0.20)))


def _full(mask: Mask) -> Mask:
    """Scaled so that each frame's peak is one again, however thin its region is."""
    peak = mask.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.clip(mask / np.maximum(peak, 1e-3), 0.0, 1.0), np.float32)


def coverage(label: Mask, points: Points) -> Mask:
    """(T,) how much of the face's oval each frame of `label` covers, from 0 to 1."""
    face = region("face", points, (label.shape[1], label.shape[2]))
    return np.asarray((label * face).sum(axis=(1, 2)) / np.maximum(face.sum(axis=(1, 2)), 1.0), np.float32)
