"""The report page: words for everything, nothing foreign runs or is fetched, and an hour stays small."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest

from scanner.core.summary import summarise
from scanner.core.types import (
    Clip,
    ClipScore,
    Label,
    Mode,
    ModelRef,
    Observation,
    Provenance,
    Quality,
    Reason,
    Segment,
    SpanScore,
    Tally,
    Tier,
    Timing,
    Tracklet,
    TrackVerdict,
    Verdict,
)
from scanner.core.verdict import Policy
from scanner.inference.batcher import Scored
from scanner.inference.card import Card
from scanner.pipeline import Look as Sighted
from scanner.report import Gallery, Look, ModelFacts, PathReport, Thresholds, facts_of, odds, words, write_report
from scanner.report.chart import columns, path, ticks
from scanner.report.faces import runs, slots
from scanner.report.page import render
from scanner.report.pictures import FACE_PX, STRIP_FRAMES, STRIP_PX, heat_strip, strip_places, thumbnail
from scanner.report.view import split_name

POLICY = Policy()
LINES = Thresholds(POLICY.suspected_from, POLICY.manipulated_from)
FACTS = ModelFacts("drawn", "ab" * 32, real_videos=312)
QUALITY = Quality(face_px=180, sharpness=0.6, brightness=0.5, frontality=0.9, bitrate_kbps=1200)


def face_pixels(seed: int = 0, size: int = 160) -> np.ndarray:
    """(16, S, S, 3): soft noise, about as heavy as a face is for a JPEG."""
    noise = np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(noise, (0, 0), 3)] * 16)


JPEG = thumbnail(face_pixels())
HEAT = heat_strip(face_pixels()[:STRIP_FRAMES], np.full((STRIP_FRAMES, 7, 7), 0.8, np.float32))


def verdict(
    place: int, scores: Sequence[float], *, faces: int = 1, reasons: tuple[Reason, ...] = (), seg_ms: int = 2000
) -> Verdict:
    start, step = place * seg_ms, seg_ms // max(1, len(scores))
    spans = tuple(SpanScore(start + i * step, start + (i + 1) * step, score) for i, score in enumerate(scores))
    tracks = tuple(
        TrackVerdict(f"face-{n + 1}", LINES.label(max(scores)), max(scores), 1.0, 32, spans, (0, 0, 1, 1), QUALITY)
        for n in range(faces if scores else 0)
    )
    score = max(scores, default=None)
    tally = Tally(50, 50, 32, 0, Mode.FULL)
    return Verdict(
        f"{place:032x}", "s", place, start, start + seg_ms, LINES.label(score), score, reasons, tracks,
        Provenance(), tally, ModelRef("drawn", "ab" * 32), "cd" * 32, ("rlimit", "no_network"),
    )  # fmt: skip


def report(
    uri: str, verdicts: Sequence[Verdict], looks: Sequence[Look] = (), refused: Sequence[str] = ()
) -> PathReport:
    return PathReport(summarise(uri, verdicts, POLICY), tuple(verdicts), tuple(looks), tuple(refused))


def look(start_ms: int, score: float, track: str = "face-1", heat: bytes | None = None) -> Look:
    return Look(track, start_ms, start_ms + 500, score, JPEG, (score,) * 16, heat)


FORGED = report(
    "/videos/forged.mp4",
    [verdict(0, [0.1, 0.2]), verdict(1, [0.9, 0.95, 0.9, 0.9]), verdict(2, [0.9] * 4)],
    [look(0, 0.1), look(2000, 0.9, heat=HEAT), look(3000, 0.95, heat=HEAT)],
)


class Reader(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_label_reason_mode_and_tier_has_words() -> None:
    assert set(words.LABELS) == set(words.MEANINGS) == set(words.RANK) == set(Label)
    assert set(words.REASONS) == set(Reason)
    assert set(words.MODES) == set(Mode)
    assert set(words.TIERS) == set(Tier)
    assert not any(re.search(r"\breal\b", word) for word in words.LABELS.values())


def test_the_page_says_label_score_thresholds_spans_and_digests(tmp_path: Path) -> None:
    written = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    write_report(tmp_path / "out.html", [FORGED], model_facts=FACTS, thresholds=LINES, written_at=written)
    page = Reader((tmp_path / "out.html").read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    for said in (
        "forged.mp4", "manipulated from 0.80", "suspected from 0.50", "0:02.0 – 0:06.0", "4.0 s of 6.0 s stand out",
        "ab" * 32, "cd" * 32, "no network", "full: every frame", "2026-01-02 03:04 UTC", "at most 1 % of real faces",
    ):  # fmt: skip
        assert said in text
    assert any(attrs.get("class") == "badge is-manipulated" for _, attrs in page.tags)


def test_thresholds_are_drawn_where_they_are() -> None:
    page = render([FORGED], FACTS, Thresholds(0.4, 0.7))
    assert '<path class="limit weak" d="M0 60.0h1000"/>' in page
    assert '<path class="limit strong" d="M0 30.0h1000"/>' in page


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>.mp4",
        "\"onmouseover='alert(1)' x=\".mp4",
        "{{ 7 * 7 }}</style><img src=x onerror=alert(1)>.mp4",
        "harmless\u202egpj.mp4",
        "bell\x07\n\udcff.mp4",
    ],
)
def test_a_hostile_file_name_is_only_ever_text(tmp_path: Path, name: str) -> None:
    plain = [tag for tag, _ in Reader(render([FORGED, FORGED], FACTS, LINES)).tags]
    foreign = replace(FORGED, summary=replace(FORGED.summary, uri=f"/videos/{name}"), refused=())
    write_report(tmp_path / "out.html", [foreign, FORGED], model_facts=FACTS, thresholds=LINES)
    page = Reader((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.tags] == plain
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert not re.search("[\u202e\x07\udcff]", page.text)


def test_foreign_declarations_layers_and_refusals_are_only_ever_text() -> None:
    evil = "<b onclick=x>\u202e"
    sly = replace(verdict(0, [0.1]), provenance=Provenance(evil, evil, Tier.IS, True), sandbox=(evil,), stream_id=evil)
    page = Reader(render([report("a.mp4", [sly], refused=[evil])], replace(FACTS, name=evil), LINES))
    assert not any("onclick" in attrs for _, attrs in page.tags)
    assert "\u202e" not in page.text
    assert page.text.count("<b onclick=x>") >= 5
    assert "contradict each other" in page.text


def test_the_page_asks_nothing_of_any_network() -> None:
    page = render([FORGED, report("b.mp4", [verdict(0, [0.6])])], FACTS, LINES)
    assert not re.search(r"https?://|@import|url\(", page)
    for tag, attrs in Reader(page).tags:
        assert tag not in {"link", "iframe", "object", "embed", "form", "base"}
        for key in ("src", "href", "srcset", "action", "data"):
            assert (attrs.get(key) or "#").startswith(("#", "data:image/jpeg;base64,"))


def test_only_the_pages_own_script_may_run() -> None:
    page = render([FORGED], FACTS, LINES)
    policy = next(attrs["content"] for tag, attrs in Reader(page).tags if "http-equiv" in attrs)
    assert policy is not None
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/=]+';", policy)
    assert page.count("<script") == 1


def test_an_hour_of_three_faces_stays_small_and_is_written_in_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    verdicts = [verdict(place, rng.random(4).round(3).tolist(), faces=3) for place in range(1800)]
    looks = [
        look(place * 3_600_000 // 120, float(rng.random()), f"face-{place % 3 + 1}", HEAT if place % 2 else None)
        for place in range(120)
    ]
    began = time.monotonic()
    write_report(tmp_path / "out.html", [report("hour.ts", verdicts, looks)], model_facts=FACTS, thresholds=LINES)
    assert time.monotonic() - began < 5
    assert (tmp_path / "out.html").stat().st_size < 3_000_000


def test_three_hundred_paths_stay_small() -> None:
    paths = [report(f"{n}.mp4", [verdict(s, [0.1 + n / 1000]) for s in range(30)], [look(0, 0.1)]) for n in range(300)]
    assert len(render(paths, FACTS, LINES)) < 4_000_000


def test_paths_are_sorted_by_suspicion_and_linked() -> None:
    calm, suspected = report("calm.mp4", [verdict(0, [0.1])]), report("odd.mp4", [verdict(0, [0.6])])
    blind = report("blind.mp4", [verdict(0, [], reasons=(Reason.NO_FACE,))])
    page = render([blind, calm, FORGED, suspected], FACTS, LINES)
    links = re.findall(r'<a href="#(path-\d)">.*?<bdi class="name">(.*?)</bdi>', page, re.DOTALL)
    names = ["forged.mp4", "odd.mp4", "calm.mp4", "blind.mp4"]
    assert links == [(f"path-{place}", name) for place, name in enumerate(names, 1)]
    assert all(f'id="path-{place}"' in page for place in range(1, 5))
    assert words.REASONS[Reason.NO_FACE] in page


def test_a_path_without_any_verdict_has_its_place() -> None:
    page = Reader(render([report("broken.mp4", [], refused=["segment 0: cannot be read as video"])], FACTS, LINES))
    assert "insufficient evidence" in page.text
    assert "cannot be read as video" in page.text


def test_no_path_at_all_is_a_page_too() -> None:
    assert "There was nothing to scan." in render([], FACTS, LINES)


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
    gallery = Gallery(lambda logit: logit)
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
    gallery = Gallery(lambda logit: logit)
    segment, clips, look_, verdict_ = sighted(0, [0.9])
    gallery.witness(segment, clips[0])
    gallery.forget(segment)
    gallery.judged(look_, verdict_)
    assert gallery.looks("s") == ()


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_have_the_contrast_that_wcag_aa_asks_for(scheme: int) -> None:
    style = resources.files("scanner.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[scheme]))

    def check(ink: str, ground: str) -> float:
        return _contrast(colour[ink], colour[ground])

    assert min(check(ink, ground) for ink in ("ink", "soft") for ground in ("page", "card", "sunk")) >= 4.5
    for tone in ("red", "amber", "blue", "grey"):
        assert min(check(tone, f"{tone}-wash"), check(tone, "card"), check(tone, "sunk")) >= 4.5
    assert min(check(f"l{line}", "card") for line in range(7)) >= 3
