"""Reviews: kept, counted by the latest word of each person, and reported against what the scanner said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scanner import wire
from scanner.core.errors import SegmentInvalidError
from scanner.core.review import LONGEST_NOTE, Decision, Review, Truth, agreement, standings, truth_of
from scanner.core.types import Label, Mode, ModelRef, Provenance, Tally, Verdict

VERDICT = Verdict(
    "v1", "cam", 0, 0, 2000, Label.MANIPULATED, 0.9, (), (), Provenance(), Tally(50, 50, 16, 0, Mode.FULL),
    ModelRef("m", "0" * 64), "1" * 64,
)  # fmt: skip
CLEAN = replace(VERDICT, verdict_id="v2", label=Label.NO_MANIPULATION_FOUND, score=0.1)


def review(decision, reviewer="ana", at_ms=1, verdict_id="v1", **changes):
    return Review(verdict_id, "cam", 0, Decision(decision), reviewer, "", at_ms, **changes)


@pytest.mark.parametrize(
    ("reviews", "decision", "counted"),
    [
        ([review("confirm")], "confirm", 1),
        ([review("confirm"), review("reject", at_ms=2)], "reject", 1),
        ([review("reject", at_ms=2), review("confirm", at_ms=1)], "reject", 1),
        ([review("confirm"), review("reject", "bo")], "unsure", 2),
        ([review("confirm"), review("reject", "bo"), review("confirm", "cy")], "confirm", 3),
        ([review("unsure"), review("reject", "bo")], "reject", 2),
        ([review("confirm"), review("reject", "bo", supersedes=review("confirm").review_id)], "reject", 1),
        ([review("confirm"), review("confirm")], "confirm", 1),
    ],
)
def test_the_latest_word_of_each_person_counts_and_the_majority_stands(reviews, decision, counted) -> None:
    (standing,) = standings(reviews)
    assert (standing.decision, len(standing.reviews)) == (Decision(decision), counted)


def test_people_who_contradict_each_other_are_reported() -> None:
    assert standings([review("confirm"), review("reject", "bo")])[0].divided
    assert not standings([review("confirm"), review("unsure", "bo")])[0].divided


def test_a_review_of_another_verdict_takes_nothing_back() -> None:
    sly = review("reject", "bo", verdict_id="v2", supersedes=review("confirm").review_id)
    assert [standing.decision for standing in standings([review("confirm"), sly])] == ["confirm", "reject"]


@pytest.mark.parametrize(
    ("verdict", "decision", "truth"),
    [
        (VERDICT, "confirm", Truth.FAKE),
        (VERDICT, "reject", Truth.REAL),
        (CLEAN, "confirm", Truth.REAL),
        (CLEAN, "reject", Truth.FAKE),
        (VERDICT, "unsure", None),
        (replace(VERDICT, label=Label.INSUFFICIENT_EVIDENCE, score=None), "confirm", None),
    ],
)
def test_a_decision_tells_what_the_segment_is(verdict, decision, truth) -> None:
    assert truth_of(verdict, standings([review(decision)])[0]) is truth


def test_false_alarms_and_misses_are_counted_apart() -> None:
    said = standings([review("reject"), review("reject", verdict_id="v2")])
    counts = agreement(zip([VERDICT, CLEAN], said, strict=True))
    assert (counts.reviewed, counts.rejected, counts.false_alarms, counts.misses) == (2, 2, 1, 1)


def test_a_review_comes_back_from_its_record_as_it_was() -> None:
    said = review("reject", supersedes="a" * 32)
    record = wire.review_record(said, "scanner.reviews", at_ms=5)
    assert wire.review_of(record) == said
    assert record.key == b"cam"
    assert dict(record.headers)["ce_id"] == said.review_id.encode()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reviewer": " "}, "reviewer"),
        ({"note": "x" * (LONGEST_NOTE + 1)}, "4001"),
        ({"sequence": -1}, "-1"),
        ({"verdict_id": ""}, "verdict_id"),
    ],
)
def test_a_review_that_cannot_be_is_refused_and_says_why(changes, says) -> None:
    with pytest.raises(ValueError, match=says):
        replace(review("confirm"), **changes)


@pytest.mark.parametrize("value", [b"", b"{}", b'{"decision": "maybe"}'])
def test_a_record_that_is_no_review_is_refused(value) -> None:
    record = replace(wire.review_record(review("confirm"), "scanner.reviews", at_ms=1), value=value)
    with pytest.raises(SegmentInvalidError, match=r"scanner\.reviews"):
        wire.review_of(record)


def test_a_review_under_another_streams_key_is_refused() -> None:
    record = replace(wire.review_record(review("confirm"), "scanner.reviews", at_ms=1), key=b"other")
    with pytest.raises(SegmentInvalidError, match="other"):
        wire.review_of(record)
