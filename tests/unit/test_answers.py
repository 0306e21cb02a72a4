"""One answer an offset: what the proof accepts, and every way in which it fails."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.core.answers import Answer, Identity, Kind, Proving, Question
from scanner.core.identity import identity
from scanner.core.types import Mode


def question(offset: int, sequence: int | None = None, *, stream: str = "cam", partition: int = 0, **more) -> Question:
    number = offset if sequence is None else sequence
    return Question((partition, offset), stream, number, f"digest of {stream}/{number}", **more)


def verdict_on(asked: Question) -> Answer:
    facts = (asked.stream_id, asked.sequence, asked.sha256, Mode.FULL, "model", "policy")
    return Answer(asked.spot, Identity(identity(*facts), asked.stream_id, asked.sequence, *facts[3:]))


def dead(asked: Question) -> Answer:
    return Answer(asked.spot)


def proof(questions, answers, before=None, after=None):
    proving = Proving()
    for each in questions:
        proving.asked(each)
    for each in answers:
        proving.answered(each)
    end = {spot[0]: spot[1] + 1 for spot in sorted(each.spot for each in questions)}
    before = end if before is None else before
    return proving.proof(before, before if after is None else after)


def kinds(found) -> list[Kind]:
    return [finding.kind for finding in found.findings]


@given(st.lists(st.sampled_from([verdict_on, dead]), max_size=30), st.integers(0, 30))
def test_one_answer_each_is_the_proof(said, done) -> None:
    asked = [question(offset) for offset in range(len(said))]
    done = min(done, len(said))
    found = proof(asked, [say(each) for say, each in zip(said[:done], asked, strict=False)], {0: done})
    assert found.holds
    assert (found.segments, found.verdicts + found.dead_letters, found.pending) == (len(said), done, len(said) - done)


@pytest.mark.parametrize("lost", range(3))
def test_a_committed_segment_without_an_answer_is_missing(lost: int) -> None:
    asked = [question(offset) for offset in range(3)]
    found = proof(asked, [verdict_on(each) for each in asked if each.spot[1] != lost])
    assert [(f.kind, f.offset) for f in found.findings] == [(Kind.MISSING, lost)]
    assert not found.holds


@pytest.mark.parametrize("again", [verdict_on, dead])
def test_two_answers_are_a_double(again) -> None:
    asked = [question(0), question(1)]
    found = proof(asked, [verdict_on(asked[0]), verdict_on(asked[1]), again(asked[1])])
    assert [(f.kind, f.offset) for f in found.findings] == [(Kind.DOUBLE, 1)]


def test_an_answer_beyond_the_committed_offset_is_torn_off() -> None:
    asked = [question(0), question(1)]
    found = proof(asked, [verdict_on(each) for each in asked], {0: 1})
    assert [(f.kind, f.offset) for f in found.findings] == [(Kind.TORN, 1)]


def test_an_answer_that_was_committed_while_we_read_is_not() -> None:
    asked = [question(0), question(1)]
    found = proof(asked, [verdict_on(each) for each in asked], {0: 1}, {0: 2})
    assert found.holds


def test_an_answer_to_nothing_is_a_stranger_unless_retention_took_the_question() -> None:
    asked = [question(5, 0), question(7, 1)]  # 6 was a transaction's marker
    said = [verdict_on(question(4)), *(verdict_on(each) for each in asked)]
    found = proof(asked, said)
    assert (found.holds, found.expired) == (True, 1)
    assert kinds(proof(asked, [*said, verdict_on(question(6))])) == [Kind.STRANGER]


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict_id": "0" * 32},
        {"stream_id": "other"},
        {"sequence": 9},
        {"model_sha256": "another"},
        {"mode": Mode.PATROL},
    ],
)
def test_a_verdict_that_names_something_else_is_a_mismatch(changed) -> None:
    asked = question(0)
    said = verdict_on(asked)
    assert kinds(proof([asked], [replace(said, identity=replace(said.identity, **changed))])) == [Kind.MISMATCH]


def test_a_verdict_on_what_is_no_segment_is_a_mismatch_and_a_dead_letter_is_right() -> None:
    noise = Question((0, 0))
    assert proof([noise], [dead(noise)]).holds
    assert kinds(proof([noise], [replace(verdict_on(question(0)), spot=noise.spot)])) == [Kind.MISMATCH]


def test_gaps_and_repeats_upstream_are_told_and_are_no_fault() -> None:
    sequences = [0, 1, 4, 4, 5]
    asked = [question(offset, sequence) for offset, sequence in enumerate(sequences)]
    asked.append(question(5, 2, redriven=True))
    found = proof(asked, [verdict_on(each) for each in asked])
    assert kinds(found) == [Kind.LOST, Kind.REPEATED]
    assert "2 from sequence 2" in found.findings[0].what
    assert found.holds


def test_a_stream_that_ended_may_begin_again() -> None:
    asked = [question(0, 7), question(1, 8, end_of_stream=True), question(2, 0), question(3, 1)]
    assert kinds(proof(asked, [verdict_on(each) for each in asked])) == []
