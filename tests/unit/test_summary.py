"""A path's summary: neither a mean over everything nor a single outlier."""

from __future__ import annotations

import math

import pytest

from scanner.core.calibration import Caution
from scanner.core.summary import path_score, suspicious_spans
from scanner.core.types import SpanScore


def score_of(scores, clip_ms=533, caution=()):
    spans = [SpanScore(n * clip_ms, (n + 1) * clip_ms, score) for n, score in enumerate(scores)]
    return path_score(spans, 16 * len(spans), caution)


def test_few_clips_give_their_plain_mean_in_log_odds() -> None:
    assert score_of([0.5, 0.5, 0.5]) == 0.5
    assert score_of([0.2, 0.8]) == pytest.approx(0.5)


def test_a_short_forgery_in_a_long_video_is_not_averaged_away() -> None:
    calm = [0.02] * 500  # about four and a half minutes
    assert score_of([*calm, *[0.97] * 12, *calm]) > 0.5 > score_of(calm)
    assert score_of([*[0.02] * 90, *[0.97] * 10]) == pytest.approx(0.97)


def test_one_outlier_does_not_decide() -> None:
    assert score_of([*[0.02] * 25, 0.99, *[0.02] * 25]) < 0.2


def test_the_score_grows_with_every_clip() -> None:
    calm = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    for place in range(len(calm)):
        raised = [*calm]
        raised[place] = 0.9
        assert score_of(raised) >= score_of(calm)


def test_a_path_of_few_clips_is_spoken_of_with_caution_and_a_long_one_is_not() -> None:
    caution = (Caution(17, 1.0), Caution(40, 0.5))
    assert score_of([0.5], caution=caution) == pytest.approx(1 / (1 + math.e), abs=1e-6)
    assert score_of([0.5, 0.5], caution=caution) == pytest.approx(1 / (1 + math.exp(0.5)), abs=1e-6)
    assert score_of([0.5] * 3, caution=caution) == 0.5
    assert score_of([0.5] * 200, caution=caution) == 0.5


def test_suspicious_spans_join_where_they_touch() -> None:
    # time   0----500---1000---1500---2000
    # score  .9    .7     .1     .8
    spans = [SpanScore(0, 500, 0.9), SpanScore(500, 1000, 0.7), SpanScore(1000, 1500, 0.1), SpanScore(1500, 2000, 0.8)]
    assert suspicious_spans(spans, 0.5) == (SpanScore(0, 1000, 0.9), SpanScore(1500, 2000, 0.8))


def test_short_clips_need_as_much_time_as_long_ones() -> None:
    calm = [0.02] * 40
    assert score_of([*calm, *[0.97] * 6, *calm]) > 0.9
    assert score_of([*calm, *[0.97] * 6, *calm], clip_ms=266) < 0.6
    assert score_of([*calm, *[0.97] * 13, *calm], clip_ms=266) > 0.9
