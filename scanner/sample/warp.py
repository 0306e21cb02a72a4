"""Where each pixel of a frame comes from in the portrait: camera, shoulders, head, then eyes and mouth.

All maps run backwards, from a place in the frame to a place in the portrait, in pixels of the portrait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import cv2
import numpy as np

from scanner.sample.motion import Pose
from scanner.sample.portrait import EYES, HEAD, MOUTH, NECK, NOSE, Floats, Opening

COARSE = 4  # the body's field is smooth: one value in 4 × 4 px, the rest is interpolated
LID_REACH = 6.0  # skin above the eye that follows the lid
CHIN_REACH = 46.0  # how far below the lip the jaw's motion fades out


class Field(NamedTuple):
    """A place in the portrait for each pixel."""

    x: Floats
    y: Floats


class Window(NamedTuple):
    """A rectangle of the frame."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def rows_columns(self) -> tuple[slice, slice]:
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


@dataclass(frozen=True, slots=True)
class Framing:
    """How the portrait lies in the frame at rest."""

    width: int
    height: int
    scale: float
    """pixels of the frame in one of the portrait"""
    left: float
    """portrait x of the frame's left edge"""
    top: float

    @classmethod
    def fitted(cls, width: int, height: int) -> Framing:
        """Head and shoulders, the face a little above the middle."""
        scale = max(height / 274.0, width / 366.0)
        return cls(width, height, scale, 205.0 - width / scale / 2, 128.0 - height / scale / 2)

    def grid(self, step: int = 1) -> Field:
        """Portrait places of the frame's pixels, every `step`."""
        x, y = np.meshgrid(
            np.arange(-(step // 2), self.width + step, step, dtype=np.float32) / self.scale + self.left,
            np.arange(-(step // 2), self.height + step, step, dtype=np.float32) / self.scale + self.top,
        )
        return Field(x.astype(np.float32), y.astype(np.float32))

    def window(self, field: Field, portrait_box: tuple[float, float, float, float]) -> Window:
        """The part of the frame whose pixels come from a box of the portrait."""
        x0, y0, x1, y1 = portrait_box
        inside = (field.x >= x0) & (field.x < x1) & (field.y >= y0) & (field.y < y1)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        return Window(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


class Body:
    """The whole frame's field: camera, shoulders and head."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._grid = framing.grid(COARSE)
        cx, cy, rx, ry = HEAD
        away = np.hypot((self._grid.x - cx) / rx, (self._grid.y - cy) / ry)
        self._head = _falling(away, 1.0, 1.75)
        self._depth = np.maximum(0.0, 1 - ((self._grid.x - NOSE[0]) / 78) ** 2 - ((self._grid.y - NOSE[1]) / 92) ** 2)
        self._shoulders = 1 - _falling(self._grid.y, 150.0, 240.0)

    def field(self, pose: Pose) -> Field:
        """At full resolution."""
        grid, head = self._grid, self._head
        zoom = 1 / pose.camera[2]
        x = (grid.x - 205.0) * zoom + 205.0 - pose.camera[0]
        y = (grid.y - 128.0) * zoom + 128.0 - pose.camera[1]
        angle = np.deg2rad(-pose.roll)
        cos, sin = np.cos(angle) / pose.zoom, np.sin(angle) / pose.zoom
        from_x, from_y = x - NECK[0] - pose.shift[0], y - NECK[1] - pose.shift[1]
        turned_x = cos * from_x - sin * from_y + NECK[0] - self._depth * pose.nod[0]
        turned_y = sin * from_x + cos * from_y + NECK[1] - self._depth * pose.nod[1]
        x += head * (turned_x - x) - 0.25 * self._shoulders * pose.shift[0] * (1 - head)
        y += head * (turned_y - y) - self._shoulders * pose.breath * (1 - head)
        return Field(self._fine(x), self._fine(y))

    def _fine(self, coarse: Floats) -> Floats:
        height, width = coarse.shape[0] * COARSE, coarse.shape[1] * COARSE
        fine = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        return cast(Floats, fine[: self._framing.height, : self._framing.width])


def features(field: Field, pose: Pose) -> tuple[Field, Floats]:
    """Brows, lids and mouth inside a window of the face; also where the open mouth is dark, in [0, 1]."""
    x, y = field
    y = (y + pose.brows * np.exp(-(((x - 205) / 48) ** 2) - ((y - 86) / 11) ** 2)).astype(np.float32)
    for eye in EYES:
        y = _blink(x, y, eye, pose.lids)
    return _speak(x, y, pose)


def _blink(x: Floats, y: Floats, eye: Opening, shut: float) -> Floats:
    if shut <= 0:
        return y
    upper, lower = eye.upper_at(x) - 1.2, eye.lower_at(x)
    brow = upper - LID_REACH
    lid = upper + 0.94 * shut * np.maximum(0.0, lower - upper)
    skin = brow + (y - brow) * (upper - brow) / (lid - brow)
    ball = upper + (y - lid) * (lower - upper) / np.maximum(lower - lid, 0.05)
    moved = np.where((y > brow) & (y <= lid), skin, np.where((y > lid) & (y < lower), ball, y))
    half = (eye.right - eye.left) / 2
    near = _falling(np.abs(x - eye.middle), half * 0.95, half * 1.35)
    return cast(Floats, (y + near * (moved - y)).astype(np.float32))


def _speak(x: Floats, y: Floats, pose: Pose) -> tuple[Field, Floats]:
    middle = MOUTH.middle
    around = np.exp(-(((x - middle) / 30) ** 2) - ((y - 146) / 16) ** 2)
    x = x + 0.16 * pose.purse * (x - middle) * around
    upper, lower = MOUTH.upper_at(x), MOUTH.lower_at(x)
    gap = 7.4 * np.exp(-(((x - middle) / 14) ** 2))
    drop = (pose.mouth - 1) * gap
    fade = np.clip(1 - (y - lower - drop) / CHIN_REACH, 0.0, 1.0)
    jaw = y - drop * fade * fade * (3 - 2 * fade)
    below = y > lower + drop
    between = (y > upper) & ~below
    teeth = np.minimum(y, lower - 0.6)
    dark = np.where(between, np.clip((y - lower + 1.8) / 3.0, 0, 1) * np.clip(drop / 1.5, 0, 1), 0.0)
    moved = np.where(below, jaw, np.where(between, teeth, y))
    return Field(x.astype(np.float32), moved.astype(np.float32)), dark.astype(np.float32)


def _falling(values: Floats, start: float, end: float) -> Floats:
    """1 up to `start`, 0 from `end` on, smooth in between."""
    part = np.clip((values - start) / (end - start), 0, 1)
    return cast(Floats, (1 - part * part * (3 - 2 * part)).astype(np.float32))
