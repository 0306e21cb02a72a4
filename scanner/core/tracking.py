"""Detections of neighbouring pictures to one identity: the best overlap wins, a short gap is bridged."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scanner.core.types import Detections, Floats

LEAST_AFFINITY = 0.2  # IoU; 0.3 lost a head that nods at 10 fps, 0.1 joined neighbours on a sofa


def iou(left: Floats, right: Floats) -> Floats:
    """Intersection over union, (n, 4) and (m, 4) to (n, m) in [0, 1]."""
    top = np.maximum(left[:, None, :2], right[None, :, :2])
    bottom = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.clip(bottom - top, 0, None), axis=2)
    area_left = np.prod(left[:, 2:] - left[:, :2], axis=1)
    area_right = np.prod(right[:, 2:] - right[:, :2], axis=1)
    union = area_left[:, None] + area_right[None, :] - shared
    overlap: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def match(known: Floats, seen: Floats, least: float = LEAST_AFFINITY) -> list[tuple[int, int]]:
    """Pairs (known, seen) of the assignment with the greatest total overlap, each overlapping at least `least`."""
    if not len(known) or not len(seen):
        return []
    affinity = iou(known, seen)
    if affinity.size == 1:  # one face that was alone before, as in most pictures
        return [(0, 0)] if affinity[0, 0] >= least else []
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - 0.3 s that readers of topics need not spend

    rows, columns = linear_sum_assignment(affinity, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if affinity[r, c] >= least]


@dataclass(slots=True)
class Track:
    """One face while it is being followed inside a segment."""

    index: int
    box: Floats
    """(4,) where it was last seen"""
    after_cut: bool
    missed: int = 0
    """probes in a row without it"""
    seen: dict[int, tuple[Floats, Floats]] = field(default_factory=dict)
    """probe number to box (4,) and keypoints (6, 2)"""


class Tracker:
    """Follows faces through the probes of one segment: feed `update`, read `tracks`."""

    def __init__(self, patience: int = 2) -> None:
        """A face not seen for more than `patience` probes is gone; the next one there is a new track."""
        self._patience = patience
        self._alive: list[Track] = []
        self._after_cut = False
        self.tracks: list[Track] = []

    @property
    def alive(self) -> int:
        """Faces being followed now."""
        return len(self._alive)

    def cut(self) -> None:
        """The scene changed: whoever comes next is somebody else."""
        self._alive = []
        self._after_cut = True

    def update(self, probe: int, detections: Detections) -> None:
        """Faces found at one probe; probe numbers grow."""
        known = np.array([track.box for track in self._alive], np.float32).reshape(-1, 4)
        pairs = match(known, detections.boxes)
        for place, found in pairs:
            self._saw(self._alive[place], probe, detections, found)
        matched = {place for place, _ in pairs}
        for place, track in enumerate(self._alive):
            track.missed = 0 if place in matched else track.missed + 1
        self._alive = [track for track in self._alive if track.missed <= self._patience]
        taken = {found for _, found in pairs}
        for found in range(len(detections)):
            if found not in taken:
                self._begin(probe, detections, found)

    def _begin(self, probe: int, detections: Detections, found: int) -> None:
        track = Track(index=len(self.tracks), box=detections.boxes[found], after_cut=self._after_cut)
        self._saw(track, probe, detections, found)
        self.tracks.append(track)
        self._alive.append(track)

    @staticmethod
    def _saw(track: Track, probe: int, detections: Detections, found: int) -> None:
        track.box = detections.boxes[found]
        track.seen[probe] = (detections.boxes[found], detections.keypoints[found])
