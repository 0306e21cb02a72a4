"""What is gathered about one face of a segment, and what is told of it in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

import numpy as np

from scanner.core.clips import as_box
from scanner.core.tracking import Track
from scanner.core.types import Floats, Pixels, Quality, Tracklet
from scanner.media.decode import Decoder
from scanner.vision import brightness, sharpness


@dataclass(slots=True)
class Followed:
    """What is gathered about one track while the segment passes."""

    start_ms: int
    end_ms: int
    boxes: list[Floats] = field(default_factory=list)
    frames: int = 0
    sharpness: list[float] = field(default_factory=list)
    brightness: list[float] = field(default_factory=list)

    def measure(self, face: Pixels) -> None:
        """Takes down how sharp and how bright an (H, W, 3) face is."""
        self.sharpness.append(sharpness(face))
        self.brightness.append(brightness(face))


def tracklet_of(track: Track, followed: Followed, decoder: Decoder, kbps: int) -> Tracklet:
    boxes = np.stack(followed.boxes)
    sides = np.maximum((boxes[:, 2] - boxes[:, 0]) * decoder.width, (boxes[:, 3] - boxes[:, 1]) * decoder.height)
    keypoints = np.stack([points for _, points in track.seen.values()])
    return Tracklet(
        index=track.index,
        start_ms=followed.start_ms,
        end_ms=followed.end_ms,
        first_box=as_box(boxes[0]),
        last_box=as_box(boxes[-1]),
        box=as_box(np.median(boxes, axis=0)),
        frames=followed.frames,
        after_cut=track.after_cut,
        quality=Quality(
            face_px=round(median(sides.tolist())),
            sharpness=_median(followed.sharpness),
            brightness=_median(followed.brightness),
            frontality=frontality(keypoints, decoder.width, decoder.height),
            bitrate_kbps=kbps,
        ),
    )


def frontality(keypoints: Floats, width: int, height: int) -> float:
    """Median over probes (p, 6, 2) of how well the nose sits between the eyes: 1 in the middle, 0 at or beyond one."""
    points = keypoints * np.array([width, height], np.float32)
    eyes = points[:, 1] - points[:, 0]
    middle = (points[:, 1] + points[:, 0]) / 2
    span = np.maximum((eyes * eyes).sum(axis=1), 1.0)
    aside = np.abs(((points[:, 2] - middle) * eyes).sum(axis=1)) / span * 2
    return round(float(np.median(np.clip(1 - aside, 0, 1))), 4)


def _median(values: list[float]) -> float:
    return round(median(values), 4) if values else 0.0
