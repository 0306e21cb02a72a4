"""The work of the cutter's process: an inherited file in, pieces out by the socket."""

from __future__ import annotations

import os
import socket
from io import BytesIO
from typing import BinaryIO

from av.container import InputContainer
from av.video.stream import VideoStream

from scanner.core.errors import MediaError
from scanner.media.cutting import AIGC_BYTES, LONGEST_DURATION_S, Cutting
from scanner.media.demux import Limits, opened
from scanner.media.protocol import Channel, ClosedError, Message
from scanner.media.rehearsal import RATE, black_video, load_all_of_av
from scanner.media.sandbox import Confinement, Layer, confine

_HEAD_BYTES = 1024
_PLAYLISTS = {
    b"#EXTM3U": "an HLS playlist",
    b"ffconcat": "a concat script",
    b"<MPD": "a DASH manifest",
    b"<SmoothStreamingMedia": "a Smooth Streaming manifest",
}


def serve(sock: socket.socket, file: int, layers: frozenset[Layer]) -> None:
    channel = Channel(sock)
    orders = channel.hear()
    limits = Limits(**orders["limits"])
    rehearse()
    with os.fdopen(file, "rb", buffering=0) as media:
        layers = confine(Confinement(**orders["confinement"]), layers)
        try:
            with opened(media, limits) as (container, stream):
                cutting = Cutting(container, stream, orders["target_s"], limits)
                channel.tell({"facts": {**_facts(container, stream), "sandbox": sorted(layers)}})
                for piece in cutting.pieces():
                    channel.tell(
                        {
                            "piece": {
                                "start_ms": round(piece.start * 1000),
                                "size": len(piece.payload),
                                "content_type": piece.content_type,
                                "last": piece.last,
                                "bytes_read": media.tell(),
                            }
                        },
                        piece.payload,
                    )
                channel.tell({"end": {"damage": cutting.damage}})
        except MediaError as error:
            channel.tell({"rejected": _explained(media, error)})
        except ClosedError:
            pass  # the parent has seen enough


def rehearse() -> None:
    """What cutting loads on first use is loaded; before a process is confined."""
    load_all_of_av()
    with opened(BytesIO(black_video(RATE)), Limits()) as (container, stream):
        if not list(Cutting(container, stream, 0.5, Limits()).pieces()):
            raise AssertionError("the rehearsal cut nothing")


def _facts(container: InputContainer, stream: VideoStream) -> Message:
    seconds = (container.duration or 0) / 1_000_000
    aigc = container.metadata.get("AIGC")
    return {
        "duration_s": seconds if 0 < seconds <= LONGEST_DURATION_S else None,
        "codec": stream.codec_context.name,
        "aigc": aigc if aigc and len(aigc) <= AIGC_BYTES else None,
    }


def _explained(media: BinaryIO, error: MediaError) -> str:
    """The reason, said better where the first bytes of the file tell more than FFmpeg does."""
    media.seek(0)
    head = media.read(_HEAD_BYTES)
    for mark, name in _PLAYLISTS.items():
        if mark in head[: len(head) if mark.startswith(b"<") else 32]:
            return f"{name}, which only names other files: give the media themselves"
    if head[4:8] == b"ftyp" and not _has_index(media):
        return "its index (the moov box) is missing: the file is truncated or was never finished"
    return str(error)


def _has_index(media: BinaryIO) -> bool:
    """Whether one of the first boxes of an MP4 file is its index."""
    at, end = 0, media.seek(0, os.SEEK_END)
    for _ in range(1000):
        media.seek(at)
        header = media.read(16)
        if len(header) < 8 or at >= end:
            return False
        if header[4:8] == b"moov":
            return at + int.from_bytes(header[:4], "big") <= end
        size = int.from_bytes(header[:4], "big")
        at += int.from_bytes(header[8:16], "big") if size == 1 else max(8, size) if size else end
    return False
