"""Records to values and back: what is missing or malformed is named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from scanner import letters, wire
from scanner.core.errors import MediaError, SegmentInvalidError
from scanner.core.types import Claim, Declared, Segment, StreamState
from scanner.ports import Delivery, Record

PAYLOAD = b"not really video"
SEGMENT = Segment(
    "cam/1",
    3,
    6000,
    PAYLOAD,
    hashlib.sha256(PAYLOAD).hexdigest(),
    captured_at_ms=1_700_000_000_000,
    declared=Declared(aigc='{"Label":"1"}'),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)


def delivered(record):
    return Delivery(record, 2, 41, 1_700_000_000_500)


def with_headers(record, **changes):
    names = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = tuple((name, value) for name, value in record.headers if name not in names)
    return replace(record, headers=kept + tuple((name, value) for name, value in names.items() if value is not None))


def test_a_segment_survives_the_wire() -> None:
    assert wire.segment_of(delivered(wire.segment_record(SEGMENT, "segments"))) == SEGMENT


def test_a_claim_travels_without_the_bytes() -> None:
    claimed = replace(SEGMENT, payload=b"", claim=Claim("s3://bucket/x", 16, SEGMENT.sha256))
    record = wire.segment_record(claimed, "segments")
    assert record.value == b""
    assert wire.segment_of(delivered(record)) == claimed


def test_a_record_is_a_cloud_event_keyed_by_its_stream() -> None:
    record = wire.segment_record(SEGMENT, "segments", at_ms=0)
    headers = dict(record.headers)
    assert record.key == b"cam/1"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == b"scanner.segment.v1"
    assert headers["ce_time"] == b"1970-01-01T00:00:00.000+00:00"
    assert {"ce_id", "ce_source", "content-type"} <= headers.keys()


@pytest.mark.parametrize("name", ["stream_id", "sequence", "start_ms", "content_sha256"])
def test_a_missing_header_is_named(name) -> None:
    record = with_headers(wire.segment_record(SEGMENT, "segments"), **{name: None})
    with pytest.raises(SegmentInvalidError, match=name.replace("_", "-")):
        wire.segment_of(delivered(record))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence": b"-1"}, "sequence must be a whole number"),
        ({"sequence": b"9" * 30}, "sequence must be a whole number"),
        ({"sequence": "٣".encode()}, "sequence must be a whole number"),
        ({"start_ms": b"1.5"}, "start-ms must be a whole number"),
        ({"captured_at_ms": b"soon"}, "captured-at-ms must be a whole number"),
        ({"end_of_stream": b"perhaps"}, "end-of-stream must be true or false"),
        ({"stream_id": b"\xff\xfe"}, "stream-id is not UTF-8"),
        ({"stream_id": b"somebody else"}, "is not the stream-id"),
        ({"content_sha256": b"00" * 32}, "content-sha256 says"),
        ({"claim_uri": b"file:///x", "claim_size": b"16"}, "both a claim-uri and 16 bytes"),
    ],
)
def test_a_malformed_header_is_named(changes, message) -> None:
    record = with_headers(wire.segment_record(SEGMENT, "segments"), **changes)
    with pytest.raises(SegmentInvalidError, match=message):
        wire.segment_of(delivered(record))


def test_an_empty_record_is_refused_unless_it_ends_the_stream() -> None:
    empty = replace(SEGMENT, payload=b"", sha256=hashlib.sha256(b"").hexdigest())
    with pytest.raises(SegmentInvalidError, match="empty"):
        wire.segment_of(delivered(wire.segment_record(empty, "segments")))
    ended = replace(empty, end_of_stream=True)
    assert wire.segment_of(delivered(wire.segment_record(ended, "segments"))).end_of_stream


def test_a_record_of_another_kind_is_not_a_segment() -> None:
    record = wire.segment_record(SEGMENT, "segments")
    others = tuple((name, b"scanner.verdict.v1" if name == "ce_type" else value) for name, value in record.headers)
    with pytest.raises(SegmentInvalidError, match="ce_type is"):
        wire.segment_of(delivered(replace(record, headers=others)))


def test_a_header_that_is_there_twice_is_refused() -> None:
    record = wire.segment_record(SEGMENT, "segments")
    with pytest.raises(SegmentInvalidError, match="sequence is there 2 times"):
        wire.segment_of(delivered(replace(record, headers=(*record.headers, ("sequence", b"7")))))


def test_a_stream_id_has_a_longest_length() -> None:
    long = replace(SEGMENT, stream_id="x" * 513)
    with pytest.raises(SegmentInvalidError, match="513 bytes exceeds 512"):
        wire.segment_of(delivered(wire.segment_record(long, "segments")))


def test_a_dead_letter_never_outgrows_its_topic() -> None:
    record = replace(wire.segment_record(SEGMENT, "segments"), value=b"\0" * 100_000)
    letter = letters.DeadLetter(MediaError("no video" * 10_000), attempt=1)
    whole = letters.deadletter_record(delivered(record), letter, "dead", at_ms=0, largest_bytes=200_000)
    assert whole.value == record.value
    small = letters.deadletter_record(delivered(record), letter, "dead", at_ms=0, largest_bytes=100_000)
    headers = {name: value.decode() for name, value in small.headers}
    assert small.value == b""
    assert small.size < 12_000
    assert headers["scanner-value-omitted"] == str(record.size)
    assert (headers["__streams.errors.topic"], headers["__streams.errors.offset"]) == ("segments", "41")


def test_unknown_headers_do_no_harm() -> None:
    record = with_headers(wire.segment_record(SEGMENT, "segments"), x_custom=b"\x00\xff")
    assert wire.segment_of(delivered(record)) == SEGMENT


def test_a_dead_letter_keeps_the_record_and_says_why() -> None:
    record = wire.segment_record(SEGMENT, "segments")
    letter = letters.DeadLetter(MediaError("no video"), attempt=2)
    dead = letters.deadletter_record(delivered(record), letter, "deadletters", at_ms=0)
    headers = {name: value.decode() for name, value in dead.headers}
    assert dead.value == PAYLOAD
    assert dead.key == record.key
    assert headers["__streams.errors.message"] == "no video"
    assert headers["__streams.errors.offset"] == "41"
    assert headers["scanner-stage"] == "decode"
    assert headers["scanner-attempt"] == "2"
    assert headers["stream-id"] == "cam/1"
    assert len(headers) == len(dead.headers)


def test_a_state_survives_the_wire_and_rubbish_is_refused() -> None:
    state = StreamState("cam", next_sequence=4)
    assert wire.state_of(wire.state_record(state, "states", at_ms=0)) == state
    for rubbish in (
        b"",
        b"{",
        b"[]",
        b'{"stream_id": 3}',
        json.dumps({"stream_id": "x", "next_sequence": "y"}).encode(),
    ):
        with pytest.raises(SegmentInvalidError, match="record on states"):
            wire.state_of(Record("states", b"cam", rubbish))
