"""The time line of one path: a line a face, shading where it stands out, and the same numbers for the read-out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scanner.core.types import SpanScore
from scanner.report.chart import COLUMNS, Stretch, columns, path, stretches, ticks
from scanner.report.faces import Face
from scanner.report.model import Thresholds

LINES = 6
"""faces with a line of their own; colours and dashes end here, and so does what eyes tell apart"""
WORDS = 0.25
"""share of the width that the words at the two lines take"""
COARSE = 120
"""columns where a page carries many paths"""


@dataclass(frozen=True, slots=True)
class Line:
    """One face's scores."""

    name: str
    style: int
    """which colour and dash"""
    path: str
    points: tuple[tuple[int, int, float], ...]
    """start ms, end ms, score"""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the chart shows."""

    duration_ms: int
    lines: tuple[Line, ...]
    stretches: tuple[Stretch, ...]
    ticks: tuple[int, ...]
    suspected_y: float
    manipulated_y: float
    words_right: bool
    """there is more room for words at the right than at the left"""

    @property
    def readout(self) -> list[dict[str, object]]:
        """For the script: what the pointer reads."""
        return [{"name": line.name, "points": line.points} for line in self.lines]


def drawing_of(
    faces: Sequence[Face], suspicious: Sequence[SpanScore], duration_ms: int, thresholds: Thresholds, *, fine: bool
) -> Drawing:
    """`faces` most suspicious first; those beyond the first few share one line of their highest scores."""
    duration_ms = max(1, duration_ms)
    most = COLUMNS if fine else COARSE
    judged = [face for face in faces if face.spans]
    named = [(f"Face {face.number}", face.spans) for face in judged[:LINES]]
    others = tuple(span for face in judged[LINES:] for span in face.spans)
    if others:
        named.append((f"{len(judged) - LINES} other faces", others))
    everything = [span for face in judged for span in face.spans]
    return Drawing(
        duration_ms=duration_ms,
        lines=tuple(
            _line(name, style, columns(spans, duration_ms, most), duration_ms)
            for style, (name, spans) in enumerate(named)
        ),
        stretches=stretches(columns(suspicious, duration_ms, most), duration_ms, thresholds.manipulated_from),
        ticks=ticks(duration_ms),
        suspected_y=round(100 * (1 - thresholds.suspected_from), 1),
        manipulated_y=round(100 * (1 - thresholds.manipulated_from), 1),
        words_right=_highest(everything, 0, duration_ms * WORDS) > _highest(everything, duration_ms * (1 - WORDS)),
    )


def _highest(spans: Sequence[SpanScore], start: float, end: float = math.inf) -> float:
    return max((span.score for span in spans if span.start_ms < end and start < span.end_ms), default=0.0)


def _line(name: str, style: int, spans: Sequence[SpanScore], duration_ms: int) -> Line:
    points = tuple((span.start_ms, span.end_ms, round(span.score, 2)) for span in spans)
    return Line(name, style, path(spans, duration_ms), points)
