"""An opened container to self-contained segments, without touching a picture. Runs inside the cutter's process.

packets   K . . b b . K b . . K . . .        K keyframe, b leading picture of an open GOP
segments [K . . b b . K b . .)[K . . .)      cut at the first keyframe past the target; one that would begin
                                             with leading pictures loses them: they lean on the segment before

A keyframe with new parameter sets (another size, another profile) always begins a segment, described by them.
"""

from __future__ import annotations

from collections.abc import Iterator

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from scanner.core.errors import MediaError
from scanner.media.demux import Limits
from scanner.media.muxing import Muxing, Piece, Placed
from scanner.media.parameters import CodecChangedError, Parameters, ParameterSets
from scanner.media.timeline import LONGEST_STILL_S, Timeline

AIGC_BYTES = 16 * 1024  # a GB 45438 label is some hundred bytes
LONGEST_DURATION_S = 10**7  # four months; a container that promises more promises nothing
EARLY = 0.75  # of the target: a keyframe from here on ends the segment; waiting for the next could double it
MUCH = 0.02  # of the promised duration; rounding and the last frame's own duration are less
SHORTEST_S = 0.6  # a rest of the stream shorter than this holds no clip of 16 frames: it joins the segment before
MOST_HELD = 256  # packets, while it shows whether a segment stands alone


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
        self._last_pts = 0
        self._sets = ParameterSets(stream)
        self._parameters: Parameters | None = None
        self._muxing: Muxing | None = None
        """the segment being written"""
        self._held: list[Placed] = []
        """from a keyframe on, until it shows whether they are a segment of their own"""
        self.damage = ""

    def pieces(self) -> Iterator[Piece]:
        """Raises MediaError."""
        empty = True
        try:
            for placed in self._placed():
                for piece in self._taken(placed):
                    empty = False
                    yield piece
        except CodecChangedError:
            if whole := self._parted(last=False):
                yield whole
            raise
        if last := self._parted(last=True):
            yield last
        elif empty:
            raise MediaError("no keyframe in its video: nothing to start decoding from")

    def _taken(self, placed: Placed | None) -> Iterator[Piece]:
        """The segment that this packet completes, if it does."""
        if (placed is None or placed.parts) and (piece := self._parted(last=False)):
            yield piece
        if placed is None:
            return
        self._parameters = placed.parameters or self._parameters
        if self._held and self._stands_alone(placed):
            if self._muxing:
                yield self._muxing.finish(self._origin, last=False)
            self._muxing, self._held = self._begun(self._held), []
        if self._held or self._may_begin(placed):
            self._held.append(placed)
        elif self._muxing:
            self._add(self._muxing, placed)

    def _parted(self, *, last: bool) -> Piece | None:
        """What there is, as a segment of its own, however short."""
        muxing, held = self._muxing, self._held
        self._muxing, self._held = None, []
        if muxing is None:
            return self._begun(held).finish(self._origin, last=last) if held else None
        for placed in held:
            self._add(muxing, placed)
        return muxing.finish(self._origin, last=last)

    def _placed(self) -> Iterator[Placed | None]:
        """Packets with their place; None where the video fell silent."""
        first = True
        for packet in self._packets():
            if packet is None:
                yield None
                continue
            placed = Placed(packet, *self._timeline.place(packet), self._sets.changed(packet))
            if first:
                self._origin, self._gop_dts = placed.pts, placed.dts
                first = False
            if packet.is_keyframe:
                self._gop_dts = placed.dts
            if placed.dts - self._gop_dts > self._longest_gop:
                raise MediaError(
                    f"no keyframe for more than {LONGEST_STILL_S} s: encode it with a keyframe every few seconds"
                )
            self._last_pts = max(self._last_pts, placed.pts)
            yield placed

    def _may_begin(self, placed: Placed) -> bool:
        """Whether a segment may begin here."""
        enough = self._muxing is None or placed.pts - self._muxing.first_pts >= self._enough
        return placed.packet.is_keyframe and enough

    def _stands_alone(self, after: Placed) -> bool:
        """Whether what is held is enough for a segment; a shorter rest of the stream joins the one before."""
        first, enough = self._held[0], len(self._held) >= MOST_HELD
        return self._muxing is None or enough or after.dts - first.dts >= self._shortest

    def _begun(self, held: list[Placed]) -> Muxing:
        muxing = Muxing(self._stream, self._timeline.time_base, held[0], self._parameters)
        for placed in held:
            self._add(muxing, placed)
        return muxing

    def _add(self, muxing: Muxing, placed: Placed) -> None:
        muxing.add(placed)
        if muxing.frames > self._limits.max_frames:
            raise MediaError(f"more than {self._limits.max_frames} frames without a keyframe to cut at")
        if muxing.size > self._limits.max_bytes:
            raise MediaError(f"more than {self._limits.max_bytes} bytes without a keyframe to cut at")

    def _packets(self) -> Iterator[Packet[VideoStream] | None]:
        damaged, end = 0, ""
        try:
            for packet in self._demuxed():
                if packet is None:
                    yield None
                elif packet.size:
                    damaged += packet.is_corrupt
                    yield packet
        except FFmpegError as error:
            end = f"reading fails before the end: {error.strerror}"
        broken = f"damaged packets: {damaged}" if damaged else ""
        self.damage = "; ".join(note for note in (end or self._shortfall(), broken) if note)

    def _demuxed(self) -> Iterator[Packet[VideoStream] | None]:
        """The stream's packets; None where it fell silent, which a file never does."""
        yield from self._container.demux(self._stream)

    def _shortfall(self) -> str:
        """Whether the video ends well before the container says it does."""
        of_video = (self._stream.duration or 0) * self._timeline.time_base
        promised = float(of_video) or (self._container.duration or 0) / 1_000_000
        came = float((self._last_pts - self._origin) * self._timeline.time_base)
        if promised > LONGEST_DURATION_S or promised - came <= max(1.0, promised * MUCH):
            return ""
        return f"it ends after {came:.1f} of {promised:.1f} s"
