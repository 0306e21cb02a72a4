"""Dense face landmarks for the forgeries; training only, the product never runs them.

The network is MediaPipe's face mesh (see face_landmark.md beside it): 468 points on a rotated square around the face.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Points = NDArray[np.float32]

MODEL_PATH: Final = Path(__file__).with_name("face_landmark.tflite")
INPUT_PX: Final = 192
ROI_SCALE: Final = 1.5
"""Side of the region over the long side of the face box, as in MediaPipe's face mesh graph."""

OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
LIPS: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
LIPS_INNER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)
EYE_A: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
EYE_B: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
BROW_A: Final = (46, 53, 52, 65, 55, 70, 63, 105, 66, 107)
BROW_B: Final = (276, 283, 282, 295, 285, 300, 293, 334, 296, 336)
NOSE: Final = (168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 98, 97, 326, 327, 64, 294, 48, 278, 129, 358)
JAW: Final = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)
"""The lower half of the oval, from the person's right ear to the left."""


class FaceMesh:
    """Finds 468 points of one face whose box is known."""

    def __init__(self, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  # only training has it

        self._net: Any = Interpreter(str(MODEL_PATH), num_threads=threads)
        self._net.allocate_tensors()
        self._input: int = self._net.get_input_details()[0]["index"]
        outputs = self._net.get_output_details()
        self._points, self._presence = (detail["index"] for detail in outputs)

    def find(self, rgb: Pixels, centre: Points, side_px: float, roll: float) -> tuple[Points, float]:
        """Points (468, 2) in pixels of `rgb` and the presence logit.

        Args:
            rgb: (H, W, 3).
            centre: (2,) of the face in pixels.
            side_px: side of the square that the network sees.
            roll: angle of the eye line in radians, clockwise positive.
        """
        scale = INPUT_PX / side_px
        cos, sin = np.cos(roll) * scale, np.sin(roll) * scale
        matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
        matrix[:, 2] = INPUT_PX / 2 - matrix[:, :2] @ centre
        patch = cv2.warpAffine(rgb, matrix, (INPUT_PX, INPUT_PX), flags=cv2.INTER_LINEAR)
        self._net.set_tensor(self._input, patch[None].astype(np.float32) / 255.0)
        self._net.invoke()
        raw = self._net.get_tensor(self._points).reshape(-1, 3)[:, :2]
        presence = float(self._net.get_tensor(self._presence).ravel()[0])
        back = np.linalg.inv(matrix[:, :2])
        return ((raw - matrix[:, 2]) @ back.T).astype(np.float32), presence

    def follow(self, rgb: Pixels, box: Points) -> tuple[Points, float]:
        """Points of the face in `box` (x0, y0, x1, y1 in pixels), found twice: upright, then turned with the eyes."""
        centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], np.float32)
        side = float(max(box[2] - box[0], box[3] - box[1])) * ROI_SCALE
        first, _ = self.find(rgb, centre, side, 0.0)
        return self.find(rgb, *region_of(first))


def region_of(points: Points) -> tuple[Points, float, float]:
    """Centre, side and roll of the square to look at next, from points (468, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    eyes = points[263] - points[33]
    roll = float(np.arctan2(eyes[1], eyes[0]))
    return (low + high) / 2, float((high - low).max()) * ROI_SCALE, roll


def iod(points: Points) -> float:
    """Distance between the outer eye corners in pixels; the unit of every displacement in the forgeries."""
    return max(float(np.linalg.norm(points[263] - points[33])), 1.0)


def steady(points: Points) -> Points:
    """A track (T, 468, 2) with the detector's shiver taken out: a three-frame mean where the head is slow."""
    if len(points) < 3:
        return points
    padded = np.concatenate([points[:1], points, points[-1:]])
    mean = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    speed = np.linalg.norm(points - mean, axis=-1).mean(axis=-1)
    weight = np.clip(1.5 - speed / 1.0, 0.0, 1.0)[:, None, None]
    return np.asarray(weight * mean + (1 - weight) * points, np.float32)
