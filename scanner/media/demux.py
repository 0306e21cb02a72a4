"""Opening bytes as video within limits: which containers, codecs and sizes FFmpeg may touch, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO, Protocol

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from scanner.core.errors import MediaError
from scanner.meter import FFMPEG

FORMATS = ("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "mpegts", "flv", "matroska", "webm", "avi")
"""containers whose demuxers only read the bytes they are given; playlists (hls, dash, concat) are not among them"""

CODECS = (
    "h264", "hevc", "vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d", "mpeg4", "mpeg2video", "mpeg1video",
    "h263", "flv", "mjpeg", "msmpeg4", "msmpeg4v2", "wmv1", "wmv2", "vp6", "vp6f", "theora", "prores", "dnxhd",
    "rawvideo", "ffv1",
)  # fmt: skip
"""software decoders a cell may open"""


_OPENED_ELSEWHERE = {"http_persistent": "0", "http_multiple": "0"}
"""the HLS demuxer asserts that a connection which it keeps is FFmpeg's own"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one segment may ask of a cell."""

    max_pixels: int = 8192 * 4352
    max_frames: int = 8192
    max_duration_s: float = 60.0
    max_streams: int = 64
    max_faces: int = 16
    max_tracklets: int = 1024
    max_bytes: int = 256 * 1024 * 1024
    """of one segment; 30 s at 70 Mb/s"""


@contextmanager
def opened(
    media: BinaryIO, limits: Limits, *, sizes_only: bool = False, hwaccel: HWAccel | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its best video stream. Raises MediaError.

    Args:
        sizes_only: spares FFmpeg the pictures it decodes only to learn their pixel format, 20 ms of 720p; what has
            no size in its headers is looked at after all.
        hwaccel: what decodes instead of FFmpeg's software.
    """
    options = {
        "format_whitelist": ",".join(FORMATS),
        "protocol_whitelist": "",  # nested addresses in any container reach nothing
        "enable_drefs": "0",
        "use_absolute_path": "0",
        **_bounds(limits),
    }
    try:
        with FFMPEG.running():
            container = _open(media, options, hwaccel, sizes_only=sizes_only)
        try:
            yield container, _video(container, limits)
        finally:
            with FFMPEG.running():
                container.close()
    except FFmpegError as error:
        raise MediaError(f"cannot be read as video: {_reason(error)}") from error


def _open(media: BinaryIO, options: dict[str, str], hwaccel: HWAccel | None, *, sizes_only: bool) -> InputContainer:
    if sizes_only:
        quick = {**options, "skip_frame": "all"}
        container = av.open(media, "r", options=quick, metadata_errors="replace", hwaccel=hwaccel)
        contexts = [stream.codec_context for stream in container.streams.video]
        if all(context is None or (context.width and context.height) for context in contexts):
            return container  # without a decoder there is nothing to look at
        container.close()
        media.seek(0)
    return av.open(media, "r", options=options, metadata_errors="replace", hwaccel=hwaccel)


class Readable(Protocol):
    """All that is asked of what bytes are demuxed from."""

    def read(self, size: int = -1, /) -> bytes: ...


@contextmanager
def reached(
    address: str | Readable,
    limits: Limits,
    options: Mapping[str, str],
    container_format: str | None,
    opens: Callable[[str, int, Mapping[str, str]], Readable] | None = None,
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A live source, opened by FFmpeg itself or read from a pipe, and its best video stream. Raises MediaError.

    Args:
        options: of the demuxer and the protocol; must hold `format_whitelist` and `protocol_whitelist`.
        container_format: named rather than guessed.
        opens: what opens each address, that one and those which it leads to, instead of FFmpeg.
    """
    told = {**options, **_bounds(limits), **(_OPENED_ELSEWHERE if opens else {})}
    try:
        with av.open(
            address, "r", format=container_format, options=told, metadata_errors="replace", io_open=opens
        ) as container:
            yield container, _video(container, limits)
    except FFmpegError as error:
        if isinstance(error, (av.error.InvalidDataError, av.error.EOFError)):
            raise MediaError(_reason(error)) from error
        raise MediaError(error.strerror or type(error).__name__) from error


def _bounds(limits: Limits) -> dict[str, str]:
    return {
        "codec_whitelist": ",".join(CODECS),
        "max_streams": str(limits.max_streams),
        "max_pixels": str(limits.max_pixels),
    }


def _video(container: InputContainer, limits: Limits) -> VideoStream:
    streams = [stream for stream in container.streams.video if not _is_cover(stream)]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise NoVideoError(f"no video stream among {len(container.streams)} ({', '.join(kinds) or 'none'})")
    accepted = [stream for stream in streams if stream.codec_context and stream.codec_context.name in CODECS]
    if not accepted:
        raise MediaError(f"no accepted codec among its video streams ({', '.join(map(_codec_name, streams))})")
    stream = max(accepted, key=lambda candidate: candidate.width * candidate.height)
    if stream.width * stream.height > limits.max_pixels:
        raise MediaError(f"picture of {stream.width} × {stream.height} px exceeds {limits.max_pixels} px")
    return stream


def _codec_name(stream: VideoStream) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"


class NoVideoError(MediaError):
    """The container is sound and holds no video."""


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _reason(error: FFmpegError) -> str:
    if isinstance(error, (av.error.InvalidDataError, av.error.ArgumentError)):
        return "no sound MP4, MOV, MPEG-TS, FLV, Matroska, WebM or AVI"
    if isinstance(error, av.error.EOFError):
        return "it ends before the first frame"
    return f"{error.strerror or type(error).__name__}"


def nominal_step(stream: VideoStream) -> Fraction:
    """Seconds between two frames as the container promises them; 1/25 where it promises nothing sane."""
    rate: Any = stream.guessed_rate or stream.average_rate  # the average is pulled down by pauses
    if not rate or not 0.5 <= rate <= 480:
        return Fraction(1, 25)
    return 1 / Fraction(rate)
