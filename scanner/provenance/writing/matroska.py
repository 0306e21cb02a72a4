"""The label into Matroska and WebM: all tags and the label in one Tags element at the end, found by the SeekHead.

Segment ─┬─ SeekHead   rewritten within its room and the Void behind it
         ├─ Tags       becomes Void; what it said goes on in the new one
         ├─ Cluster …  stay where they are, so no index changes
         └─ Tags       new: the old tags, and Tag ── SimpleTag AIGC            RFC 9559
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scanner.provenance.writing.splice import File, Splice, UnwritableError

_SEGMENT, _CLUSTER, _VOID, _CRC = 0x18538067, 0x1F43B675, 0xEC, 0xBF
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
_TAGS, _TAG, _TARGETS, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING = 0x1254C367, 0x7373, 0x63C0, 0x67C8, 0x45A3, 0x4487


@dataclass(frozen=True, slots=True)
class _Element:
    id: int
    at: int
    start: int
    end: int
    size_at: int
    unknown: bool


def splices(file: File, text: bytes, place: str | None) -> list[Splice]:
    """Where the file changes. Raises UnwritableError."""
    if place not in {None, "Segment.Tags.Tag.SimpleTag"}:
        raise UnwritableError(f"its label lies in {place}, where nothing is rewritten; a second copy is not allowed")
    segment = next((element for element in _elements(file, 0, file.size) if element.id == _SEGMENT), None)
    if segment is None:
        raise UnwritableError("it has no Segment")
    inside = list(_inside(file, segment))
    old = [element for element in inside if element.id == _TAGS]
    label = _made(_TAG, _made(_TARGETS), _made(_SIMPLE_TAG, _made(_TAG_NAME, b"AIGC"), _made(_TAG_STRING, text)))
    kept = [tag for tags in old for tag in _kept(file, tags)]
    new = _made(_TAGS, *kept, label)
    changes = [Splice(tags.at, tags.end - tags.at, _void(tags.end - tags.at)) for tags in old]
    changes.append(Splice(segment.end, 0, new))
    if not segment.unknown:
        changes.append(_grown(segment, len(new)))
    head = _seek_head(file, inside, segment.end - segment.start)
    return changes if head is None else [*changes, head]


def _inside(file: File, segment: _Element) -> Iterator[_Element]:
    """The segment's children; a live cluster without a size ends the walk, nothing behind it is known."""
    for element in _elements(file, segment.start, segment.end):
        if element.unknown:
            return
        yield element


def _kept(file: File, tags: _Element) -> Iterator[bytes]:
    """The Tag elements of a Tags, without the label that is to be said anew."""
    for tag in _elements(file, tags.start, tags.end):
        if tag.id != _TAG:
            continue
        parts = [(child.id, file.read(child.at, child.end - child.at), child) for child in _children(file, tag)]
        stay = [raw for kind, raw, child in parts if not (kind == _SIMPLE_TAG and _named_aigc(file, child))]
        if len(stay) == len(parts):
            yield file.read(tag.at, tag.end - tag.at)
        elif any(kind == _SIMPLE_TAG and raw in stay for kind, raw, _ in parts):
            yield _made(_TAG, *stay)


def _named_aigc(file: File, simple: _Element) -> bool:
    names = [file.read(c.start, c.end - c.start) for c in _children(file, simple) if c.id == _TAG_NAME]
    return any(name.rstrip(b"\0").upper() == b"AIGC" for name in names)


def _seek_head(file: File, inside: list[_Element], tags_at: int) -> Splice | None:
    """The first SeekHead with the place of the tags; None when there is none, or no room for one more entry."""
    place = next((index for index, element in enumerate(inside) if element.id == _SEEK_HEAD), None)
    if place is None:
        return None
    head = inside[place]
    behind = inside[place + 1] if place + 1 < len(inside) else None
    room = (behind.end if behind is not None and behind.id == _VOID else head.end) - head.at
    entries = [file.read(seek.at, seek.end - seek.at) for seek in _children(file, head) if not _seeks_tags(file, seek)]
    position = tags_at.to_bytes((tags_at.bit_length() + 7) // 8 or 1, "big")
    entries.append(_made(_SEEK, _made(_SEEK_ID, _TAGS.to_bytes(4, "big")), _made(_SEEK_POSITION, position)))
    new = _made(_SEEK_HEAD, *entries)
    if room - len(new) == 1:
        new = _made(_SEEK_HEAD, *entries, width=2)
    if room < len(new):
        return None
    return Splice(head.at, room, new + (_void(room - len(new)) if room > len(new) else b""))


def _seeks_tags(file: File, seek: _Element) -> bool:
    """Also true of what is no Seek: a checksum over the old entries."""
    if seek.id != _SEEK:
        return True
    ids = [file.read(child.start, child.end - child.start) for child in _children(file, seek) if child.id == _SEEK_ID]
    return ids == [_TAGS.to_bytes(4, "big")]


def _grown(segment: _Element, by: int) -> Splice:
    width = segment.start - segment.size_at
    size = segment.end - segment.start + by
    if size >= (1 << 7 * width) - 1:
        raise UnwritableError(f"its Segment tells its size in {width} bytes, too few for {size}")
    return Splice(segment.size_at, width, ((1 << 7 * width) | size).to_bytes(width, "big"))


def _made(number: int, *parts: bytes, width: int | None = None) -> bytes:
    body = b"".join(parts)
    least = next(width for width in range(1, 9) if len(body) < (1 << 7 * width) - 1)
    width = max(least, width or 1)
    size = ((1 << 7 * width) | len(body)).to_bytes(width, "big")
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + size + body


def _void(length: int) -> bytes:
    """A Void of just this length, at least 2."""
    return _made(_VOID, bytes(length - 2)) if length < 128 else _made(_VOID, bytes(length - 9), width=8)


def _children(file: File, parent: _Element) -> Iterator[_Element]:
    return _elements(file, parent.start, parent.end)


def _elements(file: File, at: int, end: int) -> Iterator[_Element]:
    while at < end:
        header = file.read(at, min(12, end - at))
        id_length = 9 - header[0].bit_length()
        size_length = 9 - header[id_length].bit_length() if id_length <= 4 and id_length < len(header) else 9
        if id_length > 4 or size_length > 8 or id_length + size_length > len(header):
            raise UnwritableError(f"no element of Matroska at byte {at}")
        start = at + id_length + size_length
        size = int.from_bytes(header[id_length : id_length + size_length], "big") & ((1 << 7 * size_length) - 1)
        unknown = size == (1 << 7 * size_length) - 1
        stop = end if unknown else start + size
        if stop > end:
            raise UnwritableError(f"an element at byte {at} says {size} bytes and has {end - start}")
        yield _Element(int.from_bytes(header[:id_length], "big"), at, start, stop, at + id_length, unknown)
        at = stop
