"""Containers written by hand: what no muxer would write. Matroska, transport streams, AVI and MP4, byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from hostile import patched_box

from scanner.testing import draw_video

UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
SEGMENT, INFO, TRACKS, TRACK, CLUSTER = 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0x1F43B675


def ebml(name: int, *inner: bytes, size: bytes | None = None) -> bytes:
    """One element of Matroska."""
    body = b"".join(inner)
    number = name.to_bytes((name.bit_length() + 7) // 8, "big")
    return number + (size or (1 << 56 | len(body)).to_bytes(8, "big")) + body


def number(name: int, value: int) -> bytes:
    return ebml(name, value.to_bytes(8, "big"))


def matroska(*elements: bytes) -> bytes:
    header = ebml(0x1A45DFA3, ebml(0x4282, b"matroska"), number(0x4287, 4), number(0x4285, 2))
    return header + ebml(SEGMENT, *elements)


def track(index: int, kind: int, codec: str, private: bytes = b"", *extra: bytes) -> bytes:
    """Kinds: 1 video, 17 subtitles."""
    return ebml(
        TRACK, number(0xD7, index), number(0x73C5, index), number(0x83, kind), ebml(0x86, codec.encode()),
        ebml(0x63A2, private), *extra,
    )  # fmt: skip


def block(index: int, at_ms: int, payload: bytes) -> bytes:
    return ebml(0xA3, struct.pack(">BhB", 0x80 | index, at_ms, 0x80) + payload)


def matroska_video(*elements: bytes, tracks: Iterable[bytes] = (), blocks: Iterable[bytes] = ()) -> bytes:
    """Motion JPEG in Matroska, with whatever else there shall be."""
    picture = draw_video(codec="mjpeg", container="mjpeg", pix_fmt="yuvj420p", frames=1)
    size = ebml(0xE0, number(0xB0, 160), number(0xBA, 120))
    frames = [block(1, at, picture) for at in range(0, 400, 40)]
    return matroska(
        ebml(INFO, number(0x2AD7B1, 1_000_000)),
        ebml(TRACKS, track(1, 1, "V_MJPEG", b"", size), *tracks),
        *elements,
        ebml(CLUSTER, number(0xE7, 0), *frames, *blocks),
    )


def with_attachment(name: str, kind: str, data: bytes) -> bytes:
    return matroska_video(
        ebml(0x1941A469, ebml(0x61A7, ebml(0x466E, name.encode()), ebml(0x4660, kind.encode()), ebml(0x465C, data),
                              number(0x46AE, 7)))
    )  # fmt: skip


def with_linked_segment(name: str) -> bytes:
    """A Matroska segment that says which file comes before and after it, and chapters that lie in another one."""
    edition = ebml(0x45B9, number(0x45DD, 1), ebml(0xB6, number(0x91, 0), ebml(0x6E67, b"\1" * 16)))
    linked = ebml(INFO, ebml(0x3C83AB, name.encode()), ebml(0x3E83BB, name.encode()), ebml(0x3EB923, b"\1" * 16))
    return matroska_video(linked, ebml(0x1043A770, edition))


def with_subtitle(codec: str, private: bytes, words: bytes) -> bytes:
    return matroska_video(tracks=[track(2, 17, codec, private)], blocks=[block(2, 10, words)])


def with_tracks(count: int) -> bytes:
    size = ebml(0xE0, number(0xB0, 160), number(0xBA, 120))
    return matroska_video(tracks=[track(index, 1, "V_MPEG4/ISO/AVC", b"", size) for index in range(2, count + 1)])


def nested_elements(depth: int) -> bytes:
    """Elements of unknown size within each other."""
    return matroska(*[ebml(name, size=UNKNOWN_SIZE) for name in (0x1254C367, 0x7373, 0x67C8) * depth])


def boxes_in_boxes(depth: int, kind: bytes = b"moov") -> bytes:
    inner = b""
    for _ in range(depth):
        inner = struct.pack(">I4s", len(inner) + 8, kind) + inner
    return draw_video()[:32] + inner


def mp4_with_tracks(count: int) -> bytes:
    whole = draw_video(frames=16)
    at = whole.index(b"trak") - 4
    (size,) = struct.unpack(">I", whole[at : at + 4])
    trak = whole[at : at + size]
    return patched_box(whole, b"moov", lambda body: body + trak * (count - 1))


def avi_with_streams(count: int) -> bytes:
    whole = draw_video(codec="mjpeg", container="avi", pix_fmt="yuvj420p", frames=4)
    at = whole.index(b"LIST", whole.index(b"avih"))
    (size,) = struct.unpack("<I", whole[at + 4 : at + 8])
    return whole[:at] + whole[at : at + 8 + size] * count + whole[at + 8 + size :]


def crc32_mpeg(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def _sections(pid: int, table: int, number_: int, body: bytes) -> bytes:
    """One table of a transport stream, in as many packets as it takes."""
    head = struct.pack(">BHHBBB", table, 0xB000 | len(body) + 9, number_, 0xC1, 0, 0)
    section = b"\0" + head + body
    section += struct.pack(">I", crc32_mpeg(section[1:]))
    packets = b""
    for place in range(0, len(section), 184):
        start = 0x4000 if place == 0 else 0
        flags = 0x10 | place // 184 % 16
        packets += struct.pack(">BHB", 0x47, start | pid, flags) + section[place : place + 184].ljust(184, b"\xff")
    return packets


def transport_with_streams(count: int, a_program: int = 150) -> bytes:
    """A transport stream whose programs promise `count` elementary streams of H.264."""
    programs = range(1, -(-count // a_program) + 1)
    pat = b"".join(struct.pack(">HH", program, 0xE000 | 0x20 + program) for program in programs)
    tables = _sections(0, 0, 1, pat)
    for program in programs:
        pids = ((program * a_program + place) % 7000 + 0x200 for place in range(a_program))
        streams = b"".join(struct.pack(">BHH", 0x1B, 0xE000 | pid, 0xF000) for pid in pids)
        tables += _sections(0x20 + program, 2, program, struct.pack(">HH", 0xFFFF, 0xF000) + streams)
    return tables + draw_video(container="mpegts", frames=24)
