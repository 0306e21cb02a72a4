"""The sequential test: quiet on real faces, quick on forged ones, and keeping its promise about false alarms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scanner.core.evidence import BETS, alarm_level, combined, updated

BOUND = 0.3


def evidence_after(scores, bound=BOUND):
    evidence = ()
    history = []
    for score in scores:
        evidence = updated(evidence, score, bound)
        history.append(combined(evidence))
    return history


def test_no_clip_is_no_evidence() -> None:
    assert combined(()) == 0.0


def test_scores_at_the_bound_leave_the_evidence_where_it_is() -> None:
    assert evidence_after([BOUND] * 50)[-1] == 0.0


def test_a_calm_face_never_gathers_evidence_however_long() -> None:
    assert max(evidence_after([0.05] * 5000)) == 0.0


def test_a_forged_face_is_found_within_seconds_after_any_calm_time() -> None:
    level = alarm_level(10.0, 30 / 16)
    history = evidence_after([0.05] * 2000 + [0.95] * 20)
    alarmed = next(place for place, value in enumerate(history) if value >= level)
    assert 2000 < alarmed < 2016


def test_evidence_equals_the_formula_of_the_paper() -> None:
    scores = [0.9, 0.1, 0.7]
    by_hand = []
    for bet in BETS:
        m = 1.0
        for score in scores:
            m = max(m, 1.0) * (1 + (bet / BOUND) * (score - BOUND))
        by_hand.append(m)
    assert evidence_after(scores)[-1] == pytest.approx(math.log(np.mean(by_hand)), abs=1e-3)


def test_a_face_that_keeps_the_bound_alarms_no_oftener_than_promised() -> None:
    """1/α = 200 clips: over 40 runs of 2,000 clips under the null at most 400 first alarms would be tolerable."""
    generator = np.random.default_rng(7)
    level = math.log(200)
    first = []
    for _ in range(200):
        history = evidence_after((generator.random(600) < BOUND).astype(float))
        first.append(next((place for place, value in enumerate(history, 1) if value >= level), 600))
    assert np.mean(first) >= 200  # censored at 600, so the true average run length is longer still


def test_fewer_false_alarms_need_more_evidence() -> None:
    levels = [alarm_level(rate, 30 / 16) for rate in (1.0, 10.0, 1000.0)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] > 0
    assert alarm_level(10.0, 30 / 8) > alarm_level(10.0, 30 / 16)  # short clips are looked at more often in an hour
