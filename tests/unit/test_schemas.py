"""The published schemas are current, and the records that the scanner writes keep to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scanner import letters, wire
from scanner.core.errors import MediaError
from scanner.core.review import Decision, Review
from scanner.core.types import (
    Alert,
    Claim,
    Declared,
    Edge,
    Label,
    Mode,
    ModelRef,
    Provenance,
    Quality,
    Reason,
    Segment,
    SpanScore,
    StreamState,
    Tally,
    TrackState,
    TrackVerdict,
    Verdict,
)
from scanner.ports import Delivery, Record
from scanner.schemas import asyncapi, documents
from scanner.settings import TopicSettings

FOLDER = Path(__file__).parents[2] / "deploy" / "schemas"
SPAN = SpanScore(0, 500, 0.9)
TRACK = TrackVerdict(
    "1", Label.MANIPULATED, 0.9, 7.5, 16, (SPAN,), (0.1, 0.1, 0.5, 0.5), Quality(120, 0.5, 0.5, 1.0, 2400), ()
)
VERDICT = Verdict(
    "v", "cam", 0, 0, 2000, Label.MANIPULATED, 0.9, (Reason.DECODE_PARTIAL,), (TRACK,), Provenance(),
    Tally(50, 50, 16, 1, Mode.FULL), ModelRef("m", "0" * 64), "1" * 64,
)  # fmt: skip
ALERT = Alert("a", Edge.RAISED, "cam", None, 3, 6000, 9.9, (SPAN,), "v")
STATE = StreamState("cam", tracks=(TrackState("1", (0.1, 0.1, 0.5, 0.5), 2000, (0.5,)),))
REVIEW = Review("v", "cam", 0, Decision.REJECT, "mod-7", "a filter, no forgery", 1, supersedes="0" * 32)
PLAIN = Segment("cam", 0, 0, b"bytes", hashlib.sha256(b"bytes").hexdigest())
RICH = Segment(
    "cam", 1, 2000, b"", "2" * 64, captured_at_ms=1, end_of_stream=True, claim=Claim("s3://b/k", 7, "2" * 64),
    declared=Declared("{}", "{}"), traceparent="00-1-2-01",
)  # fmt: skip


def segments() -> Iterator[Record]:
    yield wire.segment_record(PLAIN, "scanner.segments")
    yield wire.segment_record(RICH, "scanner.segments", at_ms=1)


def records() -> dict[str, list[Record]]:
    """Records as the scanner writes them, by the name of their message."""
    refused = Delivery(next(segments()), 0, 7, 0)
    letter = letters.DeadLetter(MediaError("no video"), 1)
    return {
        "segment": list(segments()),
        "verdict": [wire.verdict_record(VERDICT, "scanner.verdicts", at_ms=1)],
        "alert": [wire.alert_record(ALERT, "scanner.alerts", at_ms=1)],
        "state": [wire.state_record(STATE, "scanner.states", at_ms=1)],
        "review": [wire.review_record(REVIEW, "scanner.reviews", at_ms=1)],
        "deadletter": [letters.deadletter_record(refused, letter, "scanner.deadletters", at_ms=1)],
    }


@pytest.mark.parametrize("name", sorted(documents()))
def test_what_is_checked_in_is_what_the_types_say(name: str) -> None:
    current = (FOLDER / name).read_text("utf-8")
    assert current == documents()[name], "run: python -m scanner.schemas deploy/schemas"


def test_nothing_else_is_checked_in() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(documents())


@pytest.mark.parametrize("message", sorted(records()))
def test_records_keep_to_their_schema(message: str) -> None:
    described = asyncapi()["components"]["messages"][message]
    for record in records()[message]:
        headers = {name: value.decode() for name, value in record.headers}
        checked(described["headers"]).validate(headers)
        if "$ref" in described["payload"]:
            schema = json.loads(documents()[described["payload"]["$ref"].removeprefix("./")])
            checked(schema).validate(json.loads(record.value or b""))


@pytest.mark.parametrize("message", sorted(records()))
def test_every_header_that_is_written_is_described(message: str) -> None:
    described = asyncapi()["components"]["messages"][message]["headers"]["properties"]
    written = {name for record in records()[message] for name, _ in record.headers}
    if message == "deadletter":
        written -= asyncapi()["components"]["messages"]["segment"]["headers"]["properties"].keys()
    assert written <= described.keys()


@pytest.mark.parametrize("message", sorted(records()))
def test_a_record_without_a_required_header_breaks_the_schema(message: str) -> None:
    schema = asyncapi()["components"]["messages"][message]["headers"]
    headers = {name: value.decode() for name, value in records()[message][0].headers}
    for name in schema["required"]:
        assert not checked(schema).is_valid({key: value for key, value in headers.items() if key != name})


def test_a_verdict_with_another_label_breaks_the_schema() -> None:
    schema = json.loads(documents()["verdict.v1.json"])
    said = json.loads(wire.json_of(VERDICT))
    assert checked(schema).is_valid(said)
    assert not checked(schema).is_valid({**said, "label": "real"})
    assert not checked(schema).is_valid({name: value for name, value in said.items() if name != "verdict_id"})


def test_every_topic_has_a_channel() -> None:
    addresses = {channel["address"] for channel in asyncapi()["channels"].values()}
    assert addresses == set(TopicSettings().model_dump(exclude={"partitions"}).values())


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    whole = asyncapi()
    for reference in references(whole):
        if reference.startswith("./"):
            assert reference.removeprefix("./") in documents()
        else:
            found: Any = whole
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def checked(schema: dict[str, Any]) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
