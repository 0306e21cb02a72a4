"""Labels in MP4 and MOV, also fragmented and with the index at the end.

moov ─┬─ udta ─┬─ meta ─┬─ keys   1: mdta AIGC          the place that TC260-PG-20257A names
      │        │        └─ ilst   1: data {…}
      │        └─ XMP_                                  XMP, as QuickTime keeps it
      ├─ meta …                                         as QuickTime keeps keys; foreign to the guide
      └─ trak ── udta | meta …                          of one track, not of the file
uuid be7acfcb…                                          XMP, as MP4 keeps it
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.provenance.aigc import LABEL_BYTES
from scanner.provenance.findings import Code, Finding, shown
from scanner.provenance.source import Copies, Copy, Source
from scanner.provenance.xmp import XMP_BYTES, copies_in_xmp

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_KEYS_BYTES = 64 * 1024
_UTF16 = 2  # type of a data box; 1 is UTF-8
_HOLDERS = {b"moov", b"udta", b"meta", b"trak"}
_PLACE = "moov.udta.meta"


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    """of what it holds"""
    end: int


def copies(source: Source) -> Copies:
    kinds = set()
    for box in _boxes(source, 0, source.size, "file"):
        kinds.add(box.kind)
        if box.kind in {b"moov", b"meta"}:
            yield from _within(source, box, _named(box))
        elif box.kind == b"uuid":
            yield from _uuid(source, box, "uuid")
    if b"moov" not in kinds:
        if kinds & {b"moof", b"styp"}:
            source.note(
                Code.NO_PLACE, "a media segment without moov has no place for a label: look at its init segment"
            )
        else:
            source.note(Code.MALFORMED, "the file has no moov box")


def holds_uuid(source: Source, usertype: bytes) -> bool:
    """Whether there is such a uuid box at the top. Raises ExhaustedError."""
    tops = _boxes(source, 0, source.size, "file")
    return any(box.kind == b"uuid" and source.read(box.start, 16) == usertype for box in tops)


def _within(source: Source, parent: _Box, path: str) -> Copies:
    """Depth is bounded: no holder stands twice on a path."""
    if parent.kind == b"meta":
        yield from _meta(source, parent, path)
        return
    for box in _boxes(source, parent.start, parent.end, path):
        inside = f"{path}.{_named(box)}"
        if box.kind in _HOLDERS and _named(box) not in path.split("."):
            yield from _within(source, box, inside)
        elif box.kind == b"XMP_":
            yield from copies_in_xmp(source, source.read(box.start, min(box.end - box.start, XMP_BYTES + 1)), inside)
        elif box.kind == b"uuid":
            yield from _uuid(source, box, inside)


def _uuid(source: Source, box: _Box, path: str) -> Copies:
    if source.read(box.start, 16) == _XMP_UUID:
        length = min(box.end - box.start - 16, XMP_BYTES + 1)
        yield from copies_in_xmp(source, source.read(box.start + 16, length), path)


def _meta(source: Source, meta: _Box, path: str) -> Copies:
    # ISO's meta begins with a version and flags, QuickTime's with its first box.
    start = meta.start if source.read(meta.start + 4, 4) == b"hdlr" else meta.start + 4
    keys: list[tuple[bytes, str]] = []
    lists = []
    for box in _boxes(source, start, meta.end, path):
        if box.kind == b"keys":
            keys = _keys(source, box, path)
        elif box.kind == b"ilst":
            lists.append(box)
        elif box.kind == b"uuid":
            yield from _uuid(source, box, f"{path}.uuid")
    for ilst in lists:
        for item in _boxes(source, ilst.start, ilst.end, f"{path}.ilst"):
            if item.kind == b"----":
                yield from _freeform(source, item, path)
                continue
            number = int.from_bytes(item.kind, "big")
            namespace, name = keys[number - 1] if 1 <= number <= len(keys) else (b"", "")
            if name.upper() == "AIGC":
                yield from _values(source, item, path, _about(namespace, name, path))


def _about(namespace: bytes, name: str, path: str) -> tuple[Finding, ...]:
    found = []
    if name != "AIGC" or namespace != b"mdta":
        key = f"{shown(namespace.decode('latin-1'))} {shown(name)}"
        found.append(Finding(Code.FOREIGN_KEY, f"its key is {key}, not 'mdta' 'AIGC'"))
    if path != _PLACE:
        found.append(Finding(Code.FOREIGN_PLACE, f"it lies in {path}, not in {_PLACE}"))
    return tuple(found)


def _keys(source: Source, box: _Box, path: str) -> list[tuple[bytes, str]]:
    """Namespace and name of each key, in their order; the count in the box is not believed."""
    if box.end - box.start > _KEYS_BYTES:
        source.note(Code.TOO_MUCH, f"{path}.keys is longer than {_KEYS_BYTES} bytes; its tail is not read")
    table = source.read(box.start, min(box.end - box.start, _KEYS_BYTES))
    keys, at = [], 8
    while at + 8 <= len(table):
        size = int.from_bytes(table[at : at + 4], "big")
        if size < 8:
            source.note(Code.MALFORMED, f"{path}.keys holds an entry of {size} bytes")
            break
        keys.append((table[at + 4 : at + 8], table[at + 8 : at + size].decode("utf-8", "replace")))
        at += size
    return keys


def _values(source: Source, item: _Box, path: str, about: tuple[Finding, ...]) -> Copies:
    for box in _boxes(source, item.start, item.end, f"{path}.ilst"):
        if box.kind == b"data" and box.end - box.start >= 8:
            kind = int.from_bytes(source.read(box.start, 4), "big")
            value = source.read(box.start + 8, min(box.end - box.start - 8, LABEL_BYTES + 1))
            if kind == _UTF16:
                value = value.decode("utf-16-be", "replace").encode()
            yield Copy(path, value, about)


def _freeform(source: Source, item: _Box, path: str) -> Copies:
    """iTunes' way of writing a key of one's own: mean, name, data."""
    for box in _boxes(source, item.start, item.end, f"{path}.ilst"):
        if box.kind == b"name":
            name = source.read(box.start + 4, min(box.end - box.start - 4, 64)).decode("utf-8", "replace")
            if name.upper() == "AIGC":
                yield from _values(source, item, path, _about(b"----", name, path))
            return


def _boxes(source: Source, at: int, end: int, path: str) -> Iterator[_Box]:
    """The boxes between two places. One that ends past its parent is cut there and is the last."""
    while at + 8 <= end:
        source.step()
        header = source.read(at, 16)
        if len(header) < 8:
            return
        size, kind, start = int.from_bytes(header[:4], "big"), header[4:8], at + 8
        if size == 0:
            if path != "file":  # four zero bytes end QuickTime's udta
                return
            size = end - at
        elif size == 1:
            size, start = int.from_bytes(header[8:16], "big"), at + 16
        if at + size < start:
            source.note(Code.MALFORMED, f"{path} holds a box {shown(kind.decode('latin-1'))} of {size} bytes")
            return
        if at + size > end:
            says = f"a box {shown(kind.decode('latin-1'))} of {size} bytes has {end - at} in {path}"
            source.note(Code.TRUNCATED, says)
        yield _Box(kind, min(start, end), min(at + size, end))
        at += size


def _named(box: _Box) -> str:
    return box.kind.decode("latin-1")
