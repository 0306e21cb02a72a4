"""Bytes that no encoder writes: drawn clips with their boxes, chunks and headers bent by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from scanner.testing import Pause, draw_video

SUPER_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl")


def patched_box(data: bytes, kind: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An MP4 file whose boxes of one kind have another body; the sizes of those around them follow."""
    out, at = b"", 0
    while at + 8 <= len(data):
        size, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + size]
        if name == kind:
            body = change(body)
        elif name in SUPER_BOXES:
            body = patched_box(body, kind, change)
        out += struct.pack(">I4s", len(body) + 8, name) + body
        at += size
    return out


def with_external_data(url: str) -> bytes:
    """A QuickTime file that says that its frames lie elsewhere (dref of kind alis)."""
    path = url.encode()
    record = b"\0" * 4 + b"\0\2" + b"\0" * 42 + b"\0" * 80 + struct.pack(">hh", 0, 3) + b"\0" * 12
    for kind in (2, 18):  # the whole path, the POSIX path
        record += struct.pack(">HH", kind, len(path)) + path + b"\0" * (len(path) % 2)
    record += struct.pack(">HH", 0xFFFF, 0)
    entry = struct.pack(">I4s", len(record) + 8, b"alis") + record
    return patched_box(draw_video(container="mov"), b"dref", lambda _: struct.pack(">II", 0, 1) + entry)


def with_long_samples() -> bytes:
    """An MP4 file whose every frame is shown for 46 hours."""
    return patched_box(draw_video(), b"stts", lambda body: body[:12] + struct.pack(">I", 0x7FFFFFFF) + body[16:])


def with_absurd_duration() -> bytes:
    """An MP4 file that promises 10^19 s; its frames are sound."""
    longest = struct.pack(">Q", 2**63 - 1)
    head = draw_video(frames=100)
    return patched_box(head, b"mdhd", lambda body: b"\1\0\0\0" + b"\0" * 16 + body[12:16] + longest + body[20:])


def with_huge_jpegs() -> bytes:
    """Motion JPEG whose pictures say 20,000 × 20,000; the container says 160 × 120."""
    data = bytearray(draw_video(codec="mjpeg", container="avi", pix_fmt="yuvj420p", frames=4))
    at = data.find(b"\xff\xc0")
    while at >= 0:
        data[at + 5 : at + 9] = struct.pack(">HH", 20000, 20000)
        at = data.find(b"\xff\xc0", at + 1)
    return bytes(data)


def with_huge_container() -> bytes:
    """An AVI header that says 20,000 × 20,000 in every place that has a size."""
    data = draw_video(codec="ffv1", container="avi", frames=4)
    return data.replace(struct.pack("<II", 160, 120), struct.pack("<II", 20000, 20000))


def with_huge_vp8() -> bytes:
    """VP8 keyframes of 16383 × 16383, the most that they can say."""
    data = bytearray(draw_video(codec="libvpx", container="webm", frames=8))
    at = data.find(b"\x9d\x01\x2a")
    while at >= 0:
        data[at + 3 : at + 7] = struct.pack("<HH", 16383, 16383)
        at = data.find(b"\x9d\x01\x2a", at + 1)
    return bytes(data)


def without_keyframe() -> bytes:
    """A transport stream tuned into between two keyframes."""
    data = draw_video(container="mpegts", gop=1000, frames=60, options={"x264-params": "scenecut=0:keyint=1000"})
    half = len(data) // 2 // 188 * 188
    return data[: 188 * 3] + data[half:]


def wrapped() -> bytes:
    """A transport stream whose 33-bit clock wraps after one second."""
    return draw_video(
        container="mpegts", frames=75, bframes=2, container_options={"output_ts_offset": str(2**33 / 90000 - 1)}
    )


def restarted() -> bytes:
    """Two transport streams after each other: the clock starts anew."""
    return draw_video(container="mpegts", frames=50) + draw_video(container="mpegts", frames=50, seed=1)


def avi_with_subtitle(text: bytes) -> bytes:
    """An AVI file with a GAB2 subtitle track, whose text FFmpeg probes as a file of its own."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def strh(kind: bytes, handler: bytes) -> bytes:
        return chunk(b"strh", kind + handler + struct.pack("<I2H8I4H", 0, 0, 0, 0, 1, 25, 0, 10, 0, 0, 0, 0, 0, 0, 0))

    picture = draw_video(codec="mjpeg", container="mjpeg", pix_fmt="yuvj420p", frames=1)
    form = struct.pack("<IiiHH4sIiiII", 40, 160, 120, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    video = chunk(b"LIST", b"strl" + strh(b"vids", b"MJPG") + chunk(b"strf", form))
    words = chunk(b"LIST", b"strl" + strh(b"txts", b"\0\0\0\0") + chunk(b"strf", b"\0" * 8))
    avih = chunk(b"avih", struct.pack("<14I", 40000, 0, 0, 0x10, 10, 0, 2, 0, 160, 120, 0, 0, 0, 0))
    header = chunk(b"LIST", b"hdrl" + avih + video + words)
    name = "x".encode("utf-16le") + b"\0\0"
    gab2 = b"GAB2\0" + struct.pack("<HI", 2, len(name)) + name + struct.pack("<HI", 4, len(text)) + text
    frames = b"".join(chunk(b"00dc", picture) for _ in range(10))
    return chunk(b"RIFF", b"AVI " + header + chunk(b"LIST", b"movi" + chunk(b"01tx", gab2) + frames))


def playlists(url: str) -> dict[str, bytes]:
    """Every way we know in which a file names another one."""
    hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2.0,\n{url}\n#EXT-X-ENDLIST\n".encode()
    mpd = (
        '<?xml version="1.0"?>'
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()
    sdp = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\na=control:{url}\nm=video 5004 RTP/AVP 96\n"
    return {
        "hls": hls,
        "concat": f"ffconcat version 1.0\nfile {url}\n".encode(),
        "dash": mpd,
        "sdp": sdp.encode(),
        "hls after a transport stream's packet": draw_video(container="mpegts", frames=2)[:188] + hls,
        "hls in an avi subtitle": avi_with_subtitle(hls),
        "concat in an avi subtitle": avi_with_subtitle(f"ffconcat version 1.0\nfile {url}\n".encode()),
        "external data of a quicktime file": with_external_data(url),
        "smil": f'<smil><body><video src="{url}"/></body></smil>'.encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>'.encode(),
        "rtsp text": f"rtsptext\n{url}\n".encode(),
    }


def mutated(data: bytes, seed: int) -> bytes:
    """Some bytes changed, now and then a piece cut out, doubled, or the end cut off.

    Every other time where it hurts: in the headers and tables, which lie at either end.
    """
    dice = np.random.default_rng(seed)
    out = bytearray(data)
    tables = int(dice.integers(0, 4))
    first, last = {1: (0, min(len(out), 2000)), 2: (max(0, len(out) - 6000), len(out))}.get(tables, (0, len(out)))
    for _ in range(int(dice.integers(1, 40))):
        out[int(dice.integers(first, last))] = int(dice.choice([0, 1, 0x7F, 0x80, 0xFF, int(dice.integers(0, 256))]))
    kind, at, size = int(dice.integers(0, 6)), int(dice.integers(first, last)), int(dice.integers(1, 2000))
    if kind == 0:
        del out[at : at + size]
    elif kind == 1:
        out[at:at] = out[at : at + size]
    elif kind == 2:
        del out[max(64, at) :]
    return bytes(out)


GAP = [Pause(24, Fraction(7))]
ODD: dict[str, Callable[[], bytes]] = {
    "variable frame rate": lambda: draw_video(vfr=True),
    "rotated": lambda: draw_video(rotation=90),
    "b-frames": lambda: draw_video(bframes=3),
    "open gops": lambda: draw_video(bframes=2, container="mpegts", options={"x264-params": "open-gop=1"}),
    "pts gap": lambda: draw_video(pauses=GAP),
    "wrapping clock": wrapped,
    "clock that starts anew": restarted,
    "10 bit": lambda: draw_video(pix_fmt="yuv420p10le"),
    "4:2:2": lambda: draw_video(pix_fmt="yuv422p"),
    "4:2:2 in 10 bit": lambda: draw_video(pix_fmt="yuv422p10le"),
    "4:4:4": lambda: draw_video(pix_fmt="yuv444p"),
    "grey": lambda: draw_video(pix_fmt="gray"),
    "odd sizes": lambda: draw_video(size=(161, 121), pix_fmt="yuv444p"),
    "promises 10^19 s": with_absurd_duration,
    "sound beside it": lambda: draw_video(audio=True),
    "many keyframes": lambda: draw_video(gop=1),
}
"""strange but sound: to be answered like any other, every frame of it"""
