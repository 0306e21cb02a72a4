"""What a report is made of: runs, columns, axes, odds, names, and the pictures of its gallery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from reports import FACTS, LINES, QUALITY, face_pixels, look, verdict

from scanner.core.types import (
    Clip,
    ClipScore,
    Mode,
    Observation,
    Segment,
    SpanScore,
    Tally,
    Timing,
    Tracklet,
    Verdict,
)
from scanner.inference.batcher import Scored
from scanner.inference.card import Card
from scanner.pipeline import Look as Sighted
from scanner.report import Gallery, facts_of, odds, words
from scanner.report.chart import columns, path, ticks
from scanner.report.faces import runs, slots
from scanner.report.pictures import FACE_PX, STRIP_FRAMES, STRIP_PX, heat_strip, strip_places, thumbnail
from scanner.report.view import split_name


#   |==== 0.9 ====|==== 0.8 ====|==== 0.2 ====|==== 0.7 ====|        one after the other
#   0             1             2             3             4 s      two runs: 0–2, 3–4
def test_a_run_ends_at_a_calm_clip_and_goes_on_across_what_nobody_looked_at() -> None:
    spans = [SpanScore(n * 1000, n * 1000 + 1000, score) for n, score in enumerate((0.9, 0.8, 0.2, 0.7))]
    assert runs(spans, 0.5) == (SpanScore(0, 2000, 0.9), SpanScore(3000, 4000, 0.7))
    patrolled = [SpanScore(0, 500, 0.6), SpanScore(4000, 4500, 0.7), SpanScore(60_000, 60_500, 0.6)]
    assert runs(patrolled, 0.5) == (SpanScore(0, 4500, 0.7), SpanScore(60_000, 60_500, 0.6))


def test_columns_keep_the_highest_score_of_each_part_of_the_time() -> None:
    spans = [SpanScore(n * 100, n * 100 + 100, 0.9 if n == 777 else 0.1) for n in range(2000)]
    drawn = columns(spans, 200_000, 100)
    assert len(drawn) == 100
    assert [span.score for span in drawn].count(0.9) == 1
    assert drawn[38].score == 0.9


def test_a_line_breaks_where_nobody_looked() -> None:
    spans = [SpanScore(0, 1000, 0.5), SpanScore(2000, 3000, 0.5), SpanScore(60_000, 61_000, 0.5)]
    assert path(spans, 100_000) == "M0.0 50.0H10.0L20.0 50.0H30.0M600.0 50.0H610.0"


@pytest.mark.parametrize("duration_ms", [1, 640, 6_000, 59_999, 3_600_000, 90_000_000])
def test_the_time_axis_has_at_most_seven_ticks(duration_ms: int) -> None:
    assert 1 <= len(ticks(duration_ms)) <= 7


def test_a_slot_shows_the_most_suspicious_look_or_one_that_reaches_into_it() -> None:
    early, late, long = look(0, 0.1), look(100, 0.7), replace(look(2000, 0.3), end_ms=4000)
    assert slots([early, late, long], 4000, 4) == (late, None, long, long)


def test_odds_follow_from_prevalence_and_rates() -> None:
    known = odds.lines(replace(FACTS, tpr_manipulated=0.8))[0]
    rare = known.odds[1]
    assert (rare.forged, rare.flagged_forged, rare.flagged_real) == (100, 80, 99)
    assert rare.right == pytest.approx(80 / 179)
    assert odds.lines(FACTS)[0].odds[1].flagged_forged is None
    assert odds.lines(replace(FACTS, fpr_manipulated=None, fpr_suspected=None)) == ()


def test_a_bound_is_not_claimed_under_the_line_it_was_measured_at() -> None:
    card = Card.model_validate(
        {
            "format": "scanner-clip-v1", "name": "drawn", "version": "1", "licence": "Apache-2.0", "sha256": "ab" * 32,
            "geometry": {"length": 16, "size": 160, "box_scale": 1.5},
            "calibration": {
                "slope": 1, "bias": 0, "null_bound": 0.3, "suspected_from": 0.5, "manipulated_from": 0.9,
                "real_clips": 99,
            },
            "data": {"statement": ""}, "measured": {"auc": 0.87123, "by_kind": {"face_swap": 0.9}},
        }
    )  # fmt: skip
    facts = facts_of(card, LINES, tpr_suspected=0.7)
    assert (facts.fpr_suspected, facts.fpr_manipulated, facts.real_videos) == (0.05, None, 99)
    assert facts.measured == (("auc", "0.8712"), ("by kind face swap", "0.9"))
    assert [line.word for line in odds.lines(facts)] == ["suspected"]


def test_times_and_numbers_read_as_people_write_them() -> None:
    assert [words.clock(ms) for ms in (0, 2_040, 754_000, 3_723_900)] == ["0:00.0", "0:02.0", "12:34.0", "1:02:03.9"]
    assert [words.duration(ms) for ms in (3_900, 64_000, 3_600_000)] == ["3.9 s", "1 min 4 s", "1 h 0 min"]
    assert [words.percent(share) for share in (0.001, 0.01, 0.447)] == ["0.1 %", "1 %", "45 %"]
    assert [words.count(n, "face") for n in (1, 5400)] == ["1 face", "5\u202f400 faces"]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("/a/b.mp4", ("/a/", "b.mp4")),
        ("b.mp4", ("", "b.mp4")),
        ("-", ("", "-")),
        ("file:///a/b%20c.mp4", ("/a/", "b c.mp4")),
        ("s3://bucket/b.mp4", ("s3://bucket/", "b.mp4")),
        ("http://[broken/b.mp4", ("http://[broken/", "b.mp4")),
    ],
)
def test_a_path_shows_its_folder_and_its_name(uri: str, shown: tuple[str, str]) -> None:
    assert split_name(uri) == shown


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_a_thumbnail_is_small_and_a_calm_map_leaves_the_face_as_it_is() -> None:
    pixels = face_pixels(size=224)
    small = decoded(thumbnail(pixels))
    assert small.shape == (FACE_PX, FACE_PX, 3)
    some = pixels[list(strip_places(16))]
    calm, hot = (heat_strip(some, np.full((STRIP_FRAMES, 4, 4), level, np.float32)) for level in (0.0, 1.0))
    calm_px, hot_px = decoded(calm), decoded(hot)
    assert calm_px.shape == (STRIP_PX, STRIP_PX * STRIP_FRAMES, 3)
    plain = cv2.resize(pixels[0][..., ::-1], (STRIP_PX, STRIP_PX), interpolation=cv2.INTER_AREA)
    assert np.abs(calm_px[:, :STRIP_PX].astype(int) - plain).mean() < 4
    assert np.abs(hot_px[:, :STRIP_PX].astype(int) - plain).mean() > 20


def sighted(place: int, logits: Sequence[float]) -> tuple[Segment, list[Clip], Sighted, Verdict]:
    segment = Segment("s", place, place * 2000, b"", "00")
    step = 2000 // len(logits)
    pixels = face_pixels(place)
    clips = [Clip(0, n * step, (n + 1) * step, 0, pixels) for n in range(len(logits))]
    scored = tuple(
        Scored(ClipScore(0, clip.start_ms, clip.end_ms, 0, logit, (logit,) * 16), np.full((16, 4, 4), 0.5, np.float32))
        for clip, logit in zip(clips, logits, strict=True)
    )
    box = (0.0, 0.0, 1.0, 1.0)
    tracklet = Tracklet(0, 0, 2000, box, box, box, 50, False, QUALITY)
    seen = Observation(2000, 640, 480, "h264", Tally(50, 50, 0, 0, Mode.FULL), (tracklet,))
    return segment, clips, Sighted(segment, seen, scored, Timing()), verdict(place, list(logits))


def test_a_gallery_keeps_the_highest_and_an_even_sample_and_stays_bounded() -> None:
    gallery = Gallery(lambda logit, _: logit)
    for place in range(150):
        segment, clips, look_, verdict_ = sighted(place, [0.1, 0.95 if place == 111 else 0.2])
        for clip in clips:
            gallery.witness(segment, clip)
        gallery.judged(look_, verdict_)
    looks = gallery.looks("s")
    assert len(looks) < 100
    highest = max(looks, key=lambda look: look.score)
    assert (highest.start_ms, highest.score, highest.track_id) == (111 * 2000 + 1000, 0.95, "face-1")
    assert highest.heat is not None
    assert {look.start_ms // 60_000 for look in looks} == set(range(5))
    assert gallery.looks("s") == ()


def test_a_refused_segment_leaves_nothing_in_the_gallery() -> None:
    gallery = Gallery(lambda logit, _: logit)
    segment, clips, look_, verdict_ = sighted(0, [0.9])
    gallery.witness(segment, clips[0])
    gallery.forget(segment)
    gallery.judged(look_, verdict_)
    assert gallery.looks("s") == ()
