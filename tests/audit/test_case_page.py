"""A case's front page: who has the last word, what the item declares, what to look at first; on screen and on paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scanner.core.review import Decision, Review, standings
from scanner.core.summary import Summary
from scanner.core.types import Label, Mode, ModelRef, Provenance, Tally, Tier, Verdict
from scanner.report import Thresholds
from scanner.report.case import MOST_LOOKS, CasePage, case_page, most_suspicious, overruled
from scanner.report.case_pdf import case_pdf
from scanner.report.model import Look
from scanner.report.pictures import heat_strip, thumbnail

FACE = np.full((8, 64, 64, 3), 90, np.uint8)


def verdict(sequence, label=Label.MANIPULATED, **more):
    start = sequence * 2000
    bare = Verdict(
        f"v{sequence}", "cam", sequence, start, start + 2000, label, 0.9, (), (), Provenance(),
        Tally(50, 50, 32, 0, Mode.FULL), ModelRef("m", "ab" * 32), "cd" * 32, version="1",
    )  # fmt: skip
    return replace(bare, **more)


def review(sequence, decision, reviewer, note="", at_ms=0):
    return Review(f"v{sequence}", "cam", sequence, decision, reviewer, note, at_ms)


def page(verdicts, reviews=(), looks=()):
    summary = Summary("cam", Label.MANIPULATED, 0.9, (), 4000, 1)
    return CasePage(summary, verdicts, [], standings(reviews), [], [], "key", "now", "later", [], looks)


def look(score, start_ms=0):
    strip = heat_strip(FACE[:5], np.full((5, 4, 4), 0.5, np.float32))
    return Look("face-1", start_ms, start_ms + 500, score, thumbnail(FACE), heat=strip)


def test_people_who_reject_a_verdict_have_the_last_word_and_everybodys_words_are_kept() -> None:
    case = page(
        [verdict(0), verdict(1, Label.NO_MANIPULATION_FOUND), verdict(2)],
        [
            review(0, Decision.CONFIRM, "ana", "mouth"),
            review(0, Decision.REJECT, "ben", "<b>a filter</b>"),
            review(0, Decision.REJECT, "cy", at_ms=9),
            review(1, Decision.REJECT, "ana"),
            review(2, Decision.UNSURE, "ana"),
        ],
    )
    told = [(one.verdict.sequence, one.word, one.by) for one in overruled(case)]
    assert told == [(0, Label.NO_MANIPULATION_FOUND, ("ben", "cy")), (1, Label.MANIPULATED, ("ana",))]
    text = case_page(case)
    assert "manipulated was rejected by ben, cy; their word is “no manipulation found”" in text
    assert "mouth" in text
    assert "&lt;b&gt;a filter" in text


def test_a_case_that_nobody_rejected_says_nothing_of_it() -> None:
    assert "People decided otherwise" not in case_page(page([verdict(0)], [review(0, Decision.CONFIRM, "ana")]))


def test_the_strongest_declaration_of_any_segment_is_told_and_that_it_contradicts() -> None:
    camera = Provenance(tier=Tier.SUSPECTED, conflict=True)
    text = case_page(page([verdict(0, provenance=camera), verdict(1)]))
    assert "suspected by what was found" in text
    assert "It contradicts what was found" in text
    assert "Declares nothing about its origin" not in text


def test_the_most_suspicious_clips_are_shown_first_on_screen_and_on_paper() -> None:
    looks = [look(0.1 * place, place) for place in range(7)]
    case = page([verdict(0)], looks=looks)
    assert [round(shown.score, 1) for shown in most_suspicious(case)] == [0.6, 0.5, 0.4, 0.3]
    assert case_page(case).count("data:image/jpeg") == 2 * MOST_LOOKS
    thresholds = Thresholds(0.5, 0.8)
    paper, bare = case_pdf(case, thresholds), case_pdf(page([verdict(0)]), thresholds)
    assert paper.count(b"/Subtype /Image") == bare.count(b"/Subtype /Image") + 2 * MOST_LOOKS
