"""Labels in AVI: the chunk AIGC in LIST INFO; XMP in the chunk _PMX.

RIFF AVI  ─┬─ LIST hdrl
           ├─ LIST INFO ── AIGC {…}
           └─ LIST movi                 and further RIFF AVIX in files over a gigabyte
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.provenance.aigc import LABEL_BYTES
from scanner.provenance.findings import Code, Finding, shown
from scanner.provenance.source import Copies, Copy, Source
from scanner.provenance.xmp import XMP_BYTES, copies_in_xmp


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    end: int
    form: bytes
    """of a RIFF or LIST"""


def copies(source: Source) -> Copies:
    for riff in _chunks(source, 0, source.size):
        if riff.kind == b"RIFF":
            yield from _within(source, riff)


def holds_chunk(source: Source, kind: bytes) -> bool:
    """Whether a RIFF holds such a chunk. Raises ExhaustedError."""
    riffs = (riff for riff in _chunks(source, 0, source.size) if riff.kind == b"RIFF")
    return any(chunk.kind == kind for riff in riffs for chunk in _chunks(source, riff.start + 4, riff.end))


def _within(source: Source, riff: _Chunk) -> Copies:
    for chunk in _chunks(source, riff.start + 4, riff.end):
        if chunk.kind == b"LIST" and chunk.form == b"INFO":
            for field in _chunks(source, chunk.start + 4, chunk.end):
                if field.kind.upper() == b"AIGC":
                    yield _copy(source, field, "RIFF.LIST INFO")
        elif chunk.kind == b"_PMX":
            length = min(chunk.end - chunk.start, XMP_BYTES + 1)
            yield from copies_in_xmp(source, source.read(chunk.start, length), "RIFF._PMX")
        elif chunk.kind == b"AIGC":
            yield _copy(source, chunk, "RIFF", Finding(Code.FOREIGN_PLACE, "it lies in RIFF, not in LIST INFO"))


def _copy(source: Source, chunk: _Chunk, place: str, *about: Finding) -> Copy:
    if chunk.kind != b"AIGC":
        says = f"its chunk is {shown(chunk.kind.decode('latin-1'))}, not 'AIGC'"
        about = (*about, Finding(Code.FOREIGN_KEY, says))
    return Copy(place, source.read(chunk.start, min(chunk.end - chunk.start, LABEL_BYTES + 1)), about)


def _chunks(source: Source, at: int, end: int) -> Iterator[_Chunk]:
    while at + 8 <= end:
        source.step()
        header = source.read(at, 12)
        kind, size, start = header[:4], int.from_bytes(header[4:8], "little"), at + 8
        if start + size > end:
            says = f"a chunk {shown(kind.decode('latin-1'))} of {size} bytes has {end - start} left"
            source.note(Code.TRUNCATED, says)
        form = header[8:12] if kind in {b"RIFF", b"LIST"} else b""
        yield _Chunk(kind, start, min(start + size, end), form)
        at = start + size + size % 2
