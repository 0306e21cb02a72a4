"""Packets to the bytes of one self-contained segment: the same packets always give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from scanner.core.errors import MediaError
from scanner.media.parameters import Parameters

CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "matroska": "video/x-matroska",
    "flv": "video/x-flv",
    "avi": "video/x-msvideo",
}
CONTAINERS = {
    **dict.fromkeys(("h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "ffv1"), "mp4"),
    **dict.fromkeys(("prores", "dnxhd", "h263"), "mov"),
    **dict.fromkeys(("flv1", "vp6f"), "flv"),
    **dict.fromkeys(("wmv1", "msmpeg4v2"), "avi"),
}
"""codec to the container that takes it; the others go to Matroska, whose times are milliseconds"""
_BITEXACT = {"fflags": "+bitexact"}  # no dates, no random identities
_FRAGMENTED = {**_BITEXACT, "movflags": "+empty_moov+default_base_moof+frag_keyframe"}
_OPTIONS = {name: _FRAGMENTED if name in ("mp4", "mov") else _BITEXACT for name in CONTENT_TYPES}


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment before it has a name."""

    start: Fraction
    """seconds since the first frame of the stream"""
    payload: bytes = field(repr=False)
    content_type: str
    frames: int
    last: bool
    """nothing comes after it"""
    lost: bool = False
    """something is missing before it"""
    came_s: float | None = None
    """wall clock of its first picture, seconds since the epoch; told of live sources"""


@dataclass(frozen=True, slots=True)
class Placed:
    """A packet and its place in time, in ticks of the stream."""

    packet: Packet[VideoStream] = field(repr=False)
    pts: int
    dts: int
    parameters: Parameters | None = None
    """where new ones begin to hold"""
    lost: bool = False
    """something is missing before it"""
    came_s: float | None = None
    """wall clock when it came, seconds since the epoch; told of live sources"""

    @property
    def parts(self) -> bool:
        """Nothing before it may share a segment with it."""
        return self.lost or self.parameters is not None


class Muxing:
    """One segment being written: packets in, a container's bytes out."""

    def __init__(
        self, stream: VideoStream, time_base: Fraction, first: Placed, parameters: Parameters | None = None
    ) -> None:
        """`parameters` where they changed since the stream was opened."""
        if not (stream.width and stream.height):
            raise MediaError("the size of its pictures cannot be found")
        self.first_pts = first.pts
        self.frames = 0
        name = CONTAINERS.get(stream.codec.canonical_name, "matroska")
        self.content_type = CONTENT_TYPES[name]
        self._zero = first.dts
        self._first = self._last = first
        self._leading = True
        self._time_base = time_base
        self._bytes = BytesIO()
        with _refusals(stream.codec.canonical_name):
            self._container: OutputContainer = av.open(self._bytes, "w", format=name, options=_OPTIONS[name])
            self._stream = self._container.add_stream_from_template(stream, opaque=True)
        if parameters is not None:
            self._stream.codec_context.extradata = parameters.extradata
            self._stream.codec_context.width = parameters.width
            self._stream.codec_context.height = parameters.height
        self._stream.time_base = time_base

    @property
    def size(self) -> int:
        return self._bytes.tell()

    def add(self, placed: Placed) -> None:
        """Pictures that follow the first keyframe and are shown before it are left out."""
        packet = placed.packet
        self._leading = self._leading and not (self.frames and packet.is_keyframe)
        if self._leading and placed.pts < self.first_pts:
            return
        packet.pts, packet.dts = placed.pts - self._zero, placed.dts - self._zero
        packet.time_base = self._time_base
        packet.stream = self._stream
        with _refusals(self.content_type):
            self._container.mux(packet)
        self.frames += 1
        self._last = placed

    def finish(self, origin: int, *, last: bool) -> Piece:
        with _refusals(self.content_type):
            self._container.close()
        start = max(0, self.first_pts - origin) * self._time_base
        return Piece(
            start, self._bytes.getvalue(), self.content_type, self.frames, last, self._first.lost, self._came_s()
        )

    def _came_s(self) -> float | None:
        """When the first picture came; not later than the last one says, for what was held back while connecting."""
        if self._first.came_s is None or self._last.came_s is None:
            return None
        lasted_s = float((self._last.dts - self._first.dts) * self._time_base)
        return min(self._first.came_s, self._last.came_s - lasted_s)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    try:
        yield
    except (FFmpegError, ValueError) as error:
        raise MediaError(f"cannot be cut: {what} is refused by the muxer ({error})") from error
