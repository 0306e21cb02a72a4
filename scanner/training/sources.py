"""Sources brought to memory with what was found in them: frames, face boxes, landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from scanner.evaluation.video import read_video
from scanner.faces.mediapipe import MediapipeDetector, Range
from scanner.training.data import Kind, Source
from scanner.training.forge.layers import Pixels, Points
from scanner.training.forge.warp import lay, move, turn
from scanner.training.landmarks import FaceMesh, iod, steady

LARGEST_FACE_PX = 150.0
LEAST_PRESENCE = 0.0  # logit of the mesh's own confidence; drawings and profiles fall below


@dataclass(frozen=True, slots=True)
class Footage:
    """Consecutive frames in all of which the face was found."""

    frames: Pixels
    "(N, H, W, 3) RGB."
    boxes: Points
    "(N, 4) x0 y0 x1 y1 in pixels."
    points: Points
    "(N, 468, 2) in pixels; empty (N, 0, 2) for generated material, which is never forged."

    @property
    def places(self) -> Points:
        """(N, 4) the boxes as fractions of the picture."""
        height, width = self.frames.shape[1:3]
        return np.asarray(self.boxes / np.array([width, height, width, height]), np.float32)

    @property
    def face_px(self) -> float:
        """Median longer side of the face box."""
        return float(np.median(np.maximum(self.boxes[:, 2] - self.boxes[:, 0], self.boxes[:, 3] - self.boxes[:, 1])))


def survey(source: Source, cache: Path, detector: MediapipeDetector, mesh: FaceMesh) -> None:
    """Finds boxes and landmarks in every frame of `source` and keeps them under `cache`."""
    out = cache / f"{source.path.stem}.npz"
    if out.exists():
        return
    frames = read_frames(source)
    boxes = np.full((len(frames), 4), np.nan, np.float32)
    points = np.full((len(frames), 0 if source.fake else 468, 2), np.nan, np.float32)
    presence = np.full(len(frames), -9.0, np.float32)
    for t, picture in enumerate(frames):
        found = detector.detect(picture)
        if len(found):
            height, width = picture.shape[:2]
            boxes[t] = found.boxes[0] * np.array([width, height, width, height], np.float32)
            if not source.fake:
                points[t], presence[t] = mesh.follow(picture, boxes[t])
    np.savez(out, boxes=boxes, points=points, presence=presence)


def open_tools() -> tuple[MediapipeDetector, FaceMesh]:
    """The detector and the mesh that `survey` needs."""
    return MediapipeDetector(Range.SHORT, least_confidence=0.4), FaceMesh()


def read_frames(source: Source) -> Pixels:
    """(N, H, W, 3) RGB; a still has one frame."""
    if source.kind is Kind.STILL:
        return _read_picture(source.path)[None]
    return read_video(source.path)[0]


def _read_picture(path: Path) -> Pixels:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"not a picture: {path}")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


@lru_cache(maxsize=24)
def load(source: Source, cache: Path) -> Footage | None:
    """The longest run of frames with a face, or None when there is no usable face."""
    found = np.load(cache / f"{source.path.stem}.npz")
    good = np.isfinite(found["boxes"][:, 0])
    if not source.fake:
        good &= found["presence"] > LEAST_PRESENCE
    start, stop = longest(good)
    if stop - start < (1 if source.kind is Kind.STILL else 8):
        return None
    points = found["points"][start:stop]
    points = points[:, :0] if source.fake else steady(points)
    return _shrunk(Footage(read_frames(source)[start:stop], found["boxes"][start:stop], points))


def _shrunk(footage: Footage) -> Footage:
    """Footage with faces of at most LARGEST_FACE_PX: forging costs by the pixel; a crop at 160 shows 107 of them."""
    factor = LARGEST_FACE_PX / footage.face_px
    if factor >= 1.0:
        return footage
    height, width = footage.frames.shape[1:3]
    size = (round(width * factor / 2) * 2, round(height * factor / 2) * 2)
    scale = np.array([size[0] / width, size[1] / height], np.float32)
    frames = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in footage.frames]
    return Footage(np.stack(frames).astype(np.uint8), footage.boxes * np.tile(scale, 2), footage.points * scale)


def longest(good: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[int, int]:
    """First and last index (exclusive) of the longest run of true values; 0, 0 when there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return max(runs, key=lambda run: run[1] - run[0], default=(0, 0))


def animate(still: Footage, length: int, rng: Generator) -> Footage:
    """A still as a clip: a slow pan, zoom and turn of the whole picture with a hand's tremor on top."""
    picture, points, box = still.frames[0], still.points[0], still.boxes[0]
    unit, shape = iod(points), picture.shape[:2]
    centre = points.mean(axis=0)
    drift = np.cumsum(rng.normal(0.0, 1.0, (length, 4)), axis=0) + np.outer(np.arange(length), rng.normal(0.0, 0.5, 4))
    size = np.array([np.radians(0.3), 0.004, 0.008 * unit, 0.008 * unit]) * rng.uniform(0.2, 1.5)
    tremor = rng.normal(0.0, 0.15, (length, 4))
    frames, tracks, boxes = [], [], []
    for angle, zoom, dx, dy in (drift + tremor) * size:
        matrix = turn(centre, float(angle), 1.0 + float(zoom), np.array([dx, dy], np.float32))
        frames.append(lay(picture, matrix, shape))
        tracks.append(move(points, matrix))
        boxes.append(move(box.reshape(2, 2), matrix).ravel())
    return Footage(np.stack(frames), np.stack(boxes), np.stack(tracks))
