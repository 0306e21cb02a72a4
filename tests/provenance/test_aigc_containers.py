"""Where each container keeps the label, and what is said when it lies elsewhere, twice, or in ruins."""

from __future__ import annotations

import io
import time

import pytest
from labelled_files import (
    NAMESPACE,
    OTHER,
    TEXT,
    amf_text,
    as_ffmpeg_reads,
    avi,
    box,
    chunk,
    element,
    flv,
    info,
    matroska,
    meta,
    mp4,
    muxed,
    on_metadata,
    tags,
    xmp,
    xmp_attribute,
    xmp_element,
)

from scanner.provenance import Code, Container, parse_label, read_label
from scanner.provenance.matroska import _CLUSTER
from scanner.provenance.mp4 import _XMP_UUID
from scanner.provenance.source import BUDGET_BYTES, BUDGET_STEPS

BYTES = TEXT.encode()
MOOV = box(b"moov", box(b"mvhd", bytes(100)), box(b"udta", meta(BYTES)))
BY_FFMPEG = {
    "mp4, index at the end": ("mp4", "mpeg4", "use_metadata_tags"),
    "mp4, index first": ("mp4", "mpeg4", "use_metadata_tags+faststart"),
    "mp4, fragmented": ("mp4", "mpeg4", "use_metadata_tags+frag_keyframe+empty_moov+default_base_moof"),
    "mov": ("mov", "mpeg4", "use_metadata_tags"),
    "matroska": ("matroska", "mpeg4", ""),
    "webm": ("webm", "libvpx", ""),
    "flv": ("flv", "flv1", ""),
}


def codes(findings) -> list[Code]:
    return [finding.code for finding in findings]


def only(data: bytes):
    """The one label of a file, and everything that was found."""
    reading = read_label(data)
    assert len(reading.placed) == 1, reading
    return reading.labels[0], codes(reading.findings) + codes(reading.labels[0].findings)


@pytest.mark.parametrize("name", BY_FFMPEG)
def test_a_label_written_by_ffmpeg_is_read_as_ffmpeg_reads_it(name) -> None:
    data = muxed(*BY_FFMPEG[name])
    reading = read_label(data)
    assert [label.text for label in reading.labels] == [TEXT] == [as_ffmpeg_reads(data)]
    assert reading.valid, reading


def test_the_index_lies_where_the_names_of_the_files_say() -> None:
    last, first = (muxed(*BY_FFMPEG[f"mp4, index {where}"]) for where in ("at the end", "first"))
    assert last.index(b"mdat") < last.index(b"moov")
    assert first.index(b"moov") < first.index(b"mdat")


def test_without_use_metadata_tags_ffmpeg_writes_no_label() -> None:
    reading = read_label(muxed("mp4", "mpeg4"))
    assert reading.container is Container.MP4
    assert (reading.placed, reading.findings) == ((), ())
    assert not reading.valid


HAND_MADE = {
    "mp4": mp4(MOOV),
    "mp4, 64-bit sizes": mp4(box(b"mdat", bytes(50), wide=True), box(b"moov", box(b"udta", meta(BYTES)), wide=True)),
    "mp4, no version in meta": mp4(box(b"moov", box(b"udta", meta(BYTES, full=False)))),
    "mp4, udta ended by zeros": mp4(box(b"moov", box(b"udta", meta(BYTES), bytes(4)))),
    "mp4, last box open": mp4(box(b"moov", box(b"udta", meta(BYTES))), bytes(4) + b"mdat" + bytes(99)),
    "mp4, XMP box": mp4(box(b"moov", bytes(8)), box(b"uuid", _XMP_UUID, xmp_element())),
    "mov, XMP in udta": mp4(box(b"moov", box(b"udta", box(b"XMP_", xmp_attribute())))),
    "matroska": matroska(tags(BYTES)),
    "matroska, tags last": matroska(element(_CLUSTER, bytes(500)), tags(BYTES)),
    "matroska, all sizes open": matroska(
        element(_CLUSTER, element(0xE7, b"\0"), element(0xA3, bytes(90)), unknown=True), tags(BYTES), unknown=True
    ),
    "matroska, target zero is the file": matroska(tags(BYTES, targets=element(0x63C5, b"\0"))),
    "flv": flv(on_metadata((b"duration", bytes(9)), (b"AIGC", b"\x02" + amf_text(BYTES)))),
    "flv, long string after all other types": flv(
        on_metadata(
            (b"bool", b"\x01\x01"),
            (b"null", b"\x05"),
            (b"keyframes", b"\x03" + amf_text(b"times") + b"\x0a\0\0\0\x02" + 2 * bytes(9) + b"\0\0\x09"),
            (b"array", b"\x08\0\0\0\x01" + amf_text(b"a") + b"\x01\x01\0\0\x09"),
            (b"date", b"\x0b" + bytes(10)),
            (b"AIGC", b"\x0c" + bytes(2) + amf_text(BYTES)),
        )
    ),
    "flv, second script tag": flv(on_metadata(), on_metadata((b"AIGC", b"\x02" + amf_text(BYTES)))),
    "flv, XMP": flv(on_metadata((b"liveXML", b"\x02" + amf_text(xmp_element())), name=b"onXMPData")),
    "avi": avi(info(BYTES)),
    "avi, odd length and zero at the end": avi(info(BYTES + b"\0" * (1 + len(BYTES) % 2))),
    "avi, second RIFF": avi() + chunk(b"RIFF", b"AVIX", info(BYTES)),
    "avi, XMP": avi(chunk(b"_PMX", xmp_element())),
    "sidecar, element": xmp_element(),
    "sidecar, attribute": xmp_attribute(),
    "sidecar, other prefix": xmp(f"<a:AIGC>{TEXT}</a:AIGC>", namespace=f'xmlns:a="{NAMESPACE}"'),
    "jpeg": b"\xff\xd8\xff\xe1\x04\x00http://ns.adobe.com/xap/1.0/\0" + xmp_element() + b"\xff\xd9",
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_a_label_in_its_place_is_valid(name) -> None:
    reading = read_label(HAND_MADE[name])
    assert [label.fields() for label in reading.labels] == [parse_label(TEXT).fields()]
    assert reading.valid, reading


def test_containers_are_told_apart() -> None:
    kinds = {name: read_label(data).container.value for name, data in HAND_MADE.items()}
    for name, kind in kinds.items():
        expected = {"mov": "mp4", "sidecar": "xmp", "jpeg": "xmp"}.get(name.split(",")[0], name.split(",")[0])
        assert kind == expected, name


FOREIGN = {
    "meta directly in moov": (mp4(box(b"moov", meta(BYTES))), [Code.FOREIGN_PLACE]),
    "meta of a track": (mp4(box(b"moov", box(b"trak", box(b"udta", meta(BYTES))))), [Code.FOREIGN_PLACE]),
    "key in lower case": (mp4(box(b"moov", box(b"udta", meta(BYTES, key=b"aigc")))), [Code.FOREIGN_KEY]),
    "key of another namespace": (mp4(box(b"moov", box(b"udta", meta(BYTES, namespace=b"udta")))), [Code.FOREIGN_KEY]),
    "tag of a track": (matroska(tags(BYTES, targets=element(0x63C5, b"\x01"))), [Code.FOREIGN_PLACE]),
    "tag in lower case": (matroska(tags(BYTES, name=b"aigc")), [Code.FOREIGN_KEY]),
    "flv key in lower case": (flv(on_metadata((b"aigc", b"\x02" + amf_text(BYTES)))), [Code.FOREIGN_KEY]),
    "avi chunk in lower case": (avi(info(BYTES, kind=b"aigc")), [Code.FOREIGN_KEY]),
    "avi chunk outside INFO": (avi(chunk(b"AIGC", BYTES)), [Code.FOREIGN_PLACE]),
    "xmp without namespace": (xmp(f"<TC260:AIGC>{TEXT}</TC260:AIGC>", namespace=""), [Code.FOREIGN_KEY]),
    "xmp of another namespace": (
        xmp(f"<TC260:AIGC>{TEXT}</TC260:AIGC>", namespace='xmlns:TC260="http://x/"'),
        [Code.FOREIGN_KEY],
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_label_in_a_foreign_place_is_read_and_reported(name) -> None:
    data, expected = FOREIGN[name]
    label, found = only(data)
    assert label.produce_id == "p-1"
    assert not label.valid
    assert found == expected


def test_an_itunes_key_is_read_and_reported() -> None:
    data = box(b"data", b"\0\0\0\x01\0\0\0\0", BYTES)
    item = box(b"----", box(b"mean", bytes(4), b"com.apple.iTunes"), box(b"name", bytes(4), b"AIGC"), data)
    label, found = only(mp4(box(b"moov", box(b"udta", box(b"meta", bytes(4), box(b"ilst", item))))))
    assert label.produce_id == "p-1"
    assert found == [Code.FOREIGN_KEY]


def test_a_label_in_utf_16_is_read() -> None:
    data = meta(TEXT.encode("utf-16-be")).replace(b"\0\0\0\1\0\0\0\0", b"\0\0\0\2\0\0\0\0")
    assert only(mp4(box(b"moov", box(b"udta", data))))[0].fields() == parse_label(TEXT).fields()


def test_a_tag_inside_a_tag_is_read_and_reported_down_to_a_bounded_depth() -> None:
    def nested(depth: int) -> bytes:
        tag = element(0x67C8, element(0x45A3, b"AIGC"), element(0x4487, BYTES))
        for _ in range(depth):
            tag = element(0x67C8, element(0x45A3, b"OUTER"), tag)
        return matroska(element(0x1254C367, element(0x7373, tag)))

    label, found = only(nested(3))
    assert label.produce_id == "p-1"
    assert found == [Code.FOREIGN_PLACE]
    assert read_label(nested(1000)).placed == ()


def test_a_value_that_is_no_string_is_reported() -> None:
    label, found = only(flv(on_metadata((b"AIGC", bytes(9)))))
    assert not label.readable
    assert found == [Code.NOT_TEXT, Code.NOT_JSON]


@pytest.mark.parametrize(
    "data",
    [
        mp4(box(b"moov", box(b"udta", meta(BYTES, key=b"AIGC_x")))),
        mp4(box(b"moov", box(b"udta", box(b"name", BYTES)))),
        mp4(box(b"moov", box(b"udta", bytes(4) + b"XMP_" + xmp_element()))),  # after udta's end
        mp4(box(b"moov", bytes(8)), box(b"uuid", bytes(16), xmp_element())),
        matroska(tags(BYTES, name=b"COMMENT")),
        flv(on_metadata((b"comment", b"\x02" + amf_text(BYTES)))),
        flv(on_metadata((b"AIGC", b"\x02" + amf_text(BYTES)), name=b"onCuePoint")),
        avi(info(BYTES, kind=b"ICMT")),
        xmp(f"<dc:AIGC>{TEXT}</dc:AIGC>", namespace='xmlns:dc="http://purl.org/dc/elements/1.1/"'),
    ],
)
def test_what_only_resembles_a_label_is_none(data) -> None:
    assert read_label(data).placed == ()


@pytest.mark.parametrize(
    "build",
    [
        lambda a, b: mp4(box(b"moov", box(b"udta", meta(a))), box(b"uuid", _XMP_UUID, xmp_element(b.decode()))),
        lambda a, b: matroska(tags(a), tags(b)),
        lambda a, b: flv(on_metadata((b"AIGC", b"\x02" + amf_text(a)), (b"AIGC", b"\x02" + amf_text(b)))),
        lambda a, b: avi(info(a), info(b)),
        lambda a, b: xmp(f"<TC260:AIGC>{a.decode()}</TC260:AIGC><TC260:AIGC>{b.decode()}</TC260:AIGC>"),
    ],
)
def test_a_second_copy_is_a_finding_and_a_different_one_two(build) -> None:
    same, different = read_label(build(BYTES, BYTES)), read_label(build(BYTES, OTHER.encode()))
    assert codes(same.findings) == [Code.SEVERAL_COPIES]
    assert codes(different.findings) == [Code.SEVERAL_COPIES, Code.COPIES_DISAGREE]
    assert [label.produce_id for label in different.labels] == ["p-1", "p-2"]
    assert not same.valid


BROKEN = {
    "no moov": (mp4(box(b"mdat", bytes(9))), Code.MALFORMED),
    "a bare fragment": (box(b"styp", b"msdh") + box(b"moof", bytes(9)), Code.NO_PLACE),
    "moov cut short": (mp4(MOOV)[:-20], Code.TRUNCATED),
    "a box smaller than its header": (mp4(MOOV, b"\0\0\0\x04free"), Code.MALFORMED),
    "keys with an empty entry": (
        mp4(box(b"moov", box(b"udta", box(b"meta", bytes(4), box(b"keys", bytes(16)))))),
        Code.MALFORMED,
    ),
    "zeros in a segment": (matroska(bytes(40)), Code.MALFORMED),
    "an element past the end": (matroska(tags(BYTES))[:-5], Code.TRUNCATED),
    "a header longer than the file": (b"FLV\x01\x01\0\0\0\x01" + bytes(9), Code.MALFORMED),
    "a script that ends early": (flv(on_metadata((b"a", b"\x02\xff\xff"))), Code.MALFORMED),
    "a script too deep": (flv(on_metadata((b"a", b"\x0a\0\0\0\x01" * 5000))), Code.MALFORMED),
    "a script with a vast array": (
        flv(on_metadata((b"a", b"\x0a\xff\xff\xff\xff" + b"\x05" * 60_000))),
        Code.MALFORMED,
    ),
    "a tag cut short": (flv(on_metadata((b"AIGC", b"\x02" + amf_text(BYTES))))[:-20], Code.TRUNCATED),
    "a chunk cut short": (avi(info(BYTES))[:-60], Code.TRUNCATED),
    "xmp not well-formed": (xmp("<TC260:AIGC>"), Code.MALFORMED),
    "xmp too deep": (xmp("<a>" * 100 + "</a>" * 100), Code.MALFORMED),
    "transport stream": ((b"G" + bytes(187)) * 3, Code.NO_PLACE),
    "text": (b"hello, world", Code.UNKNOWN_CONTAINER),
    "nothing": (b"", Code.UNKNOWN_CONTAINER),
}


@pytest.mark.parametrize("name", BROKEN)
def test_ruins_are_findings(name) -> None:
    data, expected = BROKEN[name]
    reading = read_label(data)
    assert expected in codes(reading.findings)
    assert not reading.valid


def test_entities_cannot_grow_as_a_packet_begins_with_its_root() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in ("ab", "bc", "cd", "de", "ef", "fg", "gh")
    )
    packet = f"{bomb}]><x:xmpmeta><TC260:AIGC>&h;</TC260:AIGC></x:xmpmeta>".encode()
    assert codes(read_label(packet).findings) == [Code.MALFORMED]
    assert read_label(packet).placed == ()


def test_the_values_of_one_script_are_counted() -> None:
    (finding,) = read_label(flv(on_metadata((b"a", b"\x0a\0\1\0\0" + b"\x05" * 65_536)))).findings
    assert "too many values" in finding.says


def test_a_label_found_before_the_damage_is_kept() -> None:
    reading = read_label(avi(info(BYTES))[:-10])
    assert reading.labels[0].produce_id == "p-1"
    assert codes(reading.findings) == [Code.TRUNCATED, Code.TRUNCATED]


def test_a_label_longer_than_the_limit_is_cut_and_reported() -> None:
    long = BYTES[:-1] + b'"x":"' + b"a" * 20_000 + b'"}'
    for data in (mp4(box(b"moov", box(b"udta", meta(long)))), matroska(tags(long)), avi(info(long))):
        label, found = only(data)
        assert Code.TOO_LONG in found
        assert len(label.text) <= 16 * 1024


class Counting(io.BytesIO):
    """A file that counts what is read of it and never has to exist."""

    bytes_read = 0

    def read(self, size=-1):
        part = super().read(size)
        self.bytes_read += len(part)
        return part


def test_media_are_skipped_not_read() -> None:
    media = bytes(5_000_000)
    for data in (
        mp4(box(b"mdat", media), MOOV),
        matroska(element(_CLUSTER, media), tags(BYTES)),
        avi(chunk(b"LIST", b"movi", media), info(BYTES)),
    ):
        file = Counting(data)
        assert read_label(file).valid
        assert file.bytes_read < 10_000


@pytest.mark.parametrize(
    "data",
    [
        mp4(box(b"free") * (BUDGET_STEPS + 10), MOOV),
        matroska(element(0xEC) * (BUDGET_STEPS + 10), tags(BYTES)),
        avi(chunk(b"JUNK") * (BUDGET_STEPS + 10), info(BYTES)),
    ],
)
def test_a_walk_without_end_is_given_up_and_reported(data) -> None:
    began = time.monotonic()
    reading = read_label(data)
    assert codes(reading.findings) == [Code.TOO_MUCH]
    assert reading.placed == ()
    assert time.monotonic() - began < 3


def test_reading_ends_with_its_budget() -> None:
    keys = box(b"meta", bytes(4), box(b"keys", bytes(8), box(b"mdta", b"x" * 60_000)))
    file = Counting(mp4(box(b"moov", box(b"udta", *[keys] * 400))))
    assert codes(read_label(file).findings) == [Code.TOO_MUCH]
    assert file.bytes_read <= BUDGET_BYTES


def test_the_index_of_a_very_long_matroska_file_still_leads_to_its_tags() -> None:
    clusters = element(0xEC) * (BUDGET_STEPS + 10)

    def seek_head(position: int) -> bytes:
        where = element(0x53AC, position.to_bytes(8, "big"))
        return element(0x114D9B74, element(0x4DBB, element(0x53AB, b"\x12\x54\xc3\x67"), where))

    data = matroska(seek_head(len(seek_head(0)) + len(clusters)), clusters, tags(BYTES))
    reading = read_label(data)
    assert [label.produce_id for label in reading.labels] == ["p-1"]
    assert codes(reading.findings) == [Code.TOO_MUCH]


def test_a_file_that_cannot_be_read_raises() -> None:
    class Bad(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        read_label(Bad(b"x" * 100))
