"""What other programs may rely on: JSON Schemas of every value and an AsyncAPI document of every topic.

python -m scanner.schemas deploy/schemas        writes them; a test checks that they are current
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from scanner import wire
from scanner.core.errors import Stage
from scanner.core.types import Label
from scanner.headers import LARGEST_NUMBER
from scanner.wire import JPEG_TYPE, JSON_TYPE, Topics, Type

Json = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBER = {"type": "string", "pattern": "^[0-9]{1,16}$", "description": f"decimal digits, at most {LARGEST_NUMBER}"}
_TEXT = {"type": "string", "minLength": 1}


def documents() -> dict[str, str]:
    """File name to content."""
    values: dict[str, TypeAdapter[Any]] = {
        "verdict.v1": wire.VERDICT,
        "alert.v1": wire.ALERT,
        "state.v1": wire.STATE,
        "review.v1": wire.REVIEW,
        "scan.summary.v1": wire.SUMMARY,
        "scan.error.v1": wire.FAILURE,
    }
    schemas = {f"{name}.json": _schema(adapter) for name, adapter in values.items()}
    return {name: _text(content) for name, content in {**schemas, "asyncapi.json": asyncapi()}.items()}


def asyncapi() -> Json:
    """The topics as an AsyncAPI 3.0 document, seen from a worker: it receives segments and sends the rest."""
    topics = Topics(archive="scanner.archive")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "scanner",
            "version": "1",
            "description": (
                "Segments of video in; one verdict or one dead letter a segment out. All records follow the CloudEvents"
                " 1.0 Kafka binding in binary mode; the key is the stream, so one stream stays in one partition, in"
                " order. Read with isolation.level=read_committed, and drop repeats by ce_id."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "servers": {"kafka": {"host": "localhost:9092", "protocol": "kafka"}},
        "channels": {
            "segments": _channel(topics.segments, "segment"),
            "archive": _channel(topics.archive or "", "segment"),
            "verdicts": _channel(topics.verdicts, "verdict"),
            "shadow": _channel(topics.shadow, "verdict"),
            "alerts": _channel(topics.alerts, "alert"),
            "states": _channel(topics.states, "state", cleanup="compact"),
            "archiveStates": _channel(topics.archive_states, "state", cleanup="compact"),
            "deadletters": _channel(topics.deadletters, "deadletter"),
            "reviews": _channel(topics.reviews, "review"),
            "faces": _channel(topics.faces, "face"),
        },
        "operations": {
            "takeSegment": _operation("receive", "segments", "Each segment is answered exactly once."),
            "takeArchiveSegment": _operation("receive", "archive", "The same, when no live segment waits."),
            "giveVerdict": _operation("send", "verdicts", "The answer to a segment."),
            "giveShadowVerdict": _operation("send", "shadow", "What a second model says of the same clips."),
            "giveAlert": _operation("send", "alerts", "Evidence crossed the alarm level, or calm returned."),
            "keepState": _operation("send", "states", "What is remembered of a stream; the last record counts."),
            "keepArchiveState": _operation("send", "archiveStates", "What is remembered of a stream of an archive."),
            "giveDeadLetter": _operation("send", "deadletters", "The segment got no verdict, and why."),
            "giveFace": _operation("send", "faces", "A small picture of a judged face; the topic forgets it soon."),
            "takeReview": _operation("receive", "reviews", "A person's decision on a verdict; added, never changed."),
        },
        "components": {"messages": _messages()},
    }


def _messages() -> Json:
    return {
        "segment": _message(Type.SEGMENT, _segment_headers(), "video/mp4", _bytes("The container's bytes, or empty.")),
        "verdict": _message(Type.VERDICT, {}, JSON_TYPE, {"$ref": "./verdict.v1.json"}),
        "alert": _message(Type.ALERT, {}, JSON_TYPE, {"$ref": "./alert.v1.json"}),
        "state": _message(Type.STATE, {}, JSON_TYPE, {"$ref": "./state.v1.json"}),
        "review": _message(Type.REVIEW, {}, JSON_TYPE, {"$ref": "./review.v1.json"}),
        "face": _message(Type.FACE, _face_headers(), JPEG_TYPE, _bytes("A JPEG of a few kilobytes.")),
        "deadletter": _message(
            Type.DEADLETTER, _deadletter_headers(), "video/mp4", _bytes("The value of the record that was refused.")
        ),
    }


def _message(kind: Type, headers: Json, content_type: str, payload: Json) -> Json:
    return {
        "name": kind.value,
        "contentType": content_type,
        "headers": headers_schema(kind, headers),
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": "the stream's id, UTF-8"}}},
    }


def headers_schema(kind: Type, own: Json) -> Json:
    """Headers of one kind of record, as an object of name to text; a required one has `minLength` or a pattern."""
    event = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {**_TEXT, "description": "the same for the same event: repeats can be dropped"},
        "ce_source": _TEXT,
        "ce_type": {"const": kind.value},
    }
    optional = {"ce_time": {"type": "string", "format": "date-time"}}
    optional |= {name: schema for name, schema in own.items() if schema.get("x-optional")}
    required = event | {name: schema for name, schema in own.items() if name not in optional}
    if kind not in {Type.SEGMENT, Type.DEADLETTER, Type.FACE}:
        required["content-type"] = {"const": JSON_TYPE}
    return {"type": "object", "properties": required | optional, "required": list(required)}


def _face_headers() -> Json:
    return {
        "content-type": {"const": JPEG_TYPE},
        "verdict-id": {**_TEXT, "description": "the verdict that judged the face"},
        "track-id": {**_TEXT, "description": "the face, as that verdict names it"},
        "label": {"enum": [label.value for label in Label]},
    }


def _segment_headers() -> Json:
    def optional(schema: Json, meaning: str) -> Json:
        return {**schema, "description": meaning, "x-optional": True}

    return {
        "stream-id": {**_TEXT, "description": "also the key"},
        "sequence": {**_NUMBER, "description": "0-based place in the stream; a jump means loss"},
        "start-ms": {**_NUMBER, "description": "media time of the first frame in the stream"},
        "content-sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$", "description": "of the segment's bytes"},
        "content-type": optional(_TEXT, "the container; video/mp4 when absent"),
        "end-of-stream": optional({"enum": ["true", "false"]}, "the stream ends behind this segment"),
        "captured-at-ms": optional(_NUMBER, "wall clock of the first frame, ms since the epoch, UTC"),
        "claim-uri": optional(_TEXT, "where the bytes lie when the value is empty; file:// or s3://"),
        "claim-size": optional(_NUMBER, "bytes behind the claim; goes with claim-uri"),
        "aigc-label": optional(_TEXT, "GB 45438 label as found in the source"),
        "c2pa": optional(_TEXT, "what the source's C2PA manifest says: state, signer, actions, faults"),
        "traceparent": optional(_TEXT, "W3C trace context"),
    }


def _deadletter_headers() -> Json:
    kip_1034: Json = {f"__streams.errors.{name}": _TEXT for name in ("exception", "topic")}
    kip_1034 |= {f"__streams.errors.{name}": {"type": "string"} for name in ("message", "stacktrace")}
    kip_1034 |= {f"__streams.errors.{name}": _NUMBER for name in ("partition", "offset")}
    return {
        **kip_1034,
        "scanner-stage": {"enum": [stage.value for stage in Stage]},
        "scanner-attempt": _NUMBER,
        "scanner-disposition": {"enum": ["poison", "systemic", "timeout", "policy"]},
    }


def _bytes(meaning: str) -> Json:
    return {"type": "string", "format": "binary", "description": meaning}


def _channel(topic: str, message: str, cleanup: str = "delete") -> Json:
    return {
        "address": topic,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": topic, "topicConfiguration": {"cleanup.policy": [cleanup]}}},
    }


def _operation(action: str, channel: str, summary: str) -> Json:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary}


def _schema(adapter: TypeAdapter[Any]) -> Json:
    return {"$schema": _DIALECT, **adapter.json_schema(mode="serialization")}


def _text(content: Json) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file_name, written in documents().items():
        Path(sys.argv[1], file_name).write_text(written, "utf-8")
