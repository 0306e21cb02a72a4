"""Small pictures as JPEG."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from scanner.core.types import Pixels

QUALITY = 78  # 112 px: 3 to 4 kB; artefacts of its own stay under those people are to look at


def jpeg(rgb: Pixels, quality: int = QUALITY) -> bytes:
    """(H, W, 3) RGB to a JPEG's bytes."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), options)
    if not done:
        raise ValueError(f"no JPEG of a picture of shape {rgb.shape}")
    return data.tobytes()


def sized(frame: Pixels, side: int) -> Pixels:
    """A square picture at another size, (side, side, 3)."""
    how = cv2.INTER_AREA if frame.shape[0] > side else cv2.INTER_LINEAR
    return cast(Pixels, cv2.resize(frame, (side, side), interpolation=how))
