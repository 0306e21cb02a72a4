"""The label into MP4 and MOV: moov.udta.meta, key mdta AIGC (TC260-PG-20257A). ISO/IEC 14496-12.

moov grows. A `free` box behind it takes that up; otherwise all that follows moves, and every offset into it is moved
along: stco, co64, sidx, tfhd, tfra.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scanner.provenance.writing.splice import File, Splice, UnwritableError

Read = Callable[[int, int], bytes]
_TABLES = (b"trak", b"mdia", b"minf", b"stbl")


@dataclass(frozen=True, slots=True)
class Box:
    kind: bytes
    at: int
    start: int
    """of what it holds"""
    end: int


def splices(file: File, text: bytes, place: str | None) -> list[Splice]:
    """Where the file changes.

    Args:
        place: where the copy lies that is to say this instead: moov.udta.meta or moov.meta; None when there is none.

    Raises UnwritableError.
    """
    if place not in {None, "moov.udta.meta", "moov.meta"}:
        raise UnwritableError(f"its label lies in {place}, where nothing is rewritten; a second copy is not allowed")
    top = list(boxes(file.read, 0, file.size))
    moovs = [box for box in top if box.kind == b"moov"]
    if len(moovs) != 1:
        raise UnwritableError(f"the file has {len(moovs)} moov boxes; a label needs just one")
    moov = moovs[0]
    body = _labelled(file.read(moov.start, moov.end - moov.start), text, place)
    growth = 8 + len(body) - (moov.end - moov.at)
    after = next((box for box in top if box.at == moov.end), None)
    room = after.end - after.at if after is not None and after.kind in {b"free", b"skip"} else 0
    if growth in {0, room} or room >= growth + 8 > 8:
        left = _box(b"free", bytes(room - growth - 8)) if room > growth else b""
        taken = room if growth else 0
        return [Splice(moov.at, moov.end - moov.at + taken, _box(b"moov", body) + (left if growth else b""))]
    if after is None:
        return [Splice(moov.at, moov.end - moov.at, _box(b"moov", body))]
    moved = _Moved(moov.end, growth)
    return [Splice(moov.at, moov.end - moov.at, _box(b"moov", moved.tables(body))), *moved.outside(file, top)]


def boxes(read: Read, at: int, end: int) -> Iterator[Box]:
    """Raises UnwritableError at a box that does not fit: what is broken is not rewritten."""
    while at + 8 <= end:
        header = read(at, 16)
        size, start = int.from_bytes(header[:4], "big"), at + 8
        if size == 0 and header[4:8] == bytes(4):
            return  # the four zero bytes that end QuickTime's udta, and what follows
        if size == 0:
            size = end - at
        elif size == 1:
            size, start = int.from_bytes(header[8:16], "big"), at + 16
        if at + size < start or at + size > end:
            raise UnwritableError(f"box {header[4:8]!r} at byte {at} says {size} bytes and has {end - at}")
        yield Box(header[4:8], at, start, at + size)
        at += size


def _labelled(moov: bytes, text: bytes, place: str | None) -> bytes:
    if place == "moov.meta":
        return _changed(moov, b"meta", lambda meta: _said(meta, text))
    return _changed(moov, b"udta", lambda udta: _udta(udta, text))


def _udta(udta: bytes, text: bytes) -> bytes:
    return _changed(udta, b"meta", lambda meta: _said(meta, text), _is_mdta)


def _changed(
    parent: bytes, kind: bytes, change: Callable[[bytes], bytes], fits: Callable[[bytes], bool] | None = None
) -> bytes:
    """The parent with its first fitting child of this kind changed, or with a new one behind the others."""
    end = 0
    for box in boxes(_reader(parent), 0, len(parent)):
        body = parent[box.start : box.end]
        if box.kind == kind and (fits is None or fits(body)):
            return parent[: box.at] + _box(kind, change(body)) + parent[box.end :]
        end = box.end
    return parent[:end] + _box(kind, change(b"")) + parent[end:]


def _is_mdta(meta: bytes) -> bool:
    hdlr = meta.find(b"hdlr", 4, 12)
    return hdlr > 0 and meta[hdlr + 12 : hdlr + 16] == b"mdta"


def _said(meta: bytes, text: bytes) -> bytes:
    """A meta box of keys in which AIGC has this value."""
    if not meta:
        hdlr = _box(b"hdlr", bytes(8) + b"mdta" + bytes(13))
        return bytes(4) + hdlr + _box(b"keys", _keys([_KEY])) + _box(b"ilst", _item(1, text))
    begin = 0 if meta[4:8] == b"hdlr" else 4  # QuickTime's has no version and flags
    children = {box.kind: meta[box.start : box.end] for box in boxes(_reader(meta), begin, len(meta))}
    entries = _entries(children.get(b"keys", _keys([])))
    if _KEY not in entries:
        entries.append(_KEY)
    item = _item(entries.index(_KEY) + 1, text)
    ilst = children.get(b"ilst", b"")
    others = [ilst[box.at : box.end] for box in boxes(_reader(ilst), 0, len(ilst)) if box.kind != item[4:8]]
    children |= {b"keys": _keys(entries), b"ilst": b"".join([*others, item])}
    return meta[:begin] + b"".join(_box(kind, body) for kind, body in children.items())


_KEY = b"mdtaAIGC"


def _entries(keys: bytes) -> list[bytes]:
    return [box.kind + keys[box.start : box.end] for box in boxes(_reader(keys), 8, len(keys))]


def _keys(entries: list[bytes]) -> bytes:
    told = b"".join(struct.pack(">I", 4 + len(entry)) + entry for entry in entries)
    return bytes(4) + struct.pack(">I", len(entries)) + told


def _item(number: int, text: bytes) -> bytes:
    return _box(struct.pack(">I", number), _box(b"data", struct.pack(">II", 1, 0) + text))


def _box(kind: bytes, body: bytes) -> bytes:
    if 8 + len(body) >= 2**32:
        raise UnwritableError(f"box {kind!r} would be longer than 4 GiB")
    return struct.pack(">I", 8 + len(body)) + kind + body


def _reader(data: bytes) -> Read:
    return lambda at, length: data[at : at + length]


@dataclass(frozen=True, slots=True)
class _Moved:
    """Everything from a place on moves by some bytes."""

    place: int
    by: int

    def tables(self, moov: bytes) -> bytes:
        """A moov's body with its chunk offsets moved."""
        patched = bytearray(moov)
        for table in _chunk_offsets(moov):
            if table.kind == b"saio":
                raise UnwritableError("it has absolute offsets of encryption data (saio), which are not rewritten")
            wide = table.kind == b"co64"
            (count,) = struct.unpack_from(">I", moov, table.start + 4)
            if table.start + 8 + count * (8 if wide else 4) > table.end:
                raise UnwritableError(f"its table of chunk offsets says {count} entries and is too short for them")
            form = f">{count}{'Q' if wide else 'I'}"
            offsets = [self._moved(offset) for offset in struct.unpack_from(form, moov, table.start + 8)]
            if not wide and max(offsets, default=0) >= 2**32:
                raise UnwritableError("its chunk offsets have 32 bits and the media would move past 4 GiB")
            struct.pack_into(form, patched, table.start + 8, *offsets)
        return bytes(patched)

    def outside(self, file: File, top: list[Box]) -> Iterator[Splice]:
        """Changes behind moov, in fragmented files."""
        for box in top:
            if box.kind == b"sidx" and box.end <= self.place:
                yield from self._sidx(file, box)
            elif box.kind == b"moof" and box.at >= self.place:
                yield from self._moof(file, box)
            elif box.kind == b"mfra":
                for tfra in boxes(file.read, box.start, box.end):
                    if tfra.kind == b"tfra":
                        yield self._tfra(file, tfra)
            elif box.kind == b"meta":
                raise UnwritableError("it has items beside its tracks (meta), whose places are not rewritten")

    def _sidx(self, file: File, box: Box) -> Iterator[Splice]:
        data = file.read(box.start, 32)
        at, form = (16, ">I") if data[0] == 0 else (20, ">Q")
        (first,) = struct.unpack_from(form, data, at)
        if box.end + first >= self.place:
            yield Splice(box.start + at, struct.calcsize(form), struct.pack(form, first + self.by))

    def _moof(self, file: File, moof: Box) -> Iterator[Splice]:
        for traf in boxes(file.read, moof.start, moof.end):
            for tfhd in boxes(file.read, traf.start, traf.end) if traf.kind == b"traf" else ():
                if tfhd.kind == b"tfhd" and file.read(tfhd.start + 3, 1)[0] & 1:
                    (base,) = struct.unpack(">Q", file.read(tfhd.start + 8, 8))
                    yield Splice(tfhd.start + 8, 8, struct.pack(">Q", self._moved(base)))

    def _tfra(self, file: File, box: Box) -> Splice:
        data = bytearray(file.read(box.start, box.end - box.start))
        lengths, count = struct.unpack_from(">II", data, 8)
        form = ">QQ" if data[0] else ">II"
        step = struct.calcsize(form) + sum((lengths >> shift & 3) + 1 for shift in (0, 2, 4))
        if 16 + count * step > len(data):
            raise UnwritableError(f"its index of fragments says {count} entries and is too short for them")
        for at in range(16, 16 + count * step, step):
            time, offset = struct.unpack_from(form, data, at)
            struct.pack_into(form, data, at, time, self._moved(offset))
        return Splice(box.start, len(data), bytes(data))

    def _moved(self, offset: int) -> int:
        return offset + self.by if offset >= self.place else offset


def _chunk_offsets(moov: bytes) -> Iterator[Box]:
    read = _reader(moov)

    def within(at: int, end: int, path: tuple[bytes, ...]) -> Iterator[Box]:
        for box in boxes(read, at, end):
            if path and box.kind == path[0]:
                yield from within(box.start, box.end, path[1:])
            elif not path and box.kind in {b"stco", b"co64", b"saio"}:
                yield box

    yield from within(0, len(moov), _TABLES)
