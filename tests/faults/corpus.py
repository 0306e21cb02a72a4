"""The hostile corpus: every way we know in which bytes reach out, blow up or break, by family."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from itertools import product

import hostile
from canary import Canary
from containers import (
    avi_with_streams,
    boxes_in_boxes,
    matroska_video,
    mp4_with_tracks,
    nested_elements,
    transport_with_streams,
    with_attachment,
    with_linked_segment,
    with_subtitle,
    with_tracks,
)
from hostile import avi_with_subtitle, patched_box, playlists, with_external_data

from scanner.testing import draw_video

Named = Iterator[tuple[str, bytes]]
MANY = 10_000
U32 = struct.Struct(">I")


def reaching_out(canary: Canary) -> Named:
    """Files that name other files and servers: bare, inside containers, and glued to the ends of containers."""
    mp4, ts, flv, mkv = (
        draw_video(frames=8, container=container, codec=codec)
        for container, codec in (("mp4", "libx264"), ("mpegts", "libx264"), ("flv", "flv"), ("matroska", "libx264"))
    )
    for address in canary.addresses:
        for name, payload in playlists(address).items():
            yield f"{name} to {address}", payload
        for name in ("hls", "concat", "dash", "sdp"):
            words = playlists(address)[name]
            embedded = base64.b64encode(words)
            yield f"{name} as attachment", with_attachment(f"{name}.m3u8", "application/x-mpegurl", words)
            yield f"{name} as subtitle of matroska", with_subtitle("S_TEXT/UTF8", words, words)
            yield f"{name} as data uri", b"#EXTM3U\n#EXTINF:1,\ndata:application/x-mpegurl;base64," + embedded
            for container, whole in (("mp4", mp4), ("ts", ts), ("flv", flv), ("mkv", mkv)):
                yield f"{name} behind {container}", whole + words
                yield f"{name} before {container}", words + whole
            yield f"{name} as media data", patched_box(mp4, b"mdat", lambda body, w=words: (w + body)[: len(body)])
        yield f"linked segments to {address}", with_linked_segment(address)
        yield f"vobsub to {address}", f"# VobSub index file, v7\nid: en\nfile: {address}\n".encode()
        yield f"cue to {address}", f'FILE "{address}" BINARY\n TRACK 01\n'.encode()
        yield f"font of {address}", with_subtitle("S_TEXT/ASS", f"[Fonts]\nfontname: {address}\n".encode(), b"0,0,x")
        yield f"keys of {address}", f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{address}"\n#EXTINF:1,\nx.ts\n'.encode()
        yield f"map of {address}", f'#EXTM3U\n#EXT-X-MAP:URI="{address}"\n#EXTINF:1,\nx.mp4\n'.encode()
        yield f"metalink to {address}", with_attachment(address, "font/ttf", b"\0" * 64)


def bombs() -> Named:
    """Few bytes that ask for much: pixels, streams, packets, samples, time, depth."""
    yield "huge jpegs", hostile.with_huge_jpegs()
    yield "huge container", hostile.with_huge_container()
    yield "huge vp8", hostile.with_huge_vp8()
    yield "10,000 tracks of matroska", with_tracks(MANY)
    yield "10,000 tracks of mp4", mp4_with_tracks(MANY)
    yield "10,000 streams of avi", avi_with_streams(MANY)
    yield "10,000 streams of a transport stream", transport_with_streams(MANY)
    yield "200,000 empty packets", matroska_video() + _empty_clusters(200_000)
    yield "frames of 46 hours", hostile.with_long_samples()
    yield "promises 10^19 s", hostile.with_absurd_duration()
    yield "boxes 50,000 deep", boxes_in_boxes(50_000)
    yield "udta 50,000 deep", boxes_in_boxes(50_000, b"udta")
    yield "elements 20,000 deep", nested_elements(20_000)
    yield "50 MB of zeros in a box", draw_video() + struct.pack(">I4s", 50_000_008, b"free") + bytes(50_000_000)
    yield "50 MB of text", b"A" * 50_000_000
    yield "4 GB of samples promised", patched_box(draw_video(), b"stsz", lambda _: bytes(4) + b"\0\0\0\1" + b"\xff" * 4)
    yield "2^32 chunks promised", patched_box(draw_video(), b"stco", lambda body: bytes(4) + b"\xff" * 4 + body[8:])
    yield "many small frames", draw_video(codec="mpeg4", container="avi", size=(16, 16), frames=9000, gop=300)
    yield "attachment of 30 MB", with_attachment("a", "font/ttf", bytes(30_000_000))


def _empty_clusters(count: int) -> bytes:
    return b"\xa3\x84\x81\0\0\x80" * count


def broken() -> Named:
    """Sound beginnings with lies in them: NAL units, edit lists, clocks, sizes."""
    sound = draw_video(bframes=2)
    stream = draw_video(container="mpegts", bframes=2)
    for name, change in NALS.items():
        yield f"{name} in mp4", patched_box(sound, b"mdat", change)
    for name, entries in EDITS.items():
        body = struct.pack(">II", 0, len(entries)) + b"".join(struct.pack(">Iii", *entry) for entry in entries)
        yield f"edit list: {name}", _with_edits(sound, body)
    for (box, name), value in product(TABLES, (0, 1, 0x7FFFFFFF, 0xFFFFFFFF)):
        for place in (4, 8, 12):
            yield f"{name}: {value} at {place}", patched_box(sound, box, lambda b, p=place, v=value: _set(b, p, v))
    for place in range(0, len(stream) // 188 * 188, 188 * 5):
        yield f"no sync byte at {place}", stream[:place] + b"\0" + stream[place + 1 :]
        yield f"another pid at {place}", stream[: place + 1] + b"\x1f\xff" + stream[place + 3 :]
    yield "clock that wraps", hostile.wrapped()
    yield "clock that starts anew", hostile.restarted()
    yield "no keyframe", hostile.without_keyframe()
    for size in (0, 1, 7, 8, 0x7FFFFFFF, 0xFFFFFFFF):
        at = sound.index(b"moov") - 4
        yield f"moov of size {size}", sound[:at] + U32.pack(size) + sound[at + 4 :]
    yield "subtitle in an avi", avi_with_subtitle(b"1\n00:00:00,000 --> 99:99:99,999\n" + b"{\\an9}" * 9000)


def _set(body: bytes, place: int, value: int) -> bytes:
    return body[:place] + U32.pack(value) + body[place + 4 :] if len(body) >= place + 4 else body


def _with_edits(whole: bytes, body: bytes) -> bytes:
    if b"elst" in whole:
        return patched_edits(whole, body)
    edits = struct.pack(">I4s", len(body) + 16, b"edts") + struct.pack(">I4s", len(body) + 8, b"elst") + body
    return patched_box(whole, b"moov", lambda moov: patched_box(moov, b"trak", lambda trak: trak + edits))


def patched_edits(whole: bytes, body: bytes) -> bytes:
    at = whole.index(b"edts") - 4
    edits = struct.pack(">I4s", len(body) + 8, b"elst") + body
    (old,) = U32.unpack(whole[at : at + 4])
    return patched_box(
        whole, b"trak", lambda trak: trak.replace(whole[at : at + old], U32.pack(len(edits) + 8) + b"edts" + edits)
    )


def _lengths(value: bytes) -> Callable[[bytes], bytes]:
    return lambda body: value + body[4:]


NALS: dict[str, Callable[[bytes], bytes]] = {
    "nal of no bytes": _lengths(bytes(4)),
    "nal of 4 GB": _lengths(b"\xff" * 4),
    "nal past the sample": _lengths(b"\0\1\0\0"),
    "only start codes": lambda body: (b"\0\0\0\1" * len(body))[: len(body)],
    "only emulation prevention": lambda body: (b"\0\0\3" * len(body))[: len(body)],
    "all ones": lambda body: b"\xff" * len(body),
    "all zeros": lambda body: bytes(len(body)),
    "reversed": lambda body: body[::-1],
    "every slice lost": lambda body: body[: len(body) // 8].ljust(len(body), b"\0"),
    "parameter sets again and again": lambda body: (b"\0\0\0\4\x67\x64\0\x0a" * len(body))[: len(body)],
}
EDITS: dict[str, list[tuple[int, int, int]]] = {
    "nothing": [],
    "negative": [(1000, -5, 0x10000)],
    "past the end": [(1000, 2**31 - 1, 0x10000)],
    "no length": [(0, 0, 0x10000)],
    "longest": [(2**32 - 1, 0, 0x10000)],
    "backwards": [(100, 40_000, 0x10000), (100, 20_000, 0x10000), (100, 0, 0x10000)],
    "empty ones": [(1000, -1, 0x10000)] * 500,
    "20,000 of them": [(1, number, 0x10000) for number in range(20_000)],
    "no rate": [(1000, 0, 0)],
}
TABLES = ((b"stts", "durations"), (b"ctts", "offsets"), (b"stsz", "sizes"), (b"stsc", "chunks"), (b"stco", "places"),
          (b"stss", "keyframes"), (b"mdhd", "clock"), (b"tkhd", "track"), (b"mvhd", "movie"))  # fmt: skip


def external(canary: Canary) -> Named:
    """QuickTime files whose frames are said to lie elsewhere."""
    for address in canary.addresses:
        yield f"frames in {address}", with_external_data(address)
