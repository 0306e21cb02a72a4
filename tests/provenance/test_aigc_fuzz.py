"""Whatever the bytes: no exception, a bounded answer, in bounded time."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from labelled_files import TEXT, avi, box, element, info, matroska, mp4, muxed, tags, xmp_attribute, xmp_element

from scanner.provenance import read_label
from scanner.provenance.findings import Code
from scanner.provenance.source import MOST_COPIES

BEGINNINGS = [
    b"",
    b"\0\0\0\x18ftypisom",
    b"\0\0\0\x30moov",
    b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7,
    b"\x1a\x45\xdf\xa3\x80\x12\x54\xc3\x67",
    b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12\0\0\x90" + bytes(7) + b"\x02\0\x0aonMetaData\x08",
    b"RIFF\xff\xff\0\0AVI ",
    b"RIFF\xff\xff\0\0AVI LIST\xff\0\0\0INFO",
    b"<x:xmpmeta>",
    b"<rdf:RDF><TC260:AIGC>",
]
REAL = {
    "mp4": muxed("mp4", "mpeg4", "use_metadata_tags"),
    "matroska": muxed("matroska", "mpeg4"),
    "flv": muxed("flv", "flv1"),
    "avi": avi(info(TEXT.encode())),
    "xmp": xmp_element(),
    "xmp in mp4": mp4(box(b"moov", box(b"udta", box(b"XMP_", xmp_attribute())))),
    "hand-made": matroska(element(0x1F43B675, bytes(30)), tags(TEXT.encode()), unknown=True),
}


def check(data: bytes) -> None:
    began = time.monotonic()
    reading = read_label(data)
    assert time.monotonic() - began < 2
    assert len(reading.placed) <= MOST_COPIES
    assert len(reading.findings) <= MOST_COPIES + 2
    for label in reading.labels:
        assert label.readable or label.findings, "what cannot be read has a reason"
        assert not label.valid or label.kind in {"1", "2", "3"}
    for finding in [*reading.findings, *(f for label in reading.labels for f in label.findings)]:
        assert finding.code in Code
        assert len(finding.says) < 1000


@settings(max_examples=200, deadline=None)
@given(beginning=st.sampled_from(BEGINNINGS), rest=st.binary(max_size=400))
def test_random_bytes_after_any_beginning(beginning: bytes, rest: bytes) -> None:
    check(beginning + rest)


@pytest.mark.parametrize("name", REAL)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files(name: str, data: st.DataObject) -> None:
    """Bytes overwritten, a piece cut out, a piece doubled, the end cut off; near the structures, not in the media."""
    file = bytearray(REAL[name])
    focus = [at for at in (file.find(b"AIGC"), file.find(b"moov"), file.find(b"INFO"), 0) if at >= 0]
    for _ in range(data.draw(st.integers(1, 6))):
        centre = data.draw(st.sampled_from(focus))
        at = min(max(0, centre + data.draw(st.integers(-60, 60))), len(file))
        match data.draw(st.sampled_from(["write", "cut", "double", "end"])):
            case "write":
                new = data.draw(st.sampled_from([b"\0", b"\xff" * 4, b"\x80\0\0\0", b"\0\0\0\x01", b'"', b"\\", b"{"]))
                file[at : at + len(new)] = new
            case "cut":
                del file[at : at + data.draw(st.integers(1, 30))]
            case "double":
                file[at:at] = file[at : at + data.draw(st.integers(1, 300))]
            case "end":
                del file[at + 200 :]
    check(bytes(file))


def test_every_place_a_file_can_end_at() -> None:
    """A prefix of a file shows the whole label, or a finding, or nothing that it promised."""
    for name, file in REAL.items():
        for end in range(0, len(file), max(1, len(file) // 150)):
            reading = read_label(file[:end])
            if reading.valid:
                assert reading.labels[0].text == TEXT, (name, end)
