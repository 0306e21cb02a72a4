"""What the dashboard makes of records, in whatever order the topics bring them."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from said import TOPICS, alert, dead, judged, review, reviewed, state, verdict

from scanner.core.types import Edge, Label, Reason, Source
from scanner.dashboard.streams import SILENT_MS, Attention
from scanner.dashboard.view import Limits, View


def folded(*deliveries, limits=None) -> View:
    view = View(TOPICS, limits)
    for delivery in deliveries:
        view.fold(delivery)
    return view


def test_a_stream_shows_its_last_verdict_and_how_far_behind_live_it_came() -> None:
    view = folded(judged(verdict(sequence=0)), judged(verdict(sequence=1, score=0.7), at_ms=5000, live_at_ms=3800))
    stream = view.streams["cam"]
    assert (stream.segments, stream.behind_s, stream.label) == (2, 1.2, Label.SUSPECTED)
    assert [point.score for point in stream.points] == [0.1, 0.7]
    assert stream.points[0].place == Source(TOPICS.verdicts, 3, 11)


def test_a_repeated_record_changes_nothing() -> None:
    view = folded(judged(verdict()), judged(verdict()), alert(), alert(), dead())
    assert view.streams["cam"].segments == 1
    assert len(view.streams["cam"].alerts) == 1
    assert view.tallies.verdicts == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_alert_is_shown_and_queued_whichever_topic_comes_first(order) -> None:
    said = [judged(verdict(score=0.1)), judged(verdict(sequence=1, score=0.1)), alert(sequence=1)]
    view = folded(*(said[place] for place in order))
    assert view.streams["cam"].attention(0) is Attention.ALERT
    (case,) = view.cases.waiting(1)
    assert (case.alerted, case.worst.verdict_id) == (True, "cam-1")


def test_a_cleared_alert_leaves_the_wall_and_stays_in_the_record() -> None:
    view = folded(judged(verdict()), alert(), alert(Edge.CLEARED, sequence=9))
    assert view.streams["cam"].attention(0) is Attention.CLEAR
    assert [said.edge for said in view.streams["cam"].alerts] == [Edge.RAISED, Edge.CLEARED]


def test_what_the_worker_remembers_raises_and_clears_alerts_that_were_not_read() -> None:
    view = folded(judged(verdict()), state(alerted=True))
    assert view.streams["cam"].attention(0) is Attention.ALERT
    view.fold(state(alerted=False))
    assert view.streams["cam"].attention(0) is Attention.CLEAR


@pytest.mark.parametrize(
    ("scores", "attention"),
    [
        ((0.9, 0.1), Attention.MANIPULATED),
        ((0.7, 0.1, 0.1), Attention.SUSPECTED),
        ((0.9, 0.1, 0.1, 0.1, 0.1, 0.1), Attention.CLEAR),
        ((None, 0.1), Attention.CLEAR),
        ((None, None), Attention.INSUFFICIENT),
    ],
)
def test_the_worst_of_the_last_segments_tells_how_much_a_stream_needs_attention(scores, attention) -> None:
    view = folded(*(judged(verdict(sequence=number, score=score)) for number, score in enumerate(scores)))
    assert view.streams["cam"].attention(0) is attention


def test_a_stream_that_fell_silent_needs_attention_and_one_that_ended_does_not() -> None:
    view = folded(judged(verdict()), judged(verdict("over", reasons=(Reason.END_OF_STREAM,))))
    later = SILENT_MS + 1
    assert view.streams["cam"].attention(later) is Attention.SILENT
    assert view.streams["over"].attention(later) is Attention.ENDED


def test_only_what_changed_is_told_again() -> None:
    view = folded(judged(verdict("a")), judged(verdict("b")))
    seen = view.version
    assert view.changed_since(seen) == []
    view.fold(judged(verdict("a", 1)))
    assert [stream.stream_id for stream in view.changed_since(seen)] == ["a"]
    assert [stream.stream_id for stream in view.changed_since(0)] == ["b", "a"]


def test_memory_is_bounded_by_the_limits() -> None:
    view = folded(*(judged(verdict(f"s{n % 50}", n)) for n in range(1000)), limits=Limits(streams=20, points=5))
    assert len(view.streams) == 20
    assert {len(stream.points) for stream in view.streams.values()} <= set(range(1, 6))
    assert view.gone[-1] == (view.version, "s29")


def test_a_run_of_suspicious_segments_is_one_case_about_its_worst_verdict() -> None:
    scores = (0.1, 0.7, 0.9, 0.7, *[0.1] * 5, 0.7)
    view = folded(*(judged(verdict(sequence=number, score=score)) for number, score in enumerate(scores)))
    first, second = view.cases.waiting(1)
    assert (first.worst.verdict_id, first.segments, first.start_ms, first.end_ms) == ("cam-2", 3, 2000, 8000)
    assert second.worst.verdict_id == "cam-9"


def test_an_answered_case_leaves_the_queue_and_the_same_run_does_not_ask_again() -> None:
    view = folded(judged(verdict(score=0.7)), reviewed(review("cam-0", "confirm")), judged(verdict("cam", 1, 0.9)))
    assert view.cases.waiting(1) == []
    (case,) = view.cases.answered()
    assert (case.worst.verdict_id, case.segments) == ("cam-0", 2)


def test_a_review_may_come_before_its_verdict() -> None:
    view = folded(reviewed(review("cam-0", "reject")), judged(verdict(score=0.7)))
    assert view.cases.waiting(1) == []


def test_two_people_have_to_agree_where_two_are_asked() -> None:
    view = folded(judged(verdict(score=0.9)), reviewed(review("cam-0", "confirm", "ana")))
    assert view.cases.waiting(2, "ana") == []
    assert len(view.cases.waiting(2, "bo")) == 1
    view.fold(reviewed(review("cam-0", "reject", "bo", 2)))
    assert len(view.cases.waiting(2, "cy")) == 1, "they contradict each other"
    view.fold(reviewed(review("cam-0", "reject", "cy", 3)))
    assert view.cases.waiting(2) == []


def test_unsure_leaves_the_case_to_others() -> None:
    view = folded(judged(verdict(score=0.9)), reviewed(review("cam-0", "unsure", "ana")))
    assert view.cases.waiting(1, "ana") == []
    assert len(view.cases.waiting(1, "bo")) == 1


def test_what_is_taken_back_is_asked_again() -> None:
    said = review("cam-0", "confirm")
    undo = review("cam-0", "unsure", at_ms=2, supersedes=said.review_id)
    view = folded(judged(verdict(score=0.9)), reviewed(said), reviewed(undo))
    assert len(view.cases.waiting(1, "ana")) == 1


def test_alerts_are_asked_first_then_the_highest_score() -> None:
    view = folded(*(judged(verdict(name, score=score)) for name, score in (("a", 0.7), ("b", 0.9), ("c", 0.1))))
    view.fold(alert(stream_id="c"))
    assert [case.stream_id for case in view.cases.waiting(1)] == ["c", "b", "a"]


def test_health_counts_labels_reasons_models_partitions_and_dead_letters() -> None:
    view = folded(
        judged(verdict(score=None), at_ms=60_000, live_at_ms=58_000), judged(verdict(sequence=1), at_ms=60_000), dead()
    )
    tallies = view.tallies
    assert tallies.labels == {Label.INSUFFICIENT_EVIDENCE: 1, Label.NO_MANIPULATION_FOUND: 1}
    assert tallies.abstained == {Reason.FACE_TOO_SMALL: 1}
    assert [model.name for model in tallies.models] == ["tempo-s"]
    assert tallies.rate(60_000) == pytest.approx(2 / 60)
    assert tallies.delays()["observe"].median == 0.041
    assert tallies.partitions[3].offset == 1
    (letter,) = tallies.letters
    assert (letter.message, letter.stage, letter.segment) == ("not a video", "decode", Source(TOPICS.segments, 2, 7))


def test_a_record_that_is_no_verdict_is_counted_and_the_next_one_is_read() -> None:
    good = judged(verdict())
    view = folded(replace(good, record=replace(good.record, value=b"{")), good)
    assert view.tallies.unreadable == 1
    assert "cam" in view.streams
