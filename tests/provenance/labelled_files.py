"""Small real and hand-made files with the label in them."""

from __future__ import annotations

import io
import json
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

FIELDS = {
    "Label": "1", "ContentProducer": "kling", "ProduceID": "p-1", "ReservedCode1": "r1",
    "ContentPropagator": "", "PropagateID": "", "ReservedCode2": "",
}  # fmt: skip
TEXT = json.dumps(FIELDS, separators=(",", ":"))
OTHER = json.dumps(FIELDS | {"ProduceID": "p-2"}, separators=(",", ":"))
NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"


@cache
def muxed(container: str, codec: str, movflags: str = "", label: str = TEXT) -> bytes:
    """Five dark pictures and the label in the container's metadata, written by FFmpeg."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"  # faststart reads its own output back, so that it needs a name
        options = {"movflags": movflags} if movflags else {}
        with av.open(str(path), "w", format=container, options=options) as output:
            output.metadata["AIGC"] = label
            stream = output.add_stream(codec, rate=5)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            for _ in range(5):
                output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 32), np.uint8), "yuv420p")))
            output.mux(stream.encode())
        return path.read_bytes()


def as_ffmpeg_reads(data: bytes) -> str | None:
    with av.open(io.BytesIO(data)) as container:
        return container.metadata.get("AIGC")


# MP4.


def box(kind: bytes, *parts: bytes, wide: bool = False) -> bytes:
    body = b"".join(parts)
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def meta(text: bytes, *, key: bytes = b"AIGC", namespace: bytes = b"mdta", full: bool = True) -> bytes:
    hdlr = box(b"hdlr", bytes(8), b"mdta", bytes(13))
    keys = box(b"keys", bytes(4), struct.pack(">I", 2), box(b"mdta", b"com.other"), box(namespace, key))
    data = box(b"data", struct.pack(">II", 1, 0), text)
    return box(b"meta", bytes(4) if full else b"", hdlr, keys, box(b"ilst", box(struct.pack(">I", 2), data)))


def mp4(*boxes: bytes) -> bytes:
    return box(b"ftyp", b"isom", bytes(4)) + b"".join(boxes)


# Matroska.


def element(number: int, *parts: bytes, unknown: bool = False) -> bytes:
    body = b"".join(parts)
    size = b"\x01" + b"\xff" * 7 if unknown else struct.pack(">Q", 1 << 56 | len(body))
    return number.to_bytes((number.bit_length() + 7) // 8, "big") + size + body


def tags(text: bytes, *, name: bytes = b"AIGC", targets: bytes = b"") -> bytes:
    simple = element(0x67C8, element(0x45A3, name), element(0x4487, text))
    return element(0x1254C367, element(0x7373, element(0x63C0, targets), simple))


def matroska(*parts: bytes, unknown: bool = False) -> bytes:
    return element(0x1A45DFA3, element(0x4282, b"webm")) + element(0x18538067, *parts, unknown=unknown)


# FLV.


def amf_text(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def flv(*scripts: bytes) -> bytes:
    parts = [b"FLV\x01\x01" + struct.pack(">I", 9) + bytes(4)]
    for script in scripts:
        parts += [b"\x12" + len(script).to_bytes(3, "big") + bytes(7) + script + struct.pack(">I", 11 + len(script))]
    return b"".join(parts)


def on_metadata(*pairs: tuple[bytes, bytes], name: bytes = b"onMetaData") -> bytes:
    body = b"".join(amf_text(key) + value for key, value in pairs)
    return b"\x02" + amf_text(name) + b"\x08" + struct.pack(">I", len(pairs)) + body + b"\x00\x00\x09"


# AVI.


def chunk(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def avi(*chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"AVI ", chunk(b"LIST", b"hdrl", bytes(56)), *chunks, chunk(b"LIST", b"movi", bytes(40)))


def info(text: bytes, *, kind: bytes = b"AIGC") -> bytes:
    return chunk(b"LIST", b"INFO", chunk(b"ISFT", b"Lavf\0"), chunk(kind, text))


# XMP.


def xmp(inside: str, *, namespace: str = f'xmlns:TC260="{NAMESPACE}"', attribute: str = "") -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {namespace} {attribute}>{inside}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def xmp_element(text: str = TEXT) -> bytes:
    return xmp(f"<TC260:AIGC>{text}</TC260:AIGC>")


def xmp_attribute(text: str = TEXT) -> bytes:
    return xmp("", attribute=f'TC260:AIGC="{text.replace(chr(34), "&quot;")}"')
