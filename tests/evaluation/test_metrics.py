"""Figures against hand counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scanner.core.calibration import Caution, cautious
from scanner.evaluation.metrics import auc, average_precision, eer, pair_accuracy, roc, tpr_at
from scanner.training.calibrate import (
    LEAST_PEOPLE,
    Real,
    fit,
    platt,
    shift_of,
    unseen_share,
    upper_quantile,
    with_calibration,
)

SCORES = np.array([0.1, 0.4, 0.4, 0.8])
LABELS = np.array([0, 0, 1, 1])


def test_ties_count_half():
    assert auc(SCORES, LABELS) == pytest.approx(3.5 / 4)


def test_a_roc_begins_at_none_and_ends_at_all():
    fpr, tpr = roc(SCORES, LABELS)
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)


def test_a_perfect_ranking_has_no_errors():
    labels = np.array([0, 0, 1, 1])
    scores = np.array([0.0, 0.1, 0.2, 0.3])
    assert (auc(scores, labels), eer(scores, labels), average_precision(scores, labels)) == (1, 0, 1)
    assert tpr_at(scores, labels, 0.01) == 1


def test_pairs_compare_a_fake_with_its_own_original():
    assert pair_accuracy({"f": 2.0, "r": 1.0, "g": 0.5}, [("f", "r"), ("g", "r")]) == 0.5


def test_an_upper_quantile_leaves_its_share_above():
    scores = np.linspace(0, 1, 200)
    threshold = upper_quantile(scores, [f"p{n}" for n in range(200)], 0.05)
    assert (scores >= threshold).mean() <= 0.05


def test_an_unseen_person_is_counted_in_where_there_are_people_enough_and_videos_are_no_people():
    scores = np.linspace(0, 1, 200)
    few, many = ([f"p{n % count}" for n in range(200)] for count in (10, 20))
    assert unseen_share(LEAST_PEOPLE, 0.05) > 0 == unseen_share(LEAST_PEOPLE - 1, 0.05)
    assert (scores >= upper_quantile(scores, few, 0.05)).sum() == 10
    assert (scores >= upper_quantile(scores, many, 0.05)).sum() == 0
    assert "no promise" in fit(people(), 1.0, 0.0, 8).statement


def test_copies_of_one_recording_are_told_as_such():
    made = fit(replace(people(), recordings=[f"r{n % 24}" for n in range(240)]), 1.0, 0.0, 8)
    assert made.statement.startswith("24 recordings of 12 people")
    assert "216 copies" in made.statement


def test_new_thresholds_leave_the_other_tables_of_a_card_alone():
    before, after = 'name = "x"\n\n[geometry]\nsize = 1\n\n', '[data]\nc = "[d]"\n'
    old = before + "[calibration]\na = 1\n\n[[calibration.buckets]]\nb = 2\n\n" + after
    assert with_calibration(old, ["[calibration]", "a = 3", ""]) == before + "[calibration]\na = 3\n\n" + after


def people(count=240, poor=0.5, higher=0.0, seed=0, noise=0.0):
    """Real videos of 12 people; the poor share has small faces, and logits `higher` than the others'.

    Each has eight clips, whose logits lie `noise` around the video's.
    """
    rng = np.random.default_rng(seed)
    small = np.arange(count) % 100 < 100 * poor
    logits = rng.normal(-2, 1, count) + higher * small
    spread = rng.normal(0, 1, (count, 8))
    clips = logits[:, None] + noise * (spread - spread.mean(axis=1, keepdims=True))
    names = [f"p{n % 12}" for n in range(count)]
    return Real(
        logits,
        names,
        [str(n) for n in range(count)],
        np.where(small, 60.0, 200.0),
        np.full(count, 0.6),
        np.full(count, 0.5),
        tuple(clips),
    )


def test_thresholds_rise_and_no_calibration_video_is_called_manipulated():
    real, fake = people(), np.random.default_rng(1).normal(2, 1, 120)
    found = fit(real, *platt(real.logits, fake), 8)
    scores = 1 / (1 + np.exp(-(found.slope * (real.logits - shift_of(real, found.buckets)) + found.bias)))
    assert found.suspected_from <= found.manipulated_from
    assert (scores < found.manipulated_from).all()
    assert found.people == 12


def test_poor_videos_that_score_higher_do_not_raise_the_thresholds_for_good_ones():
    plain, lifted = (fit(people(higher=higher), 1.0, 0.0, 8) for higher in (0.0, 3.0))
    (bucket,) = lifted.buckets
    assert bucket.face_px_below == 80
    assert bucket.shift == pytest.approx(3.0, abs=0.6)
    assert lifted.suspected_from == pytest.approx(plain.suspected_from, abs=0.1)


def test_a_bucket_with_few_videos_is_not_one():
    assert fit(people(poor=0.1, higher=3.0), 1.0, 0.0, 8).buckets == ()


def test_one_clip_of_a_real_video_crosses_the_lines_no_more_often_than_the_video_may():
    real = people(noise=1.5)
    found = fit(real, 0.7, -0.2, 8)
    one, two = found.caution
    assert (one.frames_below, two.frames_below) == (16, 32)
    assert one.odds > two.odds > 0
    steps = tuple(Caution(step.frames_below, step.odds) for step in found.caution)
    chances = 1 / (1 + np.exp(-(found.slope * (np.stack(real.clips)) + found.bias)))
    for line, share in ((found.suspected_from, 0.05), (found.manipulated_from, 0.01)):
        careful = np.array([cautious(score, 8, steps) for score in chances.ravel()])
        assert (careful >= line).mean() <= share
    assert (chances >= found.suspected_from).mean() > 0.05
    assert fit(people(noise=0.0), 0.7, -0.2, 8).caution == ()


def test_of_videos_of_one_clip_each_only_one_clip_is_told():
    real = people(noise=1.5)
    short = replace(real, clips=tuple(clips[:1] for clips in real.clips))
    assert [step.frames_below for step in fit(short, 0.7, -0.2, 8).caution] == [16]
