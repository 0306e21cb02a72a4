"""The label into AVI: the chunk AIGC in a LIST INFO of its own at the end of the first RIFF, where nothing moves."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from scanner.provenance.writing.splice import File, Splice, UnwritableError

_LONGEST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    at: int
    start: int
    end: int
    form: bytes


def splices(file: File, text: bytes, place: str | None) -> list[Splice]:
    """Where the file changes; an older copy in LIST INFO becomes JUNK. Raises UnwritableError."""
    if place not in {None, "RIFF.LIST INFO"}:
        raise UnwritableError(f"its label lies in {place}, where nothing is rewritten; a second copy is not allowed")
    riffs = list(_chunks(file, 0, file.size))
    first = riffs[0]
    field = _chunk(b"AIGC", text + b"\0")
    new = _chunk(b"LIST", b"INFO" + field)
    if len(riffs) > 1:
        return [*_into_junk(file, first, new), *_older(file, first)]
    size = first.end - first.at - 8 + len(new) + (first.end - first.at) % 2
    if size > _LONGEST:
        raise UnwritableError("it would be longer than the 4 GiB that a RIFF can be")
    padding = b"\0" * ((first.end - first.at) % 2)
    return [
        Splice(first.at + 4, 4, struct.pack("<I", size)),
        Splice(first.end, 0, padding + new),
        *_older(file, first),
    ]


def kinds(file: File) -> set[bytes]:
    """Of the chunks in the first RIFF."""
    first = next(_chunks(file, 0, file.size))
    return {chunk.kind for chunk in _chunks(file, first.start + 4, first.end)}


def _into_junk(file: File, riff: _Chunk, new: bytes) -> list[Splice]:
    """In a file of several RIFFs absolute indexes point behind the first: only room that is there can be used."""
    for chunk in _chunks(file, riff.start + 4, riff.end):
        room = chunk.end - chunk.at + (chunk.end - chunk.at) % 2
        if chunk.kind == b"JUNK" and (room == len(new) or room >= len(new) + 8):
            left = _chunk(b"JUNK", bytes(room - len(new) - 8)) if room > len(new) else b""
            return [Splice(chunk.at, room, new + left)]
    raise UnwritableError("it is an AVI of several RIFFs without room (JUNK) for a label")


def _older(file: File, riff: _Chunk) -> Iterator[Splice]:
    for chunk in _chunks(file, riff.start + 4, riff.end):
        if chunk.kind == b"LIST" and chunk.form == b"INFO":
            for field in _chunks(file, chunk.start + 4, chunk.end):
                if field.kind.upper() == b"AIGC":
                    yield Splice(field.at, 4, b"JUNK")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _chunks(file: File, at: int, end: int) -> Iterator[_Chunk]:
    while at + 8 <= end:
        header = file.read(at, 12)
        size, start = int.from_bytes(header[4:8], "little"), at + 8
        if start + size > end:
            raise UnwritableError(f"chunk {header[:4]!r} at byte {at} says {size} bytes and has {end - start}")
        yield _Chunk(header[:4], at, start, start + size, header[8:12] if header[:4] in {b"RIFF", b"LIST"} else b"")
        at = start + size + size % 2
