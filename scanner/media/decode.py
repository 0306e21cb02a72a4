"""Bytes to pictures, one at a time, with their exact place in time. Damage is counted, not fatal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from scanner.core.errors import MediaError
from scanner.core.types import Pixels
from scanner.media.demux import Limits, nominal_step
from scanner.meter import FFMPEG
from scanner.vision import Picture, rgb_matrix

LARGEST_HELD_PX = 2560 * 1440  # larger pictures are scaled down: 31 of 4K are held at a time, and filled a cell
_PLANAR = {"yuv420p": False, "yuvj420p": True}  # format → full range
_FULL_RANGE, _BT709, _BT2020 = 2, 1, (9, 10)  # AVColorRange and AVColorSpace
LONGEST_STEP = Fraction(10)  # seconds; a larger jump between frames is a broken or wrapped clock, not a pause


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded picture and when it is shown."""

    index: int
    time: Fraction
    """seconds since the first frame of the segment"""
    picture: Picture = field(repr=False)


@dataclass(slots=True)
class Decoder:
    """Decodes one opened container; its counters are true once `frames` is exhausted or closed."""

    container: InputContainer
    stream: VideoStream
    limits: Limits
    frames_total: int = 0
    frames_decoded: int = 0
    frames_damaged: int = 0
    duration: Fraction = Fraction(0)
    """seconds, from the first frame to the end of the last, decoded or not"""
    video_bytes: int = 0
    width: int = 0
    height: int = 0
    at_end: bool = False
    """no frame is left"""
    _wake: Fraction = Fraction(0)

    def rest_until(self, time: Fraction) -> None:
        """Nobody asks for frames before `time`, seconds since the first: only what later ones need is decoded."""
        self._wake = time

    def frames(self) -> Iterator[Frame]:
        """Frames in presentation order. Raises MediaError past a limit or when nothing can be decoded.

        While it rests, earlier frames may come, too: those that the frames asked for are predicted from.
        """
        self.stream.thread_type = "NONE"  # cells are parallel to each other, not inside
        self.stream.codec_context.options = {"max_pixels": str(self.limits.max_pixels)}
        clock = _Clock(nominal_step(self.stream))
        for packet in self._needed(clock):
            for picture in self._decode(packet):
                frame = Frame(self.frames_decoded, clock.at(_seconds(picture)), self._picture(picture))
                self.frames_decoded += 1
                self.duration = max(self.duration, frame.time + clock.step)
                if self.duration > self.limits.max_duration_s:
                    raise MediaError(f"longer than the limit of {self.limits.max_duration_s:g} s")
                yield frame
        self.at_end = True

    def skip_rest(self) -> None:
        """Counts what is left without decoding it."""
        step = nominal_step(self.stream)
        before = self.frames_total
        with FFMPEG.running():  # as a whole: to meter each packet by itself costs more than reading it
            for _ in self._packets(_next):
                pass
        self.duration += (self.frames_total - before) * step

    def _needed(self, clock: _Clock) -> Iterator[Packet[VideoStream]]:
        """Packets in decoding order. Those that nobody asks for wait; a keyframe makes the ones before it needless.

        packets    K p p p p p K p p p p
        asked for          ........^       decoded from the second K on
        """
        waiting: list[Packet[VideoStream]] = []
        for packet in self._packets(_next_metered):
            at = clock.place(_seconds(packet)) if self._wake else None
            early = at is not None and at < self._wake
            if waiting and packet.is_keyframe and at is not None and at <= self._wake:
                self.stream.codec_context.flush_buffers()
                waiting.clear()
            if early or (waiting and not packet.size):
                waiting.append(packet)
                continue
            yield from waiting
            waiting.clear()
            yield packet
        self.duration += sum(1 for packet in waiting if packet.size) * clock.step

    def _packets(
        self, take: Callable[[Iterator[Packet[VideoStream]]], Packet[VideoStream] | None]
    ) -> Iterator[Packet[VideoStream]]:
        packets = self.container.demux(self.stream)
        try:
            while (packet := take(packets)) is not None:
                if packet.size:
                    self.frames_total += 1
                    self.video_bytes += packet.size
                if self.frames_total > self.limits.max_frames:
                    raise MediaError(f"more than {self.limits.max_frames} frames")
                yield packet
        except FFmpegError as error:
            self.frames_damaged += 1
            if not self.frames_total:
                raise MediaError(f"no packet can be read: {error.strerror}") from error

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            with FFMPEG.running():
                pictures = packet.decode()
        except FFmpegError:
            self.frames_damaged += 1
            return []
        self.frames_damaged += sum(picture.is_corrupt for picture in pictures)
        return pictures

    def _picture(self, frame: VideoFrame) -> Picture:
        if frame.width * frame.height > self.limits.max_pixels:
            raise MediaError(f"picture of {frame.width} × {frame.height} px exceeds {self.limits.max_pixels} px")
        full_range = _PLANAR.get(frame.format.name, frame.color_range == _FULL_RANGE)
        standard = _standard(frame)
        planar = _planar(frame)
        y, u, v = planar.planes
        width, height = -(-planar.width // 2), -(-planar.height // 2)
        picture = Picture(
            y=_plane(y, planar.width, planar.height),
            u=_plane(u, width, height),
            v=_plane(v, width, height),
            matrix=rgb_matrix(standard, full_range=full_range or frame.color_range == _FULL_RANGE),
        ).rotated(round(frame.rotation / 90))
        self.width, self.height = picture.width, picture.height
        return picture


class _Clock:
    """Container time to time since the first frame, strictly increasing whatever the container says."""

    def __init__(self, step: Fraction) -> None:
        self.step = step
        self._first: Fraction | None = None
        self._last: Fraction | None = None

    def place(self, seconds: Fraction | None) -> Fraction | None:
        """Where container time lies since the first frame; None as long as nobody knows."""
        return None if seconds is None or self._first is None else seconds - self._first

    def at(self, seconds: Fraction | None) -> Fraction:
        if self._last is None:
            self._first = seconds
            self._last = Fraction(0)
            return self._last
        expected = self._last + self.step
        told = expected if seconds is None or self._first is None else seconds - self._first
        if not self._last < told <= self._last + LONGEST_STEP:
            told = expected
            self._first = None if seconds is None else seconds - told
        self._last = told
        return told


def _next(packets: Iterator[Packet[VideoStream]]) -> Packet[VideoStream] | None:
    return next(packets, None)


def _next_metered(packets: Iterator[Packet[VideoStream]]) -> Packet[VideoStream] | None:
    with FFMPEG.running():
        return next(packets, None)


def _seconds(timed: VideoFrame | Packet[VideoStream]) -> Fraction | None:
    base = timed.time_base
    if timed.pts is None or not base:
        return None
    return Fraction(timed.pts * base.numerator, base.denominator)


def _standard(frame: VideoFrame) -> str:
    if frame.colorspace == _BT709:
        return "bt709"
    return "bt2020" if frame.colorspace in _BT2020 else "bt601"


def _planar(frame: VideoFrame) -> VideoFrame:
    """The frame as 8-bit 4:2:0, no larger than what a burst can hold."""
    shrink = min(1.0, (LARGEST_HELD_PX / (frame.width * frame.height)) ** 0.5)
    if frame.format.name in _PLANAR and shrink == 1.0:
        return frame
    width, height = (max(2, int(side * shrink)) for side in (frame.width, frame.height))
    target = "yuvj420p" if frame.color_range == _FULL_RANGE else "yuv420p"
    try:
        with FFMPEG.running():
            return frame.reformat(width=width, height=height, format=target)
    except (FFmpegError, ValueError) as error:
        raise MediaError(f"pixel format {frame.format.name} cannot be converted: {error}") from error


def _plane(plane: VideoPlane, width: int, height: int) -> Pixels:
    rows: Pixels = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[:height, :width]
