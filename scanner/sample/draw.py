"""Draws a sample clip: frame by frame through the warps, then H.264 as a live encoder would send it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from scanner.core.types import Pixels
from scanner.sample.forge import Forgery, sampled
from scanner.sample.motion import Performance
from scanner.sample.portrait import enlarged, portrait
from scanner.sample.warp import Body, Field, Framing, features

GOP_S = 2.0  # what live platforms ask for
BITS_PER_PIXEL = 0.16  # 1.2 Mbit/s at 640 × 480 and 25 fps
NOISE_TILES = 4  # drawn once, shown in turn at random offsets: a draw a frame took a third of the time
NOISE_SPARE = 64  # pixels by which a tile is larger than the picture
NOISE_SIGMA = 2.1
FACE_BOX = (148.0, 72.0, 264.0, 200.0)
"""of the portrait; eyes and mouth move inside it"""
FORGED_FROM_S = 2.0
THROAT = np.array([0.55, 0.7, 0.7], np.float32)  # how much darker than teeth the inside of a mouth is, in R G B


def draw_sample(
    path: Path,
    *,
    forged: bool,
    seconds: float = 6.0,
    fps: int = 25,
    size: tuple[int, int] = (640, 480),
    forged_spans: Sequence[tuple[float, float]] | None = None,
    seed: int = 1,
) -> None:
    """Writes an MP4 of a person talking to the camera. The same arguments draw the same frames.

    Args:
        forged: whether another face is pasted over the first.
        forged_spans: when it is, as (start, end) in seconds; from second 2 to the end unless given.
        size: width and height in pixels, both even.
    """
    if size[0] % 2 or size[1] % 2 or min(size) < 64 or fps < 1 or seconds <= 0:
        raise ValueError(f"cannot draw {size[0]} × {size[1]} px for {seconds} s at {fps} fps")
    spans = forged_spans if forged_spans is not None else [(FORGED_FROM_S if seconds > FORGED_FROM_S else 0.0, seconds)]
    studio = Studio(size, seed, seconds)
    frames = round(seconds * fps)
    times = (frame / fps for frame in range(frames))
    pictures = (studio.picture(t, forged=forged and any(start <= t < end for start, end in spans)) for t in times)
    encode(path, pictures, fps, size)


class Studio:
    """Draws single pictures of the sample, in time order."""

    def __init__(self, size: tuple[int, int], seed: int, seconds: float) -> None:
        self._framing = Framing.fitted(*size)
        scale = self._framing.scale
        self._still = enlarged(portrait(), scale)
        self._body = Body(self._framing)
        self._performance = Performance(seed, seconds)
        self._forgery = Forgery(self._still, scale, seed, self._performance)
        self._noise = _Noise(size, seed)

    def picture(self, t: float, *, forged: bool) -> Pixels:
        """(H, W, 3) RGB at a time in seconds."""
        pose = self._performance.pose(t)
        field = self._body.field(pose)
        window = self._framing.window(field, FACE_BOX).rows_columns
        head = Field(field.x[window].copy(), field.y[window].copy())
        (field.x[window], field.y[window]), dark = features(head, pose)
        picture = sampled(self._still, field, self._framing.scale)
        picture[window] = (picture[window] * (1 - dark[..., None] * THROAT)).astype(np.uint8)
        exposed = cv2.convertScaleAbs(picture, alpha=pose.light)
        picture = cast(Pixels, cv2.add(exposed, self._noise.next(), dtype=cv2.CV_8U))
        if forged:
            placed = self._forgery.place(head)
            moved, open_mouth = features(placed, self._forgery.pose(pose, t))
            picture[window] = self._forgery.blended(picture[window], placed, moved, open_mouth)
        return picture


class _Noise:
    """A camera's noise: mostly in brightness, a little in colour, a little larger than a pixel."""

    def __init__(self, size: tuple[int, int], seed: int) -> None:
        self._rng = np.random.default_rng(seed + 2)
        self._width, self._height = size
        self._tiles = [self._tile() for _ in range(NOISE_TILES)]

    def next(self) -> NDArray[np.int16]:
        """(H, W, 3), to be added."""
        tile = self._tiles[int(self._rng.integers(NOISE_TILES))]
        top, left = (int(start) for start in self._rng.integers(0, NOISE_SPARE, 2))
        return tile[top : top + self._height, left : left + self._width]

    def _tile(self) -> NDArray[np.int16]:
        shape = self._height + NOISE_SPARE, self._width + NOISE_SPARE
        brightness = self._rng.standard_normal((*shape, 1), np.float32)
        colour = self._rng.standard_normal((*shape, 3), np.float32)
        grains = cv2.GaussianBlur((brightness + 0.5 * colour) * np.float32(NOISE_SIGMA), (0, 0), 0.55)
        return cast(NDArray[np.int16], np.rint(grains).astype(np.int16))


def encode(path: Path, pictures: Iterable[Pixels], fps: int, size: tuple[int, int]) -> None:
    """(H, W, 3) RGB pictures to H.264 in MP4, as a live encoder would send them; `size` is width and height."""
    bit_rate = round(size[0] * size[1] * fps * BITS_PER_PIXEL)
    gop = max(1, round(GOP_S * fps))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = bit_rate
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 2  # a set number: x264's picture depends on it
        stream.options = {
            "preset": "veryfast",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=0",
            "maxrate": str(bit_rate * 5 // 4),
            "bufsize": str(bit_rate * 2),
        }
        for picture in pictures:
            for packet in stream.encode(VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
