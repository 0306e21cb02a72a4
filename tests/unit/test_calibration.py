"""A score means the same for a sharp face and for a poor one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from test_verdict import GOOD, JUDGE, LEFT, RIGHT, clip, seen, segment, tracklet

from scanner.assembly.scan import policy_of
from scanner.core.calibration import Bucket, Calibration, Caution, Range, cautious
from scanner.core.policy import Policy
from scanner.core.types import Label, Mode, Reason, StreamState
from scanner.core.verdict import conclude, verdict_id
from scanner.inference.card import find_model, read_card
from scanner.settings import load

BY_QUALITY = Calibration(buckets=(Bucket(2.0, face_px_below=80), Bucket(0.5, sharpness_below=0.3)))
SMALL, BLURRED = replace(GOOD, face_px=79), replace(GOOD, sharpness=0.29)


@pytest.mark.parametrize(
    ("quality", "shift"),
    [(GOOD, 0.0), (SMALL, 2.0), (BLURRED, 0.5), (replace(SMALL, sharpness=0.1), 2.0), (replace(GOOD, face_px=80), 0.0)],
)
def test_a_face_is_measured_against_real_faces_of_the_first_bucket_that_it_fits(quality, shift):
    assert BY_QUALITY.shift(quality) == shift
    assert BY_QUALITY.score(shift, quality) == 0.5


def test_the_same_logit_makes_a_poor_face_less_suspicious_than_a_good_one():
    judge = replace(JUDGE, calibration=BY_QUALITY)
    good, small = (
        conclude(StreamState("cam"), segment(), seen(tracklet(quality=quality)), [clip(1.0)], judge).verdict
        for quality in (GOOD, SMALL)
    )
    assert good.score == BY_QUALITY.score(1.0, GOOD)
    assert small.score == BY_QUALITY.score(1.0, SMALL) < good.score
    assert [span.score for span in small.tracks[0].spans] == [small.score]


CAREFUL = replace(JUDGE, policy=Policy(suspected_from=0.5, caution=(Caution(17, 1.0), Caution(65, 0.2))))


@pytest.mark.parametrize(("clips", "odds"), [(1, 1.0), (2, 0.2), (4, 0.2), (5, 0.0)])
def test_less_is_said_of_a_face_of_which_few_frames_were_scored(clips, odds):
    scored = [clip(0.4, start_ms=533 * n) for n in range(clips)]
    verdict = conclude(StreamState("cam"), segment(), seen(tracklet()), scored, CAREFUL).verdict
    assert verdict.tracks[0].frames_scored == 16 * clips
    assert verdict.score == pytest.approx(1 / (1 + math.exp(odds - 0.4)), abs=2e-6)
    assert {span.score for span in verdict.tracks[0].spans} == {JUDGE.calibration.score(0.4, GOOD)}


def test_caution_in_the_word_does_not_keep_a_stream_from_being_inspected():
    told = conclude(StreamState("cam"), segment(), seen(tracklet()), [clip(0.4)], CAREFUL)
    assert told.verdict.label is Label.NO_MANIPULATION_FOUND
    assert told.state.mode is Mode.INSPECT


NARROW = replace(JUDGE, policy=Policy(measured=(Range("face_px", 50, 180), Range("sharpness", 0.3, 0.7))))


@pytest.mark.parametrize(
    ("quality", "reasons"),
    [
        (GOOD, ()),
        (replace(GOOD, face_px=181), (Reason.OUT_OF_DOMAIN,)),
        (replace(GOOD, sharpness=0.71), (Reason.OUT_OF_DOMAIN,)),
        (replace(GOOD, sharpness=0.29, face_px=181), (Reason.OUT_OF_DOMAIN,)),
        (replace(GOOD, face_px=40), (Reason.FACE_TOO_SMALL,)),
    ],
)
def test_a_face_unlike_those_that_the_lines_were_drawn_by_is_judged_and_said_to_be_so(quality, reasons):
    verdict = conclude(StreamState("cam"), segment(), seen(tracklet(quality=quality)), [clip(3.0)], NARROW).verdict
    assert verdict.reasons == verdict.tracks[0].reasons == reasons
    judged = Reason.FACE_TOO_SMALL not in reasons
    assert verdict.label is (Label.MANIPULATED if judged else Label.INSUFFICIENT_EVIDENCE)


def test_why_one_face_could_not_be_judged_is_no_reservation_about_another():
    two = seen(tracklet(0, LEFT, replace(GOOD, face_px=20)), tracklet(1, RIGHT))
    assert conclude(StreamState("cam"), segment(), two, [clip(3.0, 1)], NARROW).verdict.reasons == ()


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_certain_score_stays_what_it_is(score):
    assert cautious(score, 1, (Caution(2, 3.0),)) == score


@pytest.mark.parametrize(("frames", "odds"), [(0, 1.0), (-8, 1.0), (8, -0.1), (8, math.nan), (8, math.inf), (8, 710.0)])
def test_a_caution_without_sense_is_refused(frames, odds):
    with pytest.raises(ValueError, match=f"{frames} and {odds}"):
        Caution(frames, odds)


def test_a_card_calibrated_anew_makes_another_policy_and_so_other_verdicts():
    card = read_card(find_model("tempo-s"))
    lower = replace(card.calibrated, buckets=())
    settings = load()
    assert policy_of(settings, card).calibration == card.calibrated.sha256 != lower.sha256
    one, other = (replace(JUDGE, policy=Policy(calibration=c.sha256)) for c in (card.calibrated, lower))
    assert verdict_id(segment(), Mode.FULL, one) != verdict_id(segment(), Mode.FULL, other)
