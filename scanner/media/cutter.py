"""The one cutter that scan, publish, ingest and replay share: a file to self-contained segments, never re-encoded.

path, file or "-" ──descriptor──▶ confined process: demux, cut, mux ──socket──▶ Segment, Segment, …
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from types import TracebackType
from typing import Self

from scanner.core.errors import MediaError
from scanner.core.types import Declared, Segment
from scanner.media.child import Child
from scanner.media.cutting import AIGC_BYTES, LONGEST_DURATION_S
from scanner.media.demux import Limits
from scanner.media.muxing import CONTENT_TYPES
from scanner.media.protocol import Fields, Message, OverdueError, ProtocolError
from scanner.media.sandbox import Confinement, Layer
from scanner.media.sources import Source, descriptor_of, name_of

TARGET_S = 2.0
STALL_S = 60.0  # the cutter says nothing: 30 s of 4K off a slow disk took 9 s
_LATEST_MS = 10 * 365 * 24 * 3600 * 1000
_REASON_LENGTH = 500


def cut(
    source: Source,
    *,
    stream_id: str | None = None,
    target_s: float = TARGET_S,
    limits: Limits | None = None,
    confinement: Confinement | None = None,
    stall_s: float = STALL_S,
    c2pa: str | None = None,
) -> Cut:
    """Segments of about `target_s` seconds, in order, each beginning with a keyframe.

    Args:
        source: a path, "-" for standard input, or an open file with a descriptor; read, never seeked, when a pipe.
        stream_id: the name the segments get; the source's own by default.
        stall_s: how long the cutter may be silent before it is held to hang.
        c2pa: what the source's C2PA manifest says, to go along with each segment.

    Raises MediaError while iterating, with one line that names the source and what is wrong with it.
    """
    return Cut(source, stream_id, target_s, limits or Limits(), confinement or Confinement(), stall_s, c2pa)


class Cut:
    """Segments of one source, one after the other; with what is known of the whole on the side."""

    def __init__(
        self,
        source: Source,
        stream_id: str | None,
        target_s: float,
        limits: Limits,
        confinement: Confinement,
        stall_s: float | None,
        c2pa: str | None = None,
    ) -> None:
        self.name = name_of(source)
        self.duration_s: float | None = None
        """as the container says; None before the first segment, or where it says nothing sane"""
        self.bytes_total: int | None = None
        self.bytes_read = 0
        self.damage = ""
        """after the last segment: what was lost, in a few words"""
        self.sandbox: tuple[str, ...] = ()
        self._stream_id = stream_id or self.name
        self._target_s = target_s
        self._limits = limits
        self._confinement = confinement
        self._stall_s = stall_s
        self._declared = Declared(c2pa=c2pa)
        self._segments = self._cut(source)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Segment:
        return next(self._segments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the cutter's process, also half-way."""
        self._segments.close()

    def _cut(self, source: Source) -> Generator[Segment, None, None]:
        try:
            with descriptor_of(source) as descriptor:
                yield from self._started(descriptor)
        except MediaError as error:
            raise MediaError(f"{self.name}: {error}") from error.__cause__

    def _started(self, descriptor: int) -> Iterator[Segment]:
        self.bytes_total = os.fstat(descriptor).st_size
        if not self.bytes_total:
            raise MediaError("empty: holds no bytes")
        child = Child("scanner.media.cutter_main", [descriptor])
        try:
            yield from self._heard(child)
        except OverdueError as error:
            raise MediaError(f"reading it was stopped: nothing came for {self._stall_s:g} s") from error
        except ProtocolError as error:
            raise MediaError(f"the process that read it {child.obituary(error)}") from error
        finally:
            child.close()

    def _heard(self, child: Child) -> Iterator[Segment]:
        channel = child.channel
        channel.allow(self._stall_s)
        channel.tell(self._orders())
        sequence, earliest_ms = 0, 0
        while True:
            channel.allow(self._stall_s)
            said = Fields(channel.hear())
            if said.has("piece"):
                piece = said.inner("piece")
                size = piece.integer("size", 1, self._limits.max_bytes + 2**20)
                sequence += piece.has("lost") and piece.flag("lost")
                segment = self._segment(piece, bytes(channel.take(size)), sequence, earliest_ms)
                sequence, earliest_ms = sequence + 1, segment.start_ms + 1
                yield segment
            elif said.has("facts"):
                self._learn(said.inner("facts"))
            elif said.has("rejected"):
                raise MediaError(said.text("rejected", _REASON_LENGTH))
            elif said.has("pulse"):
                self._alive(said.inner("pulse"))
            else:
                self.damage = said.inner("end").text("damage", _REASON_LENGTH)
                return

    def _orders(self) -> Message:
        return {
            "limits": asdict(self._limits),
            "confinement": asdict(self._confinement),
            "target_s": self._target_s,
        }

    def _alive(self, pulse: Fields) -> None:
        """Packets come, though no segment is complete."""

    def _learn(self, facts: Fields) -> None:
        self.duration_s = facts.number("duration_s", 0, LONGEST_DURATION_S) if facts.has("duration_s") else None
        self.sandbox = tuple(Layer(layer).value for layer in facts.items("sandbox", len(Layer)))
        aigc = facts.text("aigc", AIGC_BYTES) if facts.has("aigc") else None
        self._declared = replace(self._declared, aigc=aigc)

    def _segment(self, piece: Fields, payload: bytes, sequence: int, earliest_ms: int) -> Segment:
        self.bytes_read = piece.integer("bytes_read", 0, 2**62)
        content_type = piece.text("content_type", 32)
        if content_type not in CONTENT_TYPES.values():
            raise ProtocolError(f"not a container that we write: {content_type}")
        return Segment(
            stream_id=self._stream_id,
            sequence=sequence,
            start_ms=max(earliest_ms, piece.integer("start_ms", 0, _LATEST_MS)),
            payload=payload,
            sha256=sha256(payload).hexdigest(),
            content_type=content_type,
            captured_at_ms=piece.integer("captured_at_ms", 0, 2**53) if piece.has("captured_at_ms") else None,
            end_of_stream=piece.flag("last"),
            declared=self._declared,
        )
