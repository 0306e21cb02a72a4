"""Records to core values and back: CloudEvents headers, JSON bodies, and their schemas. Values are checked here.

All records follow the CloudEvents 1.0 Kafka binding in binary mode (`ce_*` headers); the key is the stream, so that
one stream stays in one partition, in order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from scanner.core.errors import SegmentInvalidError
from scanner.core.review import Review
from scanner.core.summary import Summary
from scanner.core.types import Alert, Claim, Declared, Segment, StreamState, Verdict
from scanner.headers import LARGEST_STREAM_ID_BYTES, Headers
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
    faces: str = "scanner.faces"
    archive: str | None = None
    """segments of archives, answered when no live one waits; None: nobody asks there"""
    archive_states: str = "scanner.archive.states"
    """what is remembered of their streams, which may bear the names of live ones"""
    shadow: str = "scanner.shadow"
    """verdicts of a second model, for comparison"""

    @property
    def asked(self) -> tuple[str, ...]:
        """Where segments come from."""
        return (self.segments, self.archive) if self.archive else (self.segments,)

    def states_of(self, asked: str) -> str:
        """Where the streams are remembered whose segments come from there."""
        return self.archive_states if asked == self.archive else self.states


class Type(StrEnum):
    """`ce_type` of each kind of record."""

    SEGMENT = "scanner.segment.v1"
    VERDICT = "scanner.verdict.v1"
    ALERT = "scanner.alert.v1"
    STATE = "scanner.state.v1"
    DEADLETTER = "scanner.deadletter.v1"
    REVIEW = "scanner.review.v1"
    FACE = "scanner.face.v1"


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
        **cloud_event(f"{segment.stream_id}/{segment.sequence}/{segment.sha256[:16]}", source, Type.SEGMENT, at_ms),
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
    headers = Headers(delivery.record.headers)
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


# Answers.


LIVE_AT = "live-at-ms"
"""on verdicts: wall clock at which the segment's last frame was live, or, when its source does not tell or it was
redriven, at which the segment reached its topic; with the record's own time it tells how far behind live the verdict
came"""
WORKER = "scanner-worker"
"""on verdicts: the worker that answered"""
CELLS_RESTARTED = "scanner-cells-restarted"
"""on verdicts: decode cells which that worker has replaced since its start"""


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers. It stands in the headers: the same question has the same answer, whoever gives it."""

    worker: str
    cells_restarted: int


def verdict_record(
    verdict: Verdict,
    topic: str,
    *,
    at_ms: int,
    live_at_ms: int | None = None,
    by: Answerer | None = None,
    traceparent: str | None = None,
) -> Record:
    record = _json_record(verdict, topic, verdict.stream_id, verdict.verdict_id, Type.VERDICT, at_ms)
    told: list[tuple[str, bytes]] = []
    if live_at_ms is not None:
        told.append((LIVE_AT, str(live_at_ms).encode()))
    if by is not None:
        told += [(WORKER, by.worker.encode()), (CELLS_RESTARTED, str(by.cells_restarted).encode())]
    if traceparent is not None:
        told.append(("traceparent", traceparent.encode()))
    return replace(record, headers=(*record.headers, *told))


JPEG_TYPE = "image/jpeg"


@dataclass(frozen=True, slots=True)
class Face:
    """A small picture of a face that was judged."""

    verdict: Verdict = field(repr=False)
    track_id: str
    jpeg: bytes = field(repr=False)


def face_record(face: Face, topic: str, *, at_ms: int) -> Record:
    verdict = face.verdict
    event = cloud_event(f"{verdict.verdict_id}/{face.track_id}", "scanner", Type.FACE, at_ms)
    label = next(track.label for track in verdict.tracks if track.track_id == face.track_id)
    told = {"content-type": JPEG_TYPE, "verdict-id": verdict.verdict_id, "track-id": face.track_id, "label": label}
    headers = tuple((name, value.encode()) for name, value in {**event, **told}.items())
    return Record(topic, verdict.stream_id.encode(), face.jpeg, headers)


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


def _json_record(
    value: Verdict | Alert | StreamState | Review, topic: str, key: str, event_id: str, kind: Type, at_ms: int
) -> Record:
    headers = {**cloud_event(event_id, "scanner", kind, at_ms), "content-type": JSON_TYPE}
    return Record(topic, key.encode(), json_of(value), tuple((k, v.encode()) for k, v in headers.items()))


def cloud_event(event_id: str, source: str, kind: Type, at_ms: int | None) -> dict[str, str]:
    event = {"ce_specversion": "1.0", "ce_id": event_id, "ce_source": source, "ce_type": kind.value}
    if at_ms is not None:
        event["ce_time"] = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return event
