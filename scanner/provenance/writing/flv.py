"""The label into FLV: key AIGC of the script tag onMetaData. Places in the index of keyframes move along."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from scanner.provenance.writing.splice import File, Splice, UnwritableError

_SCRIPT = 18
_HEAD_TAGS = 64
_NAME = b"\x02\x00\x0aonMetaData"
_KEY = b"\x00\x04AIGC"
_FIXED = {0: 8, 1: 1, 5: 0, 6: 0, 7: 2, 11: 10, 13: 0}  # AMF0 types and the bytes of their values


def splices(file: File, text: bytes, place: str | None) -> list[Splice]:
    """Where the file changes. Raises UnwritableError."""
    if place not in {None, "script.onMetaData"}:
        raise UnwritableError(f"its label lies in {place}, where nothing is rewritten; a second copy is not allowed")
    if len(text) > 0xFFFF:
        raise UnwritableError(f"a label of {len(text)} bytes does not fit a string of FLV")
    value = _KEY + b"\x02" + struct.pack(">H", len(text)) + text
    at = first = int.from_bytes(file.read(5, 4), "big") + 4
    for _ in range(_HEAD_TAGS):
        header = file.read(at, 11)
        size = int.from_bytes(header[1:4], "big")
        if len(header) < 11 or at + 11 + size > file.size:
            break
        if header[0] & 0x1F == _SCRIPT and file.read(at + 11, len(_NAME)) == _NAME:
            data = _with(file.read(at + 11, size), value, at + 11)
            return [Splice(at, 11 + size + 4, _tag(header[4:11], data))]
        at += 11 + size + 4
    data = _NAME + b"\x08" + struct.pack(">I", 1) + value + b"\x00\x00\x09"
    return [Splice(first, 0, _tag(bytes(7), data))]


def _tag(stamp: bytes, data: bytes) -> bytes:
    if len(data) >= 2**24:
        raise UnwritableError(f"its onMetaData would have {len(data)} bytes, more than a tag of FLV can")
    return bytes([_SCRIPT]) + len(data).to_bytes(3, "big") + stamp + data + struct.pack(">I", 11 + len(data))


def _with(data: bytes, value: bytes, place: int) -> bytes:
    """onMetaData with the key, an older one taken over; file size and places behind it moved."""
    try:
        return _rewritten(data, value, place)
    except (IndexError, struct.error) as error:
        raise UnwritableError("its onMetaData is not AMF0 as it should be") from error


def _rewritten(data: bytes, value: bytes, place: int) -> bytes:
    at = len(_NAME)
    kind = data[at]
    if kind not in {3, 8}:
        raise UnwritableError(f"its onMetaData holds AMF0 type {kind}, not an object")
    start = at + (5 if kind == 8 else 1)
    fields, end = [], start
    for name, begin, stop in _fields(data, start):
        end = stop
        if name != b"AIGC":
            fields.append((name, begin, stop))
    growth = len(value) + sum(stop - begin for _, begin, stop in fields) - (end - start)
    kept = b"".join(_moved(data[begin:stop], name, place + len(data), growth) for name, begin, stop in fields)
    count = struct.pack(">I", len(fields) + 1) if kind == 8 else b""
    return data[: at + 1] + count + kept + value + data[end:]


def _moved(field: bytes, name: bytes, behind: int, growth: int) -> bytes:
    """A field whose numbers may be places in the file."""
    patched = bytearray(field)
    head = 2 + len(name)
    if name == b"filesize" and field[head] == 0:
        _move(patched, head + 1, 0, growth)
    if name == b"keyframes" and field[head] in {3, 8}:
        for inner, begin, _ in _fields(field, head + (5 if field[head] == 8 else 1)):
            at = begin + 2 + len(inner)
            if inner == b"filepositions" and field[at] == 10:
                for index in range(struct.unpack_from(">I", field, at + 1)[0]):
                    if field[at + 5 + 9 * index] != 0:
                        raise UnwritableError("its index of keyframes holds something that is no number")
                    _move(patched, at + 6 + 9 * index, behind, growth)
    return bytes(patched)


def _move(data: bytearray, at: int, behind: int, growth: int) -> None:
    (number,) = struct.unpack_from(">d", data, at)
    if number >= behind:
        struct.pack_into(">d", data, at, number + growth)


def _fields(data: bytes, at: int, depth: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Name, first byte and end of each field of an object, up to its end mark."""
    while at < len(data) and data[at : at + 3] != b"\x00\x00\x09":
        (length,) = struct.unpack_from(">H", data, at)
        stop = _after(data, at + 2 + length, depth + 1)
        yield data[at + 2 : at + 2 + length], at, stop
        at = stop


def _after(data: bytes, at: int, depth: int) -> int:
    """Where a value ends."""
    kind = data[at]
    if depth > 16:
        raise UnwritableError("its onMetaData is nested too deeply")
    if kind in _FIXED:
        return at + 1 + _FIXED[kind]
    if kind == 2:
        return at + 3 + int(struct.unpack_from(">H", data, at + 1)[0])
    if kind in {12, 15}:
        return at + 5 + int(struct.unpack_from(">I", data, at + 1)[0])
    if kind == 10:
        end = at + 5
        for _ in range(struct.unpack_from(">I", data, at + 1)[0]):
            end = _after(data, end, depth + 1)
        return end
    if kind in {3, 8}:
        end = at + (5 if kind == 8 else 1)
        ends = [stop for _, _, stop in _fields(data, end, depth)]
        return (ends[-1] if ends else end) + 3
    raise UnwritableError(f"its onMetaData holds AMF0 type {kind}, which is not known here")
