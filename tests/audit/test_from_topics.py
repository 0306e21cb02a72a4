"""Verdicts and what people said of them, taken from their topics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scanner.bus.memory import MemoryBus
from scanner.cli.app import app
from scanner.core.review import Decision, Review
from scanner.core.types import Label, Mode, ModelRef, Provenance, Tally, Verdict
from scanner.ports import TopicPlan
from scanner.wire import Topics, review_record, verdict_record

TOPICS = Topics()
VERDICT = Verdict(
    "v0", "cam", 0, 0, 2000, Label.SUSPECTED, 0.6, (), (), Provenance(), Tally(50, 50, 32, 0, Mode.FULL),
    ModelRef("m", "ab" * 32), "cd" * 32,
)  # fmt: skip


@pytest.fixture
def call(tmp_path, monkeypatch):
    """The command line over a bus with two verdicts on `cam`, the first one rejected, and one on another stream."""
    bus = MemoryBus()
    bus.create({TOPICS.verdicts: TopicPlan(1), TOPICS.reviews: TopicPlan(1)})
    publisher = bus.publisher()
    for verdict in (
        VERDICT,
        replace(VERDICT, verdict_id="v1", sequence=1, start_ms=2000, end_ms=4000),
        replace(VERDICT, verdict_id="o0", stream_id="other"),
    ):
        publisher.publish(verdict_record(verdict, TOPICS.verdicts, at_ms=1, live_at_ms=1))
        review = Review(verdict.verdict_id, verdict.stream_id, 0, Decision.REJECT, "ana", "a filter", 5)
        if verdict.verdict_id != "v1":
            publisher.publish(review_record(review, TOPICS.reviews, at_ms=5))
    monkeypatch.setattr("scanner.assembly.bus.kafka_bus", lambda _: bus)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_the_last_word_comes_from_both_topics(call) -> None:
    done = call("reviews", "verdicts")
    words = {said["verdict_id"]: said["final"] for said in map(json.loads, done.stdout.splitlines())}
    assert words == {"v0": "no_manipulation_found", "v1": "suspected", "o0": "no_manipulation_found"}


def test_a_case_of_verdicts_from_their_topic_holds_what_people_said_of_them(call) -> None:
    call("audit", "keygen", "op")
    done = call("audit", "export", "case", "--key", "op", "--stream", "cam", "--clips", "0")
    assert done.exit_code == 0, done.output
    kept = [json.loads(line) for line in Path("case/reviews.jsonl").read_text().splitlines()]
    assert [(review["verdict_id"], review["note"]) for review in kept] == [("v0", "a filter")]
    assert "People decided otherwise" in Path("case/index.html").read_text()
    assert call("audit", "verify", "case", "--key", "op.pub").exit_code == 0
