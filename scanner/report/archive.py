"""An archive's replay as one page: what was found and how fast, the highest scores, what failed, what took longest.

journal + summaries ──▶ Row a file ──▶ counts, histogram, the few rows worth a look ──▶ HTML
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanner.core.summary import Summary
from scanner.core.types import Label
from scanner.replay.runs import Run
from scanner.report import words
from scanner.report.model import Thresholds
from scanner.report.page import asset, environment

NO_VERDICT = "no_verdict"
BINS = 25
"""of the histogram"""
HIGHEST, FAILED, SLOWEST = 30, 200, 10
"""rows of the page's tables"""
MOMENTS = 4
"""suspicious stretches of one file that are linked"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Row:
    """One file, object or stream, and what became of it."""

    name: str
    """its stream's"""
    place: str = ""
    """path or address as it was given; empty: there is none"""
    label: str = NO_VERDICT
    score: float | None = None
    moments: tuple[tuple[int, int], ...] = ()
    """suspicious stretches in ms, the highest first"""
    duration_ms: int = 0
    """media time"""
    segments: int = 0
    took_ms: int = 0
    """on the clock; 0 when nobody took the time"""
    cached: bool = False
    failures: tuple[str, ...] = ()

    @property
    def href(self) -> str | None:
        """Where a browser on the same machine finds it; None for what lies in a store or on a topic."""
        if not self.place or "://" in self.place:
            return None
        return Path(self.place).absolute().as_uri()

    @property
    def elsewhere(self) -> bool:
        """Whether its name does not say where it lies."""
        return bool(self.place) and not self.place.endswith(self.name)

    @property
    def speed(self) -> float:
        """Multiples of real time."""
        return self.duration_ms / max(1, self.took_ms)


@dataclass(frozen=True, slots=True)
class Told:
    """What is said beside the rows."""

    title: str
    model: str
    thresholds: Thresholds
    facts: tuple[tuple[str, str], ...]
    """name and value: what the results stand on"""
    totals: dict[str, Any]
    """the replay's last line: files, done_before, from_cache, seconds, video_hours_per_hour …"""
    outputs: tuple[str, ...] = ()
    """files beside the page"""
    written_at: datetime | None = None


@dataclass(slots=True)
class Overview:
    """Rows taken one after another; only those worth a look are kept, however many come."""

    thresholds: Thresholds
    labels: Counter[str] = field(default_factory=Counter)
    bins: list[int] = field(default_factory=lambda: [0] * BINS)
    files: int = 0
    segments: int = 0
    duration_ms: int = 0
    failed: int = 0
    failures: list[Row] = field(default_factory=list)
    highest: list[tuple[float, int, Row]] = field(default_factory=list)
    slowest: list[tuple[int, int, Row]] = field(default_factory=list)

    def take(self, row: Row) -> None:
        self.files += 1
        self.segments += row.segments
        self.duration_ms += row.duration_ms
        self.labels[row.label] += 1
        if row.failures:
            self.failed += 1
            if len(self.failures) < FAILED:
                self.failures.append(row)
        if row.score is not None:
            self.bins[min(BINS - 1, int(row.score * BINS))] += 1
            _keep(self.highest, (row.score, -self.files, row), HIGHEST)
        if row.took_ms and not row.cached:
            _keep(self.slowest, (row.took_ms, -self.files, row), SLOWEST)

    @property
    def scored(self) -> int:
        return sum(self.bins)

    @property
    def shares(self) -> list[tuple[str, int, float, float]]:
        """Label, files, where its part of the bar begins and how wide it is, of 1000."""
        ordered = [(label, self.labels[label]) for label in (*(each.value for each in Label), NO_VERDICT)]
        present = [(label, count) for label, count in ordered if count]
        begins = accumulate((count for _, count in present), initial=0)
        whole = max(1, self.files)
        return [
            (label, count, 1000 * begin / whole, 1000 * count / whole)
            for (label, count), begin in zip(present, begins, strict=False)
        ]

    @property
    def bars(self) -> list[tuple[float, float, float, int, str]]:
        """Of the histogram: from and to which score, height in [0, 1], files, and as which label it is drawn.

        Heights grow with the square root: one file among thousands is seen.
        """
        most = max(1, *self.bins)
        return [
            (number / BINS, (number + 1) / BINS, (count / most) ** 0.5, count, self._zone((number + 0.5) / BINS))
            for number, count in enumerate(self.bins)
        ]

    def _zone(self, score: float) -> str:
        if score >= self.thresholds.manipulated_from:
            return Label.MANIPULATED.value
        return (Label.SUSPECTED if score >= self.thresholds.suspected_from else Label.NO_MANIPULATION_FOUND).value


def rows_of(run: Run) -> Iterator[Row]:
    """Every file of a replay, from its journal and results. Raises SettingsError when they cannot be read."""
    for file in run.files.values():
        last = run.last_line(file)
        summary = last if last.get("type") == "summary" else {}
        yield Row(
            name=file.stream_id,
            place=last.get("uri", ""),
            label=file.label or NO_VERDICT,
            score=summary.get("score"),
            moments=_moments((span["score"], span["start_ms"], span["end_ms"]) for span in summary.get("spans", ())),
            duration_ms=file.duration_ms,
            segments=file.segments,
            took_ms=file.took_ms,
            cached=file.cached,
            failures=file.failures,
        )


def row_of(summary: Summary, *, segments: int) -> Row:
    """Of a stream that lies on a topic, and has a name alone."""
    return Row(
        name=summary.uri,
        label=summary.label.value,
        score=summary.score,
        moments=_moments((span.score, span.start_ms, span.end_ms) for span in summary.spans),
        duration_ms=summary.duration_ms,
        segments=segments,
    )


def overview_of(rows: Iterable[Row], thresholds: Thresholds) -> Overview:
    overview = Overview(thresholds)
    for row in rows:
        overview.take(row)
    return overview


def write_archive_page(path: Path, rows: Iterable[Row], told: Told) -> None:
    """One HTML file that asks nothing of any network; its links lead to the scanned files. Raises OSError."""
    overview = overview_of(rows, told.thresholds)
    page = (
        environment()
        .get_template("archive.html")
        .render(
            told=told,
            o=overview,
            highest=[row for _, _, row in sorted(overview.highest, reverse=True)],
            slowest=[row for _, _, row in sorted(overview.slowest, reverse=True)],
            labels={**{label.value: name for label, name in words.LABELS.items()}, NO_VERDICT: "no verdict"},
            style=Markup(asset("page.css") + asset("archive.css")),  # noqa: S704 - our own files, no input
            policy=_POLICY,
        )
    )
    part = path.with_suffix(".part")
    part.write_text(page, encoding="utf-8")
    part.replace(path)


def _moments(spans: Iterable[tuple[float, int, int]]) -> tuple[tuple[int, int], ...]:
    """Of (score, start, end)."""
    best = sorted(spans, key=lambda span: (-span[0], span[1]))[:MOMENTS]
    return tuple((start_ms, end_ms) for _, start_ms, end_ms in best)


def _keep(heap: list[Any], entry: Any, most: int) -> None:
    """The largest `most` entries."""
    if len(heap) < most:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)
