"""Pictures for the page: faces as small JPEGs, and the model's map laid over a clip's frames. OpenCV lives here."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.core.types import Pixels
from scanner.jpeg import jpeg, sized

FACE_PX = 112
STRIP_PX = 96
STRIP_FRAMES = 5
HEAT_OPACITY = 0.62


def thumbnail(pixels: Pixels) -> bytes:
    """JPEG of a clip's middle frame, from (T, S, S, 3) RGB."""
    frame = pixels[len(pixels) // 2]
    return jpeg(frame if frame.shape[0] <= FACE_PX else sized(frame, FACE_PX))


def strip_places(length: int) -> tuple[int, ...]:
    """Which of a clip's frames the strip shows: evenly from first to last."""
    return tuple(np.linspace(0, length - 1, min(STRIP_FRAMES, length)).round().astype(int).tolist())


def heat_strip(frames: Pixels, maps: NDArray[np.float32]) -> bytes:
    """JPEG of frames side by side with the map over them.

    Args:
        frames: (n, S, S, 3) RGB.
        maps: (n, h, w) in [0, 1], of the same frames. The scale is fixed: a calm map leaves the face as it is.
    """
    if len(frames) != len(maps):
        raise ValueError(f"{len(frames)} frames do not match {len(maps)} maps")
    return jpeg(np.concatenate([_heated(frame, heat) for frame, heat in zip(frames, maps, strict=True)], axis=1))


def pixels_of(jpeg: bytes) -> Pixels:
    """(H, W, 3) RGB of one of our own JPEGs. Raises ValueError when it is none."""
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"no picture in {len(jpeg)} bytes")
    return np.asarray(picture[..., ::-1], np.uint8)


def _heated(frame: Pixels, heat: NDArray[np.float32]) -> Pixels:
    face = sized(frame, STRIP_PX)
    smooth = cv2.resize(heat.astype(np.float32), (STRIP_PX, STRIP_PX), interpolation=cv2.INTER_CUBIC)
    level = np.clip(smooth, 0, 1)
    colours = cv2.applyColorMap((95 + level * 150).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = (HEAT_OPACITY * level)[..., None]
    return (face * (1 - opacity) + colours * opacity).astype(np.uint8)
