"""Reading and encoding the short clips that training works on."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def read_video(source: Path | bytes, limit: int | None = None) -> tuple[Pixels, float]:
    """All frames RGB (T, H, W, 3), or the first `limit`, and the frame rate in frames a second."""
    frames = []
    opened = av.open(io.BytesIO(source) if isinstance(source, bytes) else str(source))
    assert isinstance(opened, InputContainer)  # noqa: S101  # opened for reading
    with opened as container:
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"
        rate = float(stream.average_rate or 25)
        for frame in container.decode(stream):
            frames.append(frame.to_ndarray(format="rgb24"))
            if limit is not None and len(frames) == limit:
                break
    return np.stack(frames).astype(np.uint8, copy=False), rate


def encode(clip: Pixels, *, codec: str, options: dict[str, str], rate: Fraction, kbps: int | None) -> bytes:
    """`clip` (T, H, W, 3) with even sides as a Matroska file made by a real encoder."""
    sink = io.BytesIO()
    opened = av.open(sink, mode="w", format="matroska")
    assert isinstance(opened, OutputContainer)  # noqa: S101  # opened for writing
    with opened as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)  # noqa: S101  # every codec here is a video codec
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {**options}
        stream.thread_count = 1
        if kbps is not None:
            stream.bit_rate = kbps * 1000
        for picture in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return sink.getvalue()
