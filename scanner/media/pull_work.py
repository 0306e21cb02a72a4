"""The work of a live source's process: an address in, pieces and pulses out by the socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic, time
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from scanner.core.errors import MediaError
from scanner.media.cutter_work import rehearse
from scanner.media.cutting import AIGC_BYTES, LONGEST_DURATION_S, Cutting
from scanner.media.dash.stream import Dash
from scanner.media.demux import Limits, Readable, reached
from scanner.media.https import Https
from scanner.media.muxing import Piece, Placed
from scanner.media.protocol import Channel, ClosedError, Message
from scanner.media.pull import SILENT_S
from scanner.media.relay import Relay
from scanner.media.sandbox import Confinement, Layer, confine_networked

_PULSE_S = 0.5
_HOLE_S = 2.0  # between two pictures that follow one another; the source lost what lay between
Opened = str | Readable
Between = Relay | Dash | Https
"""what stands between a source and FFmpeg"""


class LiveCutting(Cutting):
    """Cuts what never ends: tells pulses, sees silence and holes, and notes when each segment began."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        target_s: float,
        limits: Limits,
        pulse: Callable[[int, int], None],
    ) -> None:
        super().__init__(container, stream, target_s, limits)
        self._pulse = pulse
        self._hole = self._timeline.ticks(_HOLE_S)

    def _demuxed(self) -> Iterator[Packet[VideoStream] | None]:
        video = other = 0
        seen_s = pulsed_s = monotonic()
        silent = False
        packet: Any  # of any stream
        for packet in self._container.demux():
            now_s = monotonic()
            if packet.stream is self._stream:
                video, seen_s, silent = video + 1, now_s, False
                yield packet
            else:
                other += 1
                if not silent and now_s - seen_s > SILENT_S:  # what there is becomes a segment
                    silent = True
                    yield None
            if now_s - pulsed_s >= _PULSE_S:
                self._pulse(video, other)
                pulsed_s = now_s

    def _placed(self) -> Iterator[Placed | None]:
        before: Placed | None = None
        broken = waiting = False
        for placed in super()._placed():
            if placed is None:
                waiting = True
                yield None
                continue
            keyframe = placed.packet.is_keyframe
            far = before is not None and placed.dts - before.dts > self._hole
            broken |= far and not waiting
            # Pictures that lean on a keyframe which never came; but the last one before the silence comes with the
            # first one after it, since a parser holds it until it sees where it ends.
            broken |= far and waiting and not keyframe
            yield replace(placed, came_s=time(), lost=broken and keyframe)
            if keyframe:
                broken = waiting = False
            before = placed


def serve(sock: socket.socket, layers: frozenset[Layer]) -> None:
    channel = Channel(sock)
    orders = channel.hear()
    with ExitStack() as stack:
        confinement = Confinement(**orders["confinement"])
        between: Between | None = None
        if orders["relay"]:
            between = Relay(orders["relay"], orders["devices"], confinement)
        elif orders["dash"]:
            between = Dash(orders["url"])
        elif orders["fetched"]:
            between = Https(orders["url"])
        try:
            source: Opened = between.output if between else orders["url"]
            if orders["pipe"]:  # waits for somebody to write
                source = stack.enter_context(open(orders["url"], "rb", buffering=0))  # noqa: PTH123 - unbuffered
            rehearse()
            layers = confine_networked(confinement, layers)
            if isinstance(between, Dash | Https):
                orders["format"] = between.open()
            _pulled(channel, orders, source, between, layers)
        except MediaError as error:
            channel.tell({"rejected": (between and between.complaint()) or str(error)})
        except ClosedError:
            pass  # the parent has seen enough


def _pulled(
    channel: Channel, orders: Message, source: Opened, between: Between | None, layers: frozenset[Layer]
) -> None:
    """Raises MediaError."""
    limits = Limits(**orders["limits"])
    opens = between.opens if isinstance(between, Https) else None
    with reached(source, limits, orders["options"], orders["format"], opens) as (container, stream):
        _only(container, stream, alone=orders["alone"])
        if between is not None:
            between.listen()
        facts = _facts(container, stream, _seconds(container, between))
        channel.tell({"facts": {**facts, "sandbox": sorted(layers)}})

        def pulse(video: int, other: int) -> None:
            if between is not None:
                between.listen()
            channel.tell({"pulse": {"video": video, "other": other}})

        cutting = LiveCutting(container, stream, orders["target_s"], limits, pulse)
        for piece in cutting.pieces():
            channel.tell({"piece": _told(piece)}, piece.payload)
        channel.tell({"end": {"damage": (between and between.complaint()) or cutting.damage}})


def _only(container: InputContainer, stream: VideoStream, *, alone: bool) -> None:
    """Leaves other renditions unread: a playlist's demuxer would fetch them all."""
    for other in container.streams:
        if other is not stream and (alone or other.type == "video"):
            other.discard = Discard.all


def _seconds(container: InputContainer, between: Between | None) -> float | None:
    """A container whose bytes were handed on does not know how long its source is; who handed them on does."""
    if isinstance(between, Relay | Dash):
        return between.duration_s
    return (container.duration or 0) / 1_000_000


def _facts(container: InputContainer, stream: VideoStream, seconds: float | None) -> Message:
    aigc = container.metadata.get("AIGC")
    return {
        "duration_s": seconds if seconds and 0 < seconds <= LONGEST_DURATION_S else None,
        "codec": stream.codec_context.name,
        "width": stream.width,
        "height": stream.height,
        "aigc": aigc if aigc and len(aigc) <= AIGC_BYTES else None,
    }


def _told(piece: Piece) -> Message:
    return {
        "start_ms": round(piece.start * 1000),
        "size": len(piece.payload),
        "content_type": piece.content_type,
        "last": piece.last,
        "lost": piece.lost,
        "captured_at_ms": round((piece.came_s or time()) * 1000),
        "bytes_read": 0,
    }
