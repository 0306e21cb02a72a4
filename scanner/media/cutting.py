"""An opened container to self-contained segments, without touching a picture. Runs inside the cutter's process.

packets   K . . b b . K b . . K . . .        K keyframe, b leading picture of an open GOP
segments [K . . b b . K b . .)[K . . .)      cut at the first keyframe past the target; one that would begin
                                             with leading pictures loses them: they lean on the segment before
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO

import av
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from scanner.core.errors import MediaError
from scanner.media.demux import Limits
from scanner.media.timeline import LONGEST_STILL_S, Timeline

MP4, MATROSKA = "video/mp4", "video/x-matroska"
IN_MP4 = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg"})
AIGC_BYTES = 16 * 1024  # a GB 45438 label is some hundred bytes
LONGEST_DURATION_S = 10**7  # four months; a container that promises more promises nothing
EARLY = 0.75  # of the target: a keyframe from here on ends the segment; waiting for the next could double it
SHORTEST_S = 0.6  # a rest of the stream shorter than this holds no clip of 16 frames: it joins the segment before
MOST_HELD = 256  # packets, while it shows whether a segment stands alone
_BITEXACT = {"fflags": "+bitexact"}  # no dates, no random identities: the same file gives the same bytes
_FRAGMENTED = {**_BITEXACT, "movflags": "+empty_moov+default_base_moof+frag_keyframe"}


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


@dataclass(frozen=True, slots=True)
class Placed:
    """A packet and its place in time, in ticks of the stream."""

    packet: Packet[VideoStream] = field(repr=False)
    pts: int
    dts: int


class Muxing:
    """One segment being written: packets in, a container's bytes out."""

    def __init__(self, stream: VideoStream, time_base: Fraction, first: Placed) -> None:
        self.first_pts = first.pts
        self.frames = 0
        fits = stream.codec_context.name in IN_MP4 or stream.codec.canonical_name in IN_MP4
        self.content_type = MP4 if fits else MATROSKA
        self._zero = first.dts
        self._leading = True
        self._time_base = time_base
        self._bytes = BytesIO()
        self._container: OutputContainer = av.open(
            self._bytes, "w", format="mp4" if fits else "matroska", options=_FRAGMENTED if fits else _BITEXACT
        )
        self._stream = self._container.add_stream_from_template(stream)
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
        self._container.mux(packet)
        self.frames += 1

    def finish(self, origin: int, *, last: bool) -> Piece:
        self._container.close()
        start = max(0, self.first_pts - origin) * self._time_base
        return Piece(start, self._bytes.getvalue(), self.content_type, self.frames, last)


class Cutting:
    """Cuts one container. Read `damage` after the last piece."""

    def __init__(self, container: InputContainer, stream: VideoStream, target_s: float, limits: Limits) -> None:
        self._container = container
        self._stream = stream
        self._limits = limits
        self._timeline = Timeline(stream)
        self._enough = self._timeline.ticks(target_s * EARLY)
        self._longest_gop = self._timeline.ticks(LONGEST_STILL_S)
        self._shortest = self._timeline.ticks(SHORTEST_S)
        self._origin = 0
        self._gop_dts = 0
        self.damage = ""

    def pieces(self) -> Iterator[Piece]:
        """Raises MediaError."""
        muxing: Muxing | None = None
        held: list[Placed] = []
        for placed in self._placed():
            if held or self._may_begin(placed, muxing):
                held.append(placed)
                if self._stands_alone(held, muxing):
                    if muxing:
                        yield muxing.finish(self._origin, last=False)
                    muxing, held = self._begun(held), []
            elif muxing:
                self._add(muxing, placed)
        if muxing is None:
            raise MediaError("no keyframe in its video: nothing to start decoding from")
        for placed in held:
            self._add(muxing, placed)
        yield muxing.finish(self._origin, last=True)

    def _placed(self) -> Iterator[Placed]:
        first = True
        for packet in self._packets():
            placed = Placed(packet, *self._timeline.place(packet))
            if first:
                self._origin = placed.pts
                first = False
            if packet.is_keyframe:
                self._gop_dts = placed.dts
            if placed.dts - self._gop_dts > self._longest_gop:
                raise MediaError(
                    f"no keyframe for more than {LONGEST_STILL_S} s: encode it with a keyframe every few seconds"
                )
            yield placed

    def _may_begin(self, placed: Placed, muxing: Muxing | None) -> bool:
        """Whether a segment may begin here."""
        return placed.packet.is_keyframe and (muxing is None or placed.pts - muxing.first_pts >= self._enough)

    def _stands_alone(self, held: list[Placed], muxing: Muxing | None) -> bool:
        """Whether there is enough for a segment of its own; a shorter rest of the stream joins the one before."""
        return muxing is None or len(held) >= MOST_HELD or held[-1].dts - held[0].dts >= self._shortest

    def _begun(self, held: list[Placed]) -> Muxing:
        muxing = Muxing(self._stream, self._timeline.time_base, held[0])
        for placed in held:
            self._add(muxing, placed)
        return muxing

    def _add(self, muxing: Muxing, placed: Placed) -> None:
        muxing.add(placed)
        if muxing.frames > self._limits.max_frames:
            raise MediaError(f"more than {self._limits.max_frames} frames without a keyframe to cut at")
        if muxing.size > self._limits.max_bytes:
            raise MediaError(f"more than {self._limits.max_bytes} bytes without a keyframe to cut at")

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        damaged = 0
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    damaged += packet.is_corrupt
                    yield packet
        except FFmpegError as error:
            self.damage = f"reading ends early: {error.strerror}"
        if damaged and not self.damage:
            self.damage = f"{damaged} packets are damaged"
