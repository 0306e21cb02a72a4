"""MediaPipe's face detectors behind the FaceDetector port. MediaPipe lives in this file alone."""

from __future__ import annotations

from enum import StrEnum
from importlib import resources
from typing import Any

import mediapipe as mp
import numpy as np

from scanner.core.errors import ModelMismatchError
from scanner.core.types import Detections, Floats, Pixels

_BASE = mp.tasks.BaseOptions


class Range(StrEnum):
    """Which of the two vendored BlazeFace models."""

    SHORT = "short_range"  # 128 px input: near faces
    FULL = "full_range_sparse"  # 192 px input: smaller faces too


class MediapipeDetector:
    """One BlazeFace model. Not for use by several threads at once."""

    def __init__(self, reach: Range = Range.FULL, *, least_confidence: float = 0.5) -> None:
        model = resources.files("scanner.faces").joinpath(f"models/face_detection_{reach}.tflite")
        options = mp.tasks.vision.FaceDetectorOptions(
            base_options=_BASE(model_asset_buffer=model.read_bytes()),
            min_detection_confidence=least_confidence,
        )
        try:
            self._detector: Any = mp.tasks.vision.FaceDetector.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise ModelMismatchError(f"mediapipe does not load face_detection_{reach}.tflite: {error}") from error

    def detect(self, pixels: Pixels) -> Detections:
        """(H, W, 3) RGB to faces, most confident first; boxes and keypoints as fractions of the picture."""
        height, width = pixels.shape[:2]
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(pixels))
        faces = self._detector.detect(image).detections
        if not faces:
            return Detections.empty()
        faces.sort(key=lambda face: -face.categories[0].score)
        boxes = [face.bounding_box for face in faces]
        corners: Floats = np.array(
            [(b.origin_x, b.origin_y, b.origin_x + b.width, b.origin_y + b.height) for b in boxes], np.float32
        )
        size: Floats = np.array([width, height, width, height], np.float32)
        return Detections(
            boxes=corners / size,
            scores=np.array([face.categories[0].score for face in faces], np.float32),
            keypoints=np.array([[(p.x, p.y) for p in face.keypoints] for face in faces], np.float32),
        )

    def close(self) -> None:
        """Frees the model; a detector left open complains when the interpreter exits."""
        self._detector.close()


def near_and_far() -> tuple[MediapipeDetector, MediapipeDetector]:
    """The two detectors of a decode cell."""
    return MediapipeDetector(Range.SHORT), MediapipeDetector(Range.FULL)
