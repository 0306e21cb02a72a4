"""Conclude: faces joined across segments, labels from scores, reasons from quality, edges from evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scanner.core.calibration import Calibration
from scanner.core.policy import Policy
from scanner.core.types import (
    ClipScore,
    Edge,
    Label,
    Mode,
    ModelRef,
    Observation,
    Quality,
    Reason,
    Segment,
    StreamState,
    Tally,
    Tracklet,
)
from scanner.core.verdict import Judge, conclude, verdict_id

GOOD = Quality(face_px=180, sharpness=0.6, brightness=0.5, frontality=0.9, bitrate_kbps=2000)
JUDGE = Judge(Policy(), Calibration(slope=1.0, bias=0.0, null_bound=0.3), ModelRef("fake", "ab" * 32))
LEFT, RIGHT = (0.1, 0.1, 0.3, 0.4), (0.6, 0.1, 0.8, 0.4)


def segment(sequence=0, payload=b"x", **changes):
    return Segment("cam", sequence, sequence * 2000, payload, "cd" * 32, **changes)


def tracklet(index=0, box=LEFT, quality=GOOD, after_cut=False):
    return Tracklet(index, 0, 2000, box, box, box, 60, after_cut, quality)


def seen(*tracklets, **changes):
    observation = Observation(2000, 1280, 720, "h264", Tally(60, 60, 0, 0, Mode.FULL), tracklets)
    return replace(observation, **changes)


def clip(logit, tracklet=0, start_ms=0, repeats=0):
    return ClipScore(tracklet, start_ms, start_ms + 533, repeats, logit, (logit,) * 16)


def follow(*steps):
    """Concludes segments one after the other; each step is (observation, clip scores)."""
    state = StreamState("cam")
    conclusions = []
    for sequence, (observation, clips) in enumerate(steps):
        conclusion = conclude(state, segment(sequence), observation, clips, JUDGE)
        state = conclusion.state
        conclusions.append(conclusion)
    return conclusions


@pytest.mark.parametrize(
    ("logit", "label"),
    [(4.0, Label.MANIPULATED), (0.5, Label.SUSPECTED), (-2.0, Label.NO_MANIPULATION_FOUND)],
)
def test_the_score_of_the_most_suspicious_face_names_the_segment(logit, label) -> None:
    two = seen(tracklet(0, LEFT), tracklet(1, RIGHT))
    (conclusion,) = follow((two, [clip(-5.0, 0), clip(logit, 1)]))
    assert conclusion.verdict.label is label
    assert conclusion.verdict.score == JUDGE.calibration.score(logit, GOOD)
    assert [face.track_id for face in conclusion.verdict.tracks] == ["face-1", "face-2"]


def test_nobody_in_the_picture_is_insufficient_evidence_not_a_clean_bill() -> None:
    (conclusion,) = follow((seen(reasons=(Reason.NO_FACE,)), []))
    assert conclusion.verdict.label is Label.INSUFFICIENT_EVIDENCE
    assert conclusion.verdict.score is None
    assert conclusion.verdict.reasons == (Reason.NO_FACE,)


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (replace(GOOD, face_px=20), Reason.FACE_TOO_SMALL),
        (replace(GOOD, sharpness=0.01), Reason.TOO_BLURRY),
        (replace(GOOD, brightness=0.01), Reason.TOO_DARK),
    ],
)
def test_poor_quality_abstains_whatever_the_model_says(quality, reason) -> None:
    (conclusion,) = follow((seen(tracklet(quality=quality)), [clip(9.0)]))
    assert conclusion.verdict.label is Label.INSUFFICIENT_EVIDENCE
    assert conclusion.verdict.reasons == (reason,)
    assert conclusion.verdict.tracks[0].evidence == 0


def test_a_face_keeps_its_name_from_segment_to_segment() -> None:
    moved = (0.12, 0.1, 0.32, 0.4)
    first, second = follow(
        (seen(tracklet(0, LEFT), tracklet(1, RIGHT)), []),
        (seen(tracklet(0, RIGHT), tracklet(1, moved)), []),
    )
    assert [face.track_id for face in first.verdict.tracks] == ["face-1", "face-2"]
    assert [face.track_id for face in second.verdict.tracks] == ["face-2", "face-1"]


def test_after_a_cut_the_face_in_the_same_place_is_somebody_else() -> None:
    dark, light = "10" * 144, "f0" * 144
    first, inside, between = follow(
        (seen(tracklet(), opening=dark, closing=dark), []),
        (seen(tracklet(after_cut=True), opening=dark, closing=dark), []),
        (seen(tracklet(), opening=light, closing=light), []),
    )
    names = [conclusion.verdict.tracks[0].track_id for conclusion in (first, inside, between)]
    assert names == ["face-1", "face-2", "face-3"]


def test_a_face_away_for_long_is_not_remembered() -> None:
    nobody = seen(reasons=(Reason.NO_FACE,))
    *_, last = follow((seen(tracklet()), []), (nobody, []), (nobody, []), (seen(tracklet()), []))
    assert last.verdict.tracks[0].track_id == "face-2"


def test_a_gap_in_the_sequence_is_told() -> None:
    state = follow((seen(tracklet()), []))[0].state
    verdict = conclude(state, segment(5), seen(tracklet()), [clip(-3.0)], JUDGE).verdict
    assert Reason.SEQUENCE_GAP in verdict.reasons
    assert verdict.label is Label.NO_MANIPULATION_FOUND


def test_a_sequence_that_comes_again_changes_nothing_that_is_remembered() -> None:
    state = follow((seen(tracklet()), [clip(4.0)]))[0].state
    again = conclude(state, segment(0), seen(tracklet()), [clip(4.0)], JUDGE)
    assert again.state == state
    assert Reason.REPEATED_SEQUENCE in again.verdict.reasons
    assert again.alerts == ()


def test_an_alert_is_raised_once_and_cleared_once() -> None:
    forged = (seen(tracklet()), [clip(4.0, start_ms=533 * place) for place in range(3)])
    calm = (seen(tracklet()), [clip(-4.0, start_ms=533 * place) for place in range(3)])
    edges = [alert.edge for step in follow(*[forged] * 8, *[calm] * 12) for alert in step.alerts]
    assert edges == [Edge.RAISED, Edge.CLEARED]


def test_an_alert_ends_when_its_face_is_gone_for_good() -> None:
    forged = (seen(tracklet()), [clip(4.0, start_ms=533 * place) for place in range(3)])
    nobody = (seen(reasons=(Reason.NO_FACE,)), [])
    said = [alert for step in follow(*[forged] * 8, *[nobody] * 3) for alert in step.alerts]
    assert [(alert.edge, alert.track_id) for alert in said] == [(Edge.RAISED, "face-1"), (Edge.CLEARED, "face-1")]


def test_the_more_faces_the_more_evidence_one_of_them_needs() -> None:
    """The promise is the stream's: with calm faces around it a forged one alerts later, never sooner."""

    def alerted_at(calm_faces):
        boxes = [(0.1 * place, 0.1, 0.1 * place + 0.08, 0.3) for place in range(calm_faces + 1)]
        crowd = seen(*(tracklet(place, box) for place, box in enumerate(boxes)))
        clips = [clip(1.2), *(clip(-4.0, place) for place in range(1, calm_faces + 1))]
        steps = follow(*[(crowd, clips)] * 40)
        return next(place for place, step in enumerate(steps) if step.alerts)

    alone, crowded = alerted_at(0), alerted_at(8)
    assert alone < crowded <= alone + 5


def test_frames_shown_twice_count_once() -> None:
    steps = [(seen(tracklet()), [clip(2.0), clip(2.0, start_ms=400, repeats=12)])]
    (conclusion,) = follow(*steps)
    assert conclusion.verdict.coverage.frames_scored == 16 + 4
    alone = follow((seen(tracklet()), [clip(2.0)]))[0]
    assert conclusion.verdict.tracks[0].evidence == alone.verdict.tracks[0].evidence


def test_suspicion_turns_patrol_into_inspection_and_calm_turns_it_back() -> None:
    forged, calm = (seen(tracklet()), [clip(3.0)]), (seen(tracklet()), [clip(-3.0)])
    modes = [step.state.mode for step in follow(calm, forged, *[calm] * 6)]
    assert modes[0] is Mode.PATROL
    assert modes[1] is Mode.INSPECT
    assert modes[-1] is Mode.PATROL


def test_the_same_question_has_the_same_id_and_another_has_another() -> None:
    ids = {
        verdict_id(segment(), Mode.FULL, JUDGE),
        verdict_id(segment(), Mode.PATROL, JUDGE),
        verdict_id(segment(1), Mode.FULL, JUDGE),
        verdict_id(replace(segment(), sha256="ee" * 32), Mode.FULL, JUDGE),
        verdict_id(segment(), Mode.FULL, replace(JUDGE, model=ModelRef("fake", "ff" * 32))),
        verdict_id(segment(), Mode.FULL, replace(JUDGE, policy=Policy(min_face_px=99))),
    }
    assert len(ids) == 6
    assert verdict_id(segment(), Mode.FULL, JUDGE) == verdict_id(segment(), Mode.FULL, JUDGE)


def test_thresholds_that_cross_are_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        Policy(suspected_from=0.9, manipulated_from=0.5)
