"""All sources on the card, and windows of them on one canvas: the face box's longer side always has FACE_PX."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from scanner.training.data import Kind
from scanner.training.gpu.geometry import STABLE, eye_distance, pixel_grid, sample
from scanner.training.gpu.table import CANVAS, FACE_PX, LENGTH, Read, Row


@dataclass(frozen=True, slots=True)
class Entry:
    """One source on the card."""

    row: Row
    frames: Tensor
    "(T, 3, H, W) uint8."
    points: Tensor
    "(T, K, 2)."
    shape: NDArray[np.float32]
    "(T, K·2): landmarks without place, turn of the head kept, in eye distances; empty for generated material."


@dataclass(frozen=True, slots=True)
class Window:
    """P clips of T frames on the canvas."""

    clips: Tensor
    "(P, T, 3, CANVAS, CANVAS) in [0, 1]."
    points: Tensor
    "(P, T, K, 2) in pixels of the canvas."

    @property
    def flat(self) -> Tensor:
        return self.clips.flatten(0, 1)

    @property
    def marks(self) -> Tensor:
        return self.points.flatten(0, 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a window begins: an entry, its first frame and its stride."""

    entry: Entry
    first: int
    stride: int = 1


class Gallery:
    """Draws windows."""

    def __init__(self, entries: list[Entry], device: torch.device) -> None:
        self.device = device
        real = [e for e in entries if not e.row.method]
        self.stills = [e for e in real if e.row.kind == Kind.STILL]
        self.people: dict[str, list[Entry]] = {}
        for entry in real:
            if entry.row.kind == Kind.CLIP:
                self.people.setdefault(entry.row.person, []).append(entry)
        self.methods: dict[str, list[Entry]] = {}
        for entry in entries:
            if entry.row.method:
                self.methods.setdefault(entry.row.method, []).append(entry)
        self._names = sorted(self.people)
        self._crowded = {name for name in self._names if len(self.people[name]) >= 10}

    def clip(self, rng: Generator, crowded: float = 0.5) -> Place:
        """A window of a filmed person; those with many short clips come up with chance `crowded`."""
        often = rng.random() < crowded
        wanted = [name for name in self._names if (name in self._crowded) == often] or self._names
        own = self.people[wanted[rng.integers(len(wanted))]]
        return self._window(own[rng.integers(len(own))], rng)

    def real(self, rng: Generator, still_share: float, crowded: float = 0.5) -> Place:
        """A still with chance `still_share`, where there are any; else a window as `clip` gives it."""
        if self.stills and rng.random() < still_share:
            return Place(self.stills[rng.integers(len(self.stills))], 0)
        return self.clip(rng, crowded)

    def generated(self, rng: Generator) -> Place:
        """A window of a true generator output; methods with few outputs come up less often."""
        names = sorted(self.methods)
        weights = np.sqrt([len(self.methods[name]) for name in names])
        own = self.methods[names[rng.choice(len(names), p=weights / weights.sum())]]
        return self._window(own[rng.integers(len(own))], rng)

    def elsewhere(self, place: Place, rng: Generator) -> Place:
        """Another window of the same source."""
        return self._window(place.entry, rng)

    def donor(self, place: Place, rng: Generator, tries: int = 24) -> Place:
        """Of some windows of other people the one whose face is held most alike."""
        wanted = place.entry.shape[place.first]
        found = [self.real(rng, 0.4) for _ in range(tries)]
        found = [one for one in found if one.entry.row.person != place.entry.row.person] or found
        away = [float(np.abs(one.entry.shape[one.first] - wanted).mean()) for one in found]
        return found[int(np.argmin(away))]

    def _window(self, entry: Entry, rng: Generator) -> Place:
        total = len(entry.frames)
        stride = 2 if total > 2 * LENGTH and rng.random() < 0.15 else 1
        return Place(entry, int(rng.integers(max(total - (LENGTH - 1) * stride, 1))), stride)

    def look(self, places: list[Place], rng: Generator) -> Window:
        """The windows on the canvas; stills move as a hand-held picture does. One turn and one place a clip."""
        clips, points = [], []
        for place in places:
            entry = place.entry
            times = [min(place.first + k * place.stride, len(entry.frames) - 1) for k in range(LENGTH)]
            boxes = entry.row.boxes[times]
            face = float(np.median(np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])))
            middle = np.array([boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]]).mean(axis=1) / 2
            sway = _sway(rng) if len(entry.frames) == 1 else np.zeros((LENGTH, 4))
            angle = float(rng.normal(0, 0.05)) + sway[:, 0]
            scale = face / FACE_PX * np.exp(sway[:, 1])
            cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
            matrix = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
            shift = middle + sway[:, 2:] * face
            clips.append(self._canvas(entry, times, matrix, shift))
            back = self._tensor(np.linalg.inv(matrix))
            own = entry.points[times]
            if own.shape[1]:
                own = torch.einsum("tij,tkj->tki", back, own - self._tensor(shift)[:, None]) + (CANVAS - 1) / 2
            points.append(own)
        return Window(torch.stack(clips), torch.stack(points))

    def _canvas(
        self, entry: Entry, times: list[int], matrix: NDArray[np.float64], shift: NDArray[np.float64]
    ) -> Tensor:
        grid = pixel_grid(CANVAS, self.device) - (CANVAS - 1) / 2
        places = torch.einsum("tij,hwj->thwi", self._tensor(matrix), grid) + self._tensor(shift)[:, None, None]
        return sample(entry.frames[times].float() / 255, places).clamp(0, 1)

    def _tensor(self, array: NDArray[np.floating]) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device, non_blocking=True)


def _sway(rng: Generator) -> NDArray[np.float64]:
    """(T, 4): turn, logarithm of the scale, and shift in faces, as a hand gives them."""
    drift = np.cumsum(rng.normal(0, 1, (LENGTH, 4)), axis=0) + np.outer(np.arange(LENGTH), rng.normal(0, 0.5, 4))
    return (drift + rng.normal(0, 0.15, (LENGTH, 4))) * np.array([0.005, 0.004, 0.004, 0.004]) * rng.uniform(0.2, 1.5)


def open_gallery(read: list[Read], device: torch.device) -> Gallery:
    """Brings what was read to the card."""
    entries = []
    for frames, row in read:
        points = torch.from_numpy(row.points).to(device)
        shape = np.zeros((len(frames), 0), np.float32)
        if row.points.shape[1]:
            unit = eye_distance(torch.from_numpy(row.points)).numpy()[:, None, None]
            middle = row.points[:, STABLE].mean(axis=1, keepdims=True)
            shape = ((row.points - middle) / unit).reshape(len(frames), -1).astype(np.float32)
        pixels = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2)
        entries.append(Entry(row, pixels, points, shape))
    return Gallery(entries, device)
