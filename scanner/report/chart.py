"""Scores over time as the few numbers and paths that a page draws, however long the video is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scanner.core.types import SpanScore

WIDTH = 1000
HEIGHT = 100
COLUMNS = 480  # about one for two pixels of a wide screen; an hour is 7.5 s a column
BRIDGE_MS = 5_000  # clips further apart are not joined by a line: nobody looked in between
LEAST_WIDTH = 2.0  # of a shaded stretch, so that it can be seen at all


@dataclass(frozen=True, slots=True)
class Stretch:
    """A shaded stretch of the time line, in units of the drawing."""

    x: float
    width: float
    strong: bool
    """above the higher line"""


def columns(spans: Iterable[SpanScore], duration_ms: int, most: int = COLUMNS) -> tuple[SpanScore, ...]:
    """Spans in time order; when there are too many, the highest score of each of `most` equal parts."""
    ordered = sorted(spans, key=lambda span: (span.start_ms, span.end_ms))
    if len(ordered) <= most:
        return tuple(ordered)
    part = max(1.0, duration_ms / most)
    highest: dict[int, SpanScore] = {}
    for span in ordered:
        place = int((span.start_ms + span.end_ms) / 2 / part)
        known = highest.get(place)
        start = min(span.start_ms, known.start_ms) if known else span.start_ms
        end = max(span.end_ms, known.end_ms) if known else span.end_ms
        highest[place] = SpanScore(start, end, max(span.score, known.score) if known else span.score)
    return tuple(highest[place] for place in sorted(highest))


def path(spans: Sequence[SpanScore], duration_ms: int) -> str:
    """SVG path data: level over each span, straight to the next, broken where nobody looked."""
    bridge = max(BRIDGE_MS, duration_ms * 2 // COLUMNS)
    parts: list[str] = []
    last_x, last_end = 0.0, None
    for span in spans:
        x0 = max(_x(span.start_ms, duration_ms), last_x)
        x1 = max(_x(span.end_ms, duration_ms), x0 + 0.5)
        y = f"{HEIGHT * (1 - span.score):.1f}"
        joined = last_end is not None and span.start_ms - last_end <= bridge
        parts.append(f"{'L' if joined else 'M'}{x0:.1f} {y}H{x1:.1f}")
        last_x, last_end = x1, span.end_ms
    return "".join(parts)


def stretches(spans: Iterable[SpanScore], duration_ms: int, strong_from: float) -> tuple[Stretch, ...]:
    """Suspicious spans as shading; those that would touch on the screen are joined."""
    shaded: list[Stretch] = []
    for span in spans:
        x = _x(span.start_ms, duration_ms)
        width = max(LEAST_WIDTH, _x(span.end_ms, duration_ms) - x)
        strong = span.score >= strong_from
        if shaded and x <= shaded[-1].x + shaded[-1].width and shaded[-1].strong == strong:
            last = shaded.pop()
            shaded.append(Stretch(last.x, round(max(last.width, x + width - last.x), 1), strong))
        else:
            shaded.append(Stretch(round(x, 1), round(width, 1), strong))
    return tuple(shaded)


def ticks(duration_ms: int) -> tuple[int, ...]:
    """Round moments for the time axis, at most seven."""
    for step in (500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000):
        if duration_ms / step <= 6:
            return tuple(range(0, duration_ms + 1, step))
    step = -(-duration_ms // 6 // 3_600_000) * 3_600_000
    return tuple(range(0, duration_ms + 1, step))


def _x(ms: int, duration_ms: int) -> float:
    return WIDTH * min(1.0, max(0, ms) / max(1, duration_ms))
