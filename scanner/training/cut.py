"""From an encoded clip to the square crops of one face, by the code that cuts them in production."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.core.clips import clip_square
from scanner.core.types import ClipSpec
from scanner.media.decode import Decoder, Frame
from scanner.media.demux import Limits, opened
from scanner.training.forge.layers import Mask, Pixels

Square = tuple[int, int, int]

GEOMETRY: Final = ClipSpec(length=16, size=160, box_scale=1.3)
"""What is packed for training; a model is exported with clips of this length or shorter.

1.3: the whole face and its border with half a hand of hair and neck. At 1.5 a face had 107 pixels of the 160, now 123.
"""


def pictures(payload: bytes) -> Iterator[Frame]:
    """Decoded frames in order."""
    with opened(BytesIO(payload), Limits()) as (container, stream):
        yield from Decoder(container, stream, Limits()).frames()


def square_of(
    boxes: NDArray[np.float32], spec: ClipSpec, shape: tuple[int, int], jitter: NDArray[np.float64]
) -> Square:
    """Production's square for boxes (T, 4) in fractions of a picture (H, W), moved and scaled a little.

    Args:
        jitter: dx and dy as fractions of the side, and the logarithm of the scale.
    """
    x0, y0, side = clip_square(boxes, spec.box_scale, shape[1], shape[0])
    wanted = max(round(side * float(np.exp(jitter[2])) / 2) * 2, 16)
    dx, dy = (jitter[:2] * side).tolist()
    return (
        round((x0 + dx + (side - wanted) / 2) / 2) * 2,
        round((y0 + dy + (side - wanted) / 2) / 2) * 2,
        wanted,
    )


def cut_clip(payload: bytes, square: Square, spec: ClipSpec) -> Pixels:
    """(T, S, S, 3) RGB of one square of every frame."""
    return np.stack([frame.picture.square(square, spec.size) for frame in pictures(payload)])


def cut_mask(mask: Mask, square: Square, cells: int) -> NDArray[np.uint8]:
    """(T, cells, cells) in [0, 255]: the same square of a mask (T, H, W) in [0, 1], averaged over each cell."""
    x0, y0, side = square
    scale = cells * 4 / side
    matrix = np.array([[scale, 0, -x0 * scale], [0, scale, -y0 * scale]])
    fine = (cells * 4, cells * 4)
    out = [cv2.warpAffine(picture, matrix, fine, flags=cv2.INTER_LINEAR) for picture in mask]
    small = [cv2.resize(picture, (cells, cells), interpolation=cv2.INTER_AREA) for picture in out]
    return np.asarray(np.clip(np.stack(small) * 255 + 0.5, 0, 255), np.uint8)
