"""Labels in Matroska and WebM, also where live muxers left the sizes of segment and clusters unknown.

Segment ── Tags ── Tag ── SimpleTag ─┬─ TagName    AIGC
                                     └─ TagString  {…}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.provenance.aigc import LABEL_BYTES
from scanner.provenance.findings import Code, Finding, shown
from scanner.provenance.source import Copies, Copy, ExhaustedError, Source

_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_TAGS, _TAG, _TARGETS, _SIMPLE_TAG = 0x1254C367, 0x7373, 0x63C0, 0x67C8
_TARGET_UIDS = {0x63C5, 0x63C9, 0x63C4, 0x63C6}  # of a track, edition, chapter, attachment
_TAG_NAME, _TAG_STRING, _TAG_BINARY = 0x45A3, 0x4487, 0x4485
_DEPTH = 8  # of tags inside tags
_PLACE = "Segment.Tags.Tag.SimpleTag"


@dataclass(frozen=True, slots=True)
class _Element:
    id: int
    start: int
    """of what it holds"""
    end: int
    """cut where its parent ends"""
    unknown: bool
    """whether its size was left open"""


def copies(source: Source) -> Copies:
    """A flat walk: segments and clusters of unknown size are stepped into, everything else but tags is skipped."""
    at, base, seen = 0, 0, set()
    promised: list[int] = []
    try:
        while (element := _element(source, at, source.size, "file")) is not None:
            at = element.end
            if element.id == _SEGMENT:
                at = base = element.start
            elif element.id == _CLUSTER and element.unknown:
                at = element.start
            elif element.id == _SEEK_HEAD:
                promised += [base + place for place in _promised(source, element)]
            elif element.id == _TAGS:
                seen.add(element.start)
                yield from _tags(source, element)
    except ExhaustedError:
        # The walk was too long: the index at the head may still tell where the tags are.
        yield from _by_index(source, promised, seen)
        raise


def _by_index(source: Source, promised: list[int], seen: set[int]) -> Copies:
    source.extend()
    for place in promised:
        element = _element(source, place, source.size, "file")
        if element is not None and element.id == _TAGS and element.start not in seen:
            seen.add(element.start)
            yield from _tags(source, element)


def _promised(source: Source, head: _Element) -> list[int]:
    """Places of tags, from the segment's start."""
    places = []
    for seek in _children(source, head, "SeekHead"):
        if seek.id != _SEEK:
            continue
        parts = {c.id: source.read(c.start, min(8, c.end - c.start)) for c in _children(source, seek, "Seek")}
        if int.from_bytes(parts.get(_SEEK_ID, b""), "big") == _TAGS:
            places.append(int.from_bytes(parts.get(_SEEK_POSITION, b""), "big"))
    return places[:4]


def _tags(source: Source, tags: _Element) -> Copies:
    for tag in _children(source, tags, "Tags"):
        if tag.id == _TAG:
            targeted = _targeted(source, tag)
            for child in _children(source, tag, "Tag"):
                if child.id == _SIMPLE_TAG:
                    yield from _simple(source, child, targeted, 1)


def _targeted(source: Source, tag: _Element) -> bool:
    """Whether the tag speaks of a part, not of the whole file."""
    for child in _children(source, tag, "Tag"):
        if child.id == _TARGETS:
            for target in _children(source, child, "Targets"):
                if target.id in _TARGET_UIDS and any(source.read(target.start, min(8, target.end - target.start))):
                    return True
    return False


def _simple(source: Source, tag: _Element, targeted: bool, depth: int) -> Copies:
    name, values = "", []
    for child in _children(source, tag, "SimpleTag"):
        if child.id == _TAG_NAME:
            name = source.read(child.start, min(64, child.end - child.start)).rstrip(b"\0").decode("utf-8", "replace")
        elif child.id in {_TAG_STRING, _TAG_BINARY}:
            values.append((child.id, source.read(child.start, min(LABEL_BYTES + 1, child.end - child.start))))
        elif child.id == _SIMPLE_TAG and depth < _DEPTH:
            yield from _simple(source, child, targeted, depth + 1)
    if name.upper() == "AIGC":
        for kind, value in values:
            yield Copy(_PLACE, value, tuple(_about(name, kind, targeted, depth)))


def _about(name: str, kind: int, targeted: bool, depth: int) -> Iterator[Finding]:
    if name != "AIGC":
        yield Finding(Code.FOREIGN_KEY, f"its TagName is {shown(name)}, not 'AIGC'")
    if kind == _TAG_BINARY:
        yield Finding(Code.FOREIGN_PLACE, "it is a TagBinary, not a TagString")
    if targeted:
        yield Finding(Code.FOREIGN_PLACE, "its Tag speaks of a part, not of the file")
    if depth > 1:
        yield Finding(Code.FOREIGN_PLACE, "it lies inside another SimpleTag")


def _children(source: Source, parent: _Element, path: str) -> Iterator[_Element]:
    at = parent.start
    while (element := _element(source, at, parent.end, path)) is not None:
        yield element
        at = element.end


def _element(source: Source, at: int, end: int, path: str) -> _Element | None:
    if at >= end:
        return None
    source.step()
    header = source.read(at, min(12, end - at))
    id_length = _vint_length(header, 0, 4)
    size_length = _vint_length(header, id_length, 8) if id_length else 0
    if not id_length or not size_length or len(header) < id_length + size_length:
        source.note(Code.MALFORMED, f"no element of Matroska at byte {at}, in {path}")
        return None
    start = at + id_length + size_length
    bits = 7 * size_length
    size = int.from_bytes(header[id_length : id_length + size_length], "big") & ((1 << bits) - 1)
    unknown = size == (1 << bits) - 1
    if not unknown and start + size > end:
        source.note(Code.TRUNCATED, f"an element of {size} bytes at byte {at} has {end - start} in {path}")
    return _Element(
        int.from_bytes(header[:id_length], "big"), start, end if unknown else min(end, start + size), unknown
    )


def _vint_length(header: bytes, at: int, most: int) -> int:
    """0 for what cannot begin a number."""
    length = 9 - header[at].bit_length() if at < len(header) else 9
    return length if length <= most else 0
