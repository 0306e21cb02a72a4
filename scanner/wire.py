"""Records to core values and back: CloudEvents headers, JSON bodies, and their schemas. Values are checked here.

All records follow the CloudEvents 1.0 Kafka binding in binary mode (`ce_*` headers); the key is the stream, so that
one stream stays in one partition, in order.
"""

from __future__ import annotations

import hashlib
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from scanner.core.errors import ScannerError, SegmentInvalidError
from scanner.core.review import Review
from scanner.core.summary import Summary
from scanner.core.types import (
    Alert,
    Claim,
    Declared,
    Segment,
    Source,
    StreamState,
    Verdict,
)
from scanner.ports import Delivery, Record

JSON_TYPE = "application/json"
ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Topics:
    """Where each kind of record goes."""

    segments: str = "scanner.segments"
    verdicts: str = "scanner.verdicts"
    alerts: str = "scanner.alerts"
    states: str = "scanner.states"
    deadletters: str = "scanner.deadletters"
    reviews: str = "scanner.reviews"


class Type(StrEnum):
    """`ce_type` of each kind of record."""

    SEGMENT = "scanner.segment.v1"
    VERDICT = "scanner.verdict.v1"
    ALERT = "scanner.alert.v1"
    STATE = "scanner.state.v1"
    DEADLETTER = "scanner.deadletter.v1"
    REVIEW = "scanner.review.v1"


@dataclass(frozen=True, slots=True)
class Failure:
    """The line `scan` prints for a path that could not be scanned."""

    uri: str
    stage: str
    reason: str
    type: Literal["error"] = "error"


VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)
ALERT: TypeAdapter[Alert] = TypeAdapter(Alert)
STATE: TypeAdapter[StreamState] = TypeAdapter(StreamState)
REVIEW: TypeAdapter[Review] = TypeAdapter(Review)
SUMMARY: TypeAdapter[Summary] = TypeAdapter(Summary)
FAILURE: TypeAdapter[Failure] = TypeAdapter(Failure)


def json_of(value: Verdict | Alert | StreamState | Review | Summary | Failure) -> bytes:
    """One line of JSON, keys in the order of the type's fields."""
    adapter: TypeAdapter[Any] = _ADAPTERS[type(value)]
    return adapter.dump_json(value)


_ADAPTERS: Mapping[type, TypeAdapter[Any]] = {
    Verdict: VERDICT,
    Alert: ALERT,
    StreamState: STATE,
    Review: REVIEW,
    Summary: SUMMARY,
    Failure: FAILURE,
}


# Segments.


def segment_record(segment: Segment, topic: str, *, source: str = "scanner", at_ms: int | None = None) -> Record:
    """A segment to a record. A segment with a claim travels with an empty value.

    Args:
        source: `ce_source`, who cut the segment.
        at_ms: wall clock now, ms since the epoch; None leaves `ce_time` out.
    """
    headers = {
        **_cloud_event(f"{segment.stream_id}/{segment.sequence}/{segment.sha256[:16]}", source, Type.SEGMENT, at_ms),
        "content-type": segment.content_type,
        "stream-id": segment.stream_id,
        "sequence": str(segment.sequence),
        "start-ms": str(segment.start_ms),
        "content-sha256": segment.sha256,
        "end-of-stream": "true" if segment.end_of_stream else "false",
    }
    optional = {
        "captured-at-ms": None if segment.captured_at_ms is None else str(segment.captured_at_ms),
        "aigc-label": segment.declared.aigc,
        "c2pa": segment.declared.c2pa,
        "traceparent": segment.traceparent,
        "claim-uri": segment.claim.uri if segment.claim else None,
        "claim-size": str(segment.claim.size) if segment.claim else None,
    }
    headers |= {name: value for name, value in optional.items() if value is not None}
    value = b"" if segment.claim else segment.payload
    return Record(topic, segment.stream_id.encode(), value, tuple((k, v.encode()) for k, v in headers.items()))


def segment_of(delivery: Delivery) -> Segment:
    """A delivered record to a segment. Raises SegmentInvalidError, naming the header."""
    headers = _Headers(delivery.record.headers)
    payload = delivery.record.value or b""
    if (kind := headers.text("ce_type")) not in {None, Type.SEGMENT}:
        raise SegmentInvalidError(f"ce_type is {kind!r:.60}, not {Type.SEGMENT.value}")
    claim_uri = headers.text("claim-uri")
    end_of_stream = headers.flag("end-of-stream")
    sha256 = headers.need("content-sha256").lower()
    claim = None
    if claim_uri is not None:
        claim = Claim(claim_uri, headers.number("claim-size", headers.need("claim-size")), sha256)
        if payload:
            raise SegmentInvalidError(f"has both a claim-uri and {len(payload)} bytes inline")
    elif not payload and not end_of_stream:
        raise SegmentInvalidError("is empty and has no claim-uri")
    elif (actual := hashlib.sha256(payload).hexdigest()) != sha256:
        raise SegmentInvalidError(f"content-sha256 says {sha256[:12]}…, the {len(payload)} bytes are {actual[:12]}…")
    stream_id = headers.need("stream-id")
    if len(stream_id.encode()) > LARGEST_STREAM_ID_BYTES:
        raise SegmentInvalidError(f"stream-id of {len(stream_id.encode())} bytes exceeds {LARGEST_STREAM_ID_BYTES}")
    if delivery.record.key != stream_id.encode():
        raise SegmentInvalidError(f"key {delivery.record.key[:60]!r} is not the stream-id {stream_id!r:.60}")
    captured = headers.text("captured-at-ms")
    return Segment(
        stream_id=stream_id,
        sequence=headers.number("sequence", headers.need("sequence")),
        start_ms=headers.number("start-ms", headers.need("start-ms")),
        payload=payload,
        sha256=sha256,
        content_type=headers.text("content-type") or "video/mp4",
        captured_at_ms=None if captured is None else headers.number("captured-at-ms", captured),
        end_of_stream=end_of_stream,
        claim=claim,
        declared=Declared(headers.text("aigc-label"), headers.text("c2pa")),
        traceparent=headers.text("traceparent"),
    )


LARGEST_STREAM_ID_BYTES = 512  # it is a key of every topic and stands in every log line
LARGEST_NUMBER = 2**53  # what JSON readers everywhere keep exactly


class _Headers:
    """Header access with errors that name the header."""

    def __init__(self, headers: Sequence[tuple[str, bytes]]) -> None:
        self._values = dict(headers)
        self._counts = Counter(name for name, _ in headers)

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        if self._counts[name] > 1:
            raise SegmentInvalidError(f"header {name} is there {self._counts[name]} times")
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError as error:
            raise SegmentInvalidError(f"header {name} is not UTF-8: {value!r:.60}") from error

    def need(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise SegmentInvalidError(f"header {name} is missing")
        return value

    def number(self, name: str, value: str) -> int:
        if not (value.isascii() and value.isdigit() and len(value) <= 20) or int(value) > LARGEST_NUMBER:
            raise SegmentInvalidError(f"header {name} must be a whole number up to 2^53, got {value[:40]!r}")
        return int(value)

    def flag(self, name: str) -> bool:
        value = self.text(name)
        if value not in {None, "true", "false"}:
            raise SegmentInvalidError(f"header {name} must be true or false, got {value!r:.40}")
        return value == "true"


# Answers.


LIVE_AT = "live-at-ms"
"""on verdicts: wall clock at which the segment's last frame was live, or, when its source does not tell, at which the
segment reached its topic; with the record's own time it tells how far behind live the verdict came"""


def verdict_record(verdict: Verdict, topic: str, *, at_ms: int, live_at_ms: int | None = None) -> Record:
    record = _json_record(verdict, topic, verdict.stream_id, verdict.verdict_id, Type.VERDICT, at_ms)
    if live_at_ms is None:
        return record
    return replace(record, headers=(*record.headers, (LIVE_AT, str(live_at_ms).encode())))


def alert_record(alert: Alert, topic: str, *, at_ms: int) -> Record:
    return _json_record(alert, topic, alert.stream_id, alert.alert_id, Type.ALERT, at_ms)


def state_record(state: StreamState, topic: str, *, at_ms: int) -> Record:
    return _json_record(state, topic, state.stream_id, f"{state.stream_id}/{state.next_sequence}", Type.STATE, at_ms)


def review_record(review: Review, topic: str, *, at_ms: int) -> Record:
    return _json_record(review, topic, review.stream_id, review.review_id, Type.REVIEW, at_ms)


def verdict_of(record: Record) -> Verdict:
    """Raises SegmentInvalidError when the value is not a verdict."""
    return _parsed(VERDICT, record)


def review_of_line(line: bytes) -> Review:
    """A review from a line of JSON. Raises SegmentInvalidError."""
    return _parsed(REVIEW, Record("a line", b"", line))


def verdict_of_line(line: bytes) -> Verdict:
    """A verdict from a line of JSON as `scan` prints it. Raises SegmentInvalidError."""
    return _parsed(VERDICT, Record("a line", b"", line))


def alert_of(record: Record) -> Alert:
    return _parsed(ALERT, record)


def state_of(record: Record) -> StreamState:
    return _parsed(STATE, record)


def review_of(record: Record) -> Review:
    """Raises SegmentInvalidError when the value is not a review, or lies under another stream's key."""
    review = _parsed(REVIEW, record)
    if record.key != review.stream_id.encode():
        raise SegmentInvalidError(f"record on {record.topic}: key {record.key[:60]!r} is not {review.stream_id!r:.60}")
    return review


def _parsed(adapter: TypeAdapter[ValueT], record: Record) -> ValueT:
    try:
        return adapter.validate_json(record.value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "value"
        raise SegmentInvalidError(f"record on {record.topic}: {place}: {first['msg']}") from error


# Dead letters.


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a segment has no verdict."""

    error: ScannerError = field(repr=False)
    attempt: int
    """1-based"""
    disposition: Literal["poison", "systemic", "timeout", "policy"] = "poison"


@dataclass(frozen=True, slots=True)
class Rejected:
    """What a dead letter says of the record that got no verdict."""

    source: Source
    """where the record lies"""
    error: str
    message: str
    stage: str
    attempt: int
    disposition: str
    omitted_bytes: int | None = None
    """set when value and headers were too large to travel along"""


def rejected_of(record: Record) -> Rejected:
    """The told part of a dead letter. Raises SegmentInvalidError, naming the header."""
    headers = _Headers(record.headers)
    omitted = headers.text("scanner-value-omitted")
    return Rejected(
        source=Source(
            headers.need("__streams.errors.topic"),
            headers.number("__streams.errors.partition", headers.need("__streams.errors.partition")),
            headers.number("__streams.errors.offset", headers.need("__streams.errors.offset")),
        ),
        error=headers.need("__streams.errors.exception"),
        message=headers.text("__streams.errors.message") or "",
        stage=headers.need("scanner-stage"),
        attempt=headers.number("scanner-attempt", headers.need("scanner-attempt")),
        disposition=headers.need("scanner-disposition"),
        omitted_bytes=None if omitted is None else headers.number("scanner-value-omitted", omitted),
    )


_LETTER_HEADERS = {"scanner-stage", "scanner-attempt", "scanner-disposition", "scanner-redriven-from"}
REDRIVEN = "scanner-redriven-from"
"""header of a segment that was put on its topic again: topic/partition/offset of the dead letter"""


def redriven_from(record: Record) -> str | None:
    """The coordinates of the dead letter that this record was redriven from."""
    return header(record, REDRIVEN)


def redriven_record(rejected: Record, topic: str, name: str, *, at_ms: int) -> Record:
    """A rejected record, or its dead letter, as a segment again.

    Args:
        name: topic/partition/offset of the dead letter.
    """
    kept = tuple(
        (key, value)
        for key, value in rejected.headers
        if not key.startswith(("__streams.errors.", "ce_")) and key not in _LETTER_HEADERS
    )
    told = {**_cloud_event(name, "scanner", Type.SEGMENT, at_ms), REDRIVEN: name}
    added = tuple((key, value.encode()) for key, value in told.items())
    return Record(topic, rejected.key, rejected.value, (*kept, *added))


def header(record: Record, name: str) -> str | None:
    """The first header of this name, whatever its bytes."""
    return next((value.decode(errors="replace") for key, value in record.headers if key == name), None)


LONGEST_TOLD = 2000  # characters of an error's message; of its trace, twice as many


def deadletter_record(
    delivery: Delivery, letter: DeadLetter, topic: str, *, at_ms: int, largest_bytes: int | None = None
) -> Record:
    """The original record with the header names of KIP-1034, and stage, attempt and disposition beside them.

    A record that would exceed `largest_bytes` goes without its value and headers: `scanner-value-omitted` tells how
    many bytes they had, and topic, partition and offset where they still lie.
    """
    place = f"{delivery.record.topic}/{delivery.partition}/{delivery.offset}"
    trace = "".join(traceback.format_exception(letter.error))[-2 * LONGEST_TOLD :]
    headers = {
        "__streams.errors.exception": f"{type(letter.error).__module__}.{type(letter.error).__qualname__}",
        "__streams.errors.message": str(letter.error)[:LONGEST_TOLD],
        "__streams.errors.stacktrace": trace,
        "__streams.errors.topic": delivery.record.topic,
        "__streams.errors.partition": str(delivery.partition),
        "__streams.errors.offset": str(delivery.offset),
        "scanner-stage": letter.error.stage.value,
        "scanner-attempt": str(letter.attempt),
        "scanner-disposition": letter.disposition,
        **_cloud_event(place, "scanner", Type.DEADLETTER, at_ms),
    }
    kept = tuple((name, value) for name, value in delivery.record.headers if name not in headers)
    encoded = tuple((name, value.encode()) for name, value in headers.items())
    whole = Record(topic, delivery.record.key, delivery.record.value, kept + encoded)
    if largest_bytes is None or whole.size <= largest_bytes:
        return whole
    omitted = ("scanner-value-omitted", str(delivery.record.size).encode())
    return Record(topic, delivery.record.key[:LARGEST_STREAM_ID_BYTES], b"", (*encoded, omitted))


def _json_record(
    value: Verdict | Alert | StreamState | Review, topic: str, key: str, event_id: str, kind: Type, at_ms: int
) -> Record:
    headers = {**_cloud_event(event_id, "scanner", kind, at_ms), "content-type": JSON_TYPE}
    return Record(topic, key.encode(), json_of(value), tuple((k, v.encode()) for k, v in headers.items()))


def _cloud_event(event_id: str, source: str, kind: Type, at_ms: int | None) -> dict[str, str]:
    event = {"ce_specversion": "1.0", "ce_id": event_id, "ce_source": source, "ce_type": kind.value}
    if at_ms is not None:
        event["ce_time"] = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return event
