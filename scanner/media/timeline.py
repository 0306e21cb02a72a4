"""Container time to a time that only grows, whatever the container says. In ticks of the stream's time base."""

from __future__ import annotations

from fractions import Fraction

from av.packet import Packet
from av.video.stream import VideoStream

from scanner.media.demux import nominal_step

LONGEST_STILL_S = 30  # between two frames of one GOP; more is a broken clock
LONGEST_PAUSE_S = 3600  # before a keyframe: the source paused; more is a broken or wrapped clock
LONGEST_REORDERING = 16  # pictures that a decoder may hold back; room for decoding times where none are told
SMALL_SLIP_S = 1  # backwards: a muxer's rounding, to be nudged; more is a clock that started anew


class Timeline:
    """Gives each packet, in decoding order, its place: presentation and decoding time.

    told      100 110 120 | 5 15 25 | 35   90000
    placed    100 110 120  130 140 150 160 170      jumps become one step; true pauses before a keyframe stay
    """

    def __init__(self, stream: VideoStream) -> None:
        self.time_base = Fraction(stream.time_base or Fraction(1, 90000))
        self._step = max(1, round(nominal_step(stream) / self.time_base))
        self._reorders = bool(stream.codec_context.has_b_frames)
        self._shift = 0
        self._last: int | None = None

    def ticks(self, seconds: float) -> int:
        return int(seconds / self.time_base)

    def place(self, packet: Packet[VideoStream]) -> tuple[int, int]:
        """(pts, dts); dts grows from packet to packet, pts is never before it."""
        dts = self._decoding_time(packet)
        pts = dts if packet.pts is None else packet.pts + self._shift
        if not dts <= pts <= dts + self.ticks(LONGEST_STILL_S):
            pts = dts
        self._last = dts
        return pts, dts

    def _decoding_time(self, packet: Packet[VideoStream]) -> int:
        told = packet.dts if packet.dts is not None else packet.pts
        if self._last is None:
            slack = LONGEST_REORDERING * self._step if packet.dts is None and self._reorders else 0
            return told - slack if told is not None else 0
        expected = self._last + self._step
        if told is None:
            return expected
        if packet.dts is None:  # presentation order says little about decoding order
            return max(self._last + 1, min(expected, told + self._shift))
        dts = told + self._shift
        longest = LONGEST_PAUSE_S if packet.is_keyframe else LONGEST_STILL_S
        if self._last < dts <= self._last + self.ticks(longest):
            return dts
        if self._last - self.ticks(SMALL_SLIP_S) < dts <= self._last:
            return self._last + 1
        self._shift = expected - told
        return expected
