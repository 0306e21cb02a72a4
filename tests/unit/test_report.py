"""The report page: words for everything, nothing foreign runs or is fetched, and an hour stays small."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from reports import FACTS, FORGED, HEAT, LINES, look, report, verdict

from scanner.core.types import (
    Label,
    Mode,
    Provenance,
    Reason,
    Tier,
)
from scanner.report import Thresholds, words, write_report
from scanner.report.page import render


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


def test_the_page_tells_what_the_bounds_rest_on_in_the_cards_words() -> None:
    page = render([FORGED], replace(FACTS, basis="Recordings of 14 people & copies."), LINES)
    assert "312 real videos held out from training: Recordings of 14 people &amp; copies. They hold" in page
    assert "held out from training. They hold" in render([FORGED], FACTS, LINES)
