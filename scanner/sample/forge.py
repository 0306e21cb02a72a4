"""The forged twin's face: another copy of it, made anew, and pasted over the first with a soft seam.

    portrait ──coarser, recoloured, reshaped──▶ donor ──own mouth, own place, jitter──▶ blended inside the face

Nobody else's face is shown. What is imitated is what face swaps leave behind: a smoother inner face of another tone,
a seam along the cheeks, features that do not quite follow the head, a mouth with motion of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from scanner.core.types import Pixels
from scanner.sample.motion import Performance, Pose
from scanner.sample.portrait import EYES, FACE_CENTRE, MOUTH, OVAL, Floats
from scanner.sample.warp import Field

BLUR_PX = 0.55  # of the portrait; what a generator at about half the resolution loses
LAG_S = 0.12  # the pasted mouth answers late
SEAM_PX = 4.0  # blur of the seam at rest, in pixels of the portrait


class Forgery:
    """Another face for the same head."""

    def __init__(self, picture: Pixels, scale: float, seed: int, performance: Performance) -> None:
        self._scale = scale
        self._donor = _resynthesised(picture, scale)
        self._mask = _inner_face(picture.shape[:2], scale)
        self._performance = performance
        self._rng = np.random.default_rng(seed + 1)

    def pose(self, pose: Pose, t: float) -> Pose:
        """What the pasted face does while the head does `pose`: late and flattened."""
        late = self._performance.pose(max(0.0, t - LAG_S))
        return replace(pose, lids=0.85 * late.lids, mouth=0.8 + 0.55 * (late.mouth - 0.8), purse=0.0, brows=0.0)

    def place(self, field: Field) -> Field:
        """The pasted face's own place on the head: fitted anew in every frame, so never quite the same."""
        dx, dy = self._rng.normal(0, 0.45, 2)
        turn, size = np.deg2rad(self._rng.normal(0, 0.5)), 1 + self._rng.normal(0, 0.006)
        cos, sin = np.cos(turn) / size, np.sin(turn) / size
        x, y = field.x - FACE_CENTRE[0] - dx, field.y - FACE_CENTRE[1] - dy
        placed = cos * x - sin * y + FACE_CENTRE[0], sin * x + cos * y + FACE_CENTRE[1]
        return Field(placed[0].astype(np.float32), placed[1].astype(np.float32))

    def blended(self, below: Pixels, placed: Field, moved: Field, dark: Floats) -> Pixels:
        """(h, w, 3) RGB with the pasted face over it."""
        face = sampled(self._donor, moved, self._scale).astype(np.float32)
        face *= (1 - 0.62 * dark)[..., None] * np.float32(1 + self._rng.normal(0, 0.008))
        seam = sampled(self._mask, placed, self._scale).astype(np.float32) / 255
        edge = float(np.clip(self._rng.normal(0.5, 0.05), 0.38, 0.62))
        alpha = np.clip((seam - edge) * 1.9 + 0.5, 0, 1)[..., None]
        return np.clip(below + alpha * (face - below), 0, 255).astype(np.uint8)


def sampled(picture: Pixels, field: Field, scale: float) -> Pixels:
    """The enlarged portrait, or a plane like it, seen through a field."""
    x, y = (field.x + 0.5) * np.float32(scale) - 0.5, (field.y + 0.5) * np.float32(scale) - 0.5
    return cast(Pixels, cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))


def _resynthesised(picture: Pixels, scale: float) -> Pixels:
    """The portrait as a generator would have drawn it: smoother, another tone, other proportions."""
    soft = cv2.GaussianBlur(cv2.bilateralFilter(picture, 5, 20, 4), (0, 0), BLUR_PX * scale)
    lab = cv2.cvtColor(soft, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] = (lab[..., 0] - 150) * 0.95 + 150 - 4
    lab[..., 1] += 3.5
    lab[..., 2] -= 3.0
    toned = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return sampled(cast(Pixels, toned), _reshaped(picture.shape[:2], scale), scale)


def _reshaped(shape: tuple[int, int], scale: float) -> Field:
    """Larger eyes set a little lower, a shorter nose, a mouth less wide."""
    columns, rows = np.meshgrid(np.arange(shape[1], dtype=np.float32), np.arange(shape[0], dtype=np.float32))
    x, y = (columns + 0.5) / scale - 0.5, (rows + 0.5) / scale - 0.5
    to_x, to_y = x.copy(), y.copy()
    for eye in EYES:
        middle = (eye.middle, (eye.upper[2] + eye.lower[2]) / 2)
        near = np.exp(-(((x - middle[0]) / 15) ** 2) - ((y - middle[1]) / 11) ** 2)
        to_x -= 0.14 * near * (x - middle[0])
        to_y -= 0.14 * near * (y - middle[1]) + 1.6 * near
    near = np.exp(-(((x - MOUTH.middle) / 30) ** 2) - ((y - 145) / 15) ** 2)
    to_x += 0.1 * near * (x - MOUTH.middle)
    to_y += 1.8 * near
    return Field(to_x.astype(np.float32), to_y.astype(np.float32))


def _inner_face(shape: tuple[int, int], scale: float) -> Pixels:
    """(H, W) 0 to 255: brows to chin, inside the outline, soft at the rim."""
    outline = (np.array(OVAL) - FACE_CENTRE) * (0.86, 0.9) + FACE_CENTRE + (0.0, 2.0)
    outline[:, 1] = np.maximum(outline[:, 1], 80.0)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(outline * scale).astype(np.int32)], 255)
    return cast(Pixels, cv2.GaussianBlur(mask, (0, 0), SEAM_PX * scale))
