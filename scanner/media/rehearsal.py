"""A harmless video of our own to rehearse with, before the doors are shut: what is loaded on first use is loaded.

A confined process opens no file, so an import or a shared library that waits for its first use would never come.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from pkgutil import walk_packages

import av
import numpy as np
from av.video.frame import VideoFrame

from scanner.core.types import Detections, Pixels

RATE = 24
_SIDE = 64


def load_all_of_av() -> None:
    """PyAV loads a part when it first meets a stream of that kind: subtitles, data."""
    for part in walk_packages(av.__path__, "av."):
        if not part.name.endswith(("__main__", "datasets")):
            import_module(part.name)


class Everywhere:
    """A FaceDetector that finds two faces in every picture: what follows a face is loaded, too."""

    def detect(self, pixels: Pixels) -> Detections:  # noqa: ARG002 - the port's signature
        boxes = np.array([[0.1, 0.2, 0.4, 0.6], [0.6, 0.2, 0.9, 0.6]], np.float32)
        points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.5, 0.8], [0.1, 0.4], [0.9, 0.4]], np.float32)
        sides = boxes[:, 2:] - boxes[:, :2]
        return Detections(boxes, np.array([0.9, 0.8], np.float32), boxes[:, None, :2] + points * sides[:, None])

    def close(self) -> None:
        pass


def black_picture() -> Pixels:
    """(64, 64, 3)"""
    return np.zeros((_SIDE, _SIDE, 3), np.uint8)


def black_video(frames: int, pixel_format: str = "yuv420p") -> bytes:
    """Matroska with FFV1, which every FFmpeg encodes and decodes by itself."""
    file = BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=RATE, width=_SIDE, height=_SIDE, pix_fmt=pixel_format)
        for frame in _frames(pixel_format, frames):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def _frames(pixel_format: str, count: int) -> Iterator[VideoFrame]:
    frame = VideoFrame.from_ndarray(black_picture(), "rgb24").reformat(format=pixel_format)
    for number in range(count):
        frame.pts = number
        yield frame
