"""A stream's parameter sets (codec headers, size) as they change on the way, so that each segment carries its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from av.bitstream import BitStreamFilterContext, bitstream_filters_available
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from scanner.core.errors import MediaError

_FILTER = "extract_extradata"
_IN_BAND = frozenset(("h264", "hevc", "av1", "mpeg2video", "mpeg4"))
"""codecs whose keyframes may bring their parameter sets along"""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a decoder must be told before the first packet."""

    extradata: bytes = field(repr=False)
    width: int
    height: int


class CodecChangedError(MediaError):
    """Another codec goes on in the same stream: it has to be opened anew."""


class ParameterSets:
    """Watches keyframes for parameter sets that differ from those in force."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._codec = stream.codec_context.name
        self._canonical = stream.codec.canonical_name
        self._known = stream.codec_context.extradata or b""
        inside = self._canonical in _IN_BAND and not self._known.startswith(b"\x01")  # avcC, hvcC: out of band
        usable = inside and _FILTER in bitstream_filters_available
        self._filter = BitStreamFilterContext(_FILTER, stream) if usable else None

    def changed(self, packet: Packet[VideoStream]) -> Parameters | None:
        """New parameters from this packet on; None while those in force hold. Looks at keyframes only.

        Raises CodecChangedError.
        """
        if not packet.is_keyframe:
            return None
        told = self._told(packet)
        if self._filter and self._known and not told and self._others(packet):
            raise CodecChangedError(f"its codec is {self._canonical} no longer")
        if not told or told == self._known:
            return None
        first, self._known = not self._known, told
        size = _size(self._codec, told, packet)
        return Parameters(told, *size) if size and not first else None

    def _others(self, packet: Packet[VideoStream]) -> bytes:
        """The parameter sets of the codec that the demuxer takes it for by now."""
        return _extracted(BitStreamFilterContext(_FILTER, self._stream), packet)

    def _told(self, packet: Packet[VideoStream]) -> bytes:
        if packet.has_sidedata("new_extradata"):
            return bytes(packet.get_sidedata("new_extradata"))
        if self._filter is None:
            return b""
        try:
            return _extracted(self._filter, packet)
        except FFmpegError:  # damaged: the decoder will say so
            self._filter = None
            return b""


def _extracted(filter_: BitStreamFilterContext, packet: Packet[VideoStream]) -> bytes:
    """Raises FFmpegError."""
    filtered = filter_.filter(Packet(bytes(packet)))
    return b"".join(bytes(p.get_sidedata("new_extradata")) for p in filtered if p.has_sidedata("new_extradata"))


def _size(codec: str, extradata: bytes, keyframe: Packet[VideoStream]) -> tuple[int, int] | None:
    """Width and height by decoding this one keyframe; None where it cannot be decoded."""
    decoder = CodecContext.create(codec, "r")
    if not isinstance(decoder, VideoCodecContext):
        return None
    decoder.thread_count = 1
    decoder.extradata = extradata
    try:
        frames = decoder.decode(Packet(bytes(keyframe))) + decoder.decode(None)
    except FFmpegError:
        return None
    return (frames[0].width, frames[0].height) if frames else None
