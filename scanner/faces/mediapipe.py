"""MediaPipe's face detectors behind the FaceDetector port. MediaPipe lives in this file alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from importlib import resources
from types import ModuleType
from typing import Any

import numpy as np

from scanner.core.errors import ModelMismatchError
from scanner.core.types import Detections, Floats, Pixels
from scanner.meter import MEDIAPIPE


def _import_mediapipe() -> Any:
    """MediaPipe without the two libraries that it loads for what we never call, plots and microphones.

    Together they take longer than all the rest, and the search for the microphone's runs a compiler and a linker.
    """
    unused = {name: ModuleType(name) for name in ("matplotlib", "matplotlib.pyplot", "sounddevice")}
    unused = {name: module for name, module in unused.items() if name not in sys.modules}
    sys.modules.update(unused)
    try:
        import mediapipe  # noqa: PLC0415 - only while the stand-ins are there
    finally:
        for name in unused:
            del sys.modules[name]
    return mediapipe


mp = _import_mediapipe()
_BASE = mp.tasks.BaseOptions


class Range(StrEnum):
    """Which of the two vendored BlazeFace models."""

    SHORT = "short_range"  # 128 px input: near faces
    FULL = "full_range_sparse"  # 192 px input: smaller faces too


class MediapipeDetector:
    """One BlazeFace model. Not for use by several threads at once."""

    def __init__(self, reach: Range = Range.FULL, *, least_confidence: float = 0.5) -> None:
        options = mp.tasks.vision.FaceDetectorOptions(
            base_options=_BASE(model_asset_buffer=_model(reach)),
            min_detection_confidence=least_confidence,
        )
        try:
            self._detector: Any = mp.tasks.vision.FaceDetector.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            raise ModelMismatchError(f"mediapipe does not load face_detection_{reach}.tflite: {error}") from error

    def detect(self, pixels: Pixels) -> Detections:
        """(H, W, 3) RGB to faces, most confident first; boxes and keypoints as fractions of the picture."""
        height, width = pixels.shape[:2]
        with MEDIAPIPE.running():
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


@cache  # a confined process opens no file: the one that it read before must do
def _model(reach: Range) -> bytes:
    return resources.files("scanner.faces").joinpath(f"models/face_detection_{reach}.tflite").read_bytes()


def near_and_far() -> tuple[MediapipeDetector, MediapipeDetector]:
    """The two detectors of a decode cell."""
    return MediapipeDetector(Range.SHORT), MediapipeDetector(Range.FULL)


@contextmanager
def quiet_near_and_far() -> Iterator[tuple[MediapipeDetector, MediapipeDetector]]:
    """The same outside of a cell, where people read stderr: the libraries chat there, whatever options say."""
    with _muted():
        near, far = near_and_far()
        for detector in (near, far):
            detector.detect(np.zeros((64, 64, 3), np.uint8))  # the rest is loaded, and told of, with the first picture
    try:
        yield near, far
    finally:
        with _muted():
            near.close()
            far.close()


@contextmanager
def _muted() -> Iterator[None]:
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
