"""A stream as the few facts that its tile on the wall shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from scanner.core.text import visible
from scanner.core.types import Box, Label, Mode
from scanner.dashboard.streams import Attention, Point, Stream

SPARK = 48  # segments in a sparkline
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Tile:
    """What a browser is told of a stream whenever it changes."""

    id: str
    name: str
    """the identity, safe to look at"""
    group: str
    attention: str
    """leaving silence aside: the browser's clock tells that"""
    label: str
    """of the last verdict"""
    score: float | None
    """of the last verdict"""
    peak: float
    spark: str
    """scores of the last segments, a letter each in 36 steps; "-" where nothing was judged"""
    behind_s: float | None
    heard_ms: int
    mode: str
    faces: tuple[tuple[Box, str], ...]
    pictures: tuple[tuple[str, str, str], ...]
    """face, key and label"""
    reasons: tuple[str, ...]
    alerts: int
    ended: bool

    def told(self) -> dict[str, Any]:
        return asdict(self)


BLANK = Tile(
    id="", name="", group="", attention="clear", label=Label.NO_MANIPULATION_FOUND.value, score=None, peak=0, spark="",
    behind_s=None, heard_ms=0, mode=Mode.PATROL.value, faces=(), pictures=(), reasons=(), alerts=0, ended=False,
)  # fmt: skip
"""what scripts copy for a stream that was not there when the page was made"""


def tile_of(stream: Stream) -> Tile:
    last = stream.last
    return Tile(
        id=stream.stream_id,
        name=visible(stream.stream_id),
        group=visible(stream.group),
        attention=stream.attention(stream.heard_ms).name.lower(),
        label=last.label.value,
        score=last.score,
        peak=stream.peak,
        spark=spark_of(list(stream.points)[-SPARK:]),
        behind_s=stream.behind_s,
        heard_ms=stream.heard_ms,
        mode=stream.mode.value,
        faces=tuple((track.box, track.label.value) for track in last.tracks),
        pictures=tuple((picture.track_id, picture.key, picture.label.value) for picture in stream.pictures),
        reasons=tuple(reason.value for reason in last.reasons),
        alerts=len(stream.raised),
        ended=stream.ended,
    )


def spark_of(points: Iterable[Point]) -> str:
    return "".join("-" if point.score is None else _DIGITS[round(point.score * 35)] for point in points)


def spark_paths(spark: str) -> str:
    """SVG path data over a box of 48 × 36: a line a stretch that was judged, a dot where one segment stands alone."""
    offset = SPARK - len(spark)
    parts: list[str] = []
    pen = "M"
    for place, letter in enumerate(spark):
        if letter == "-":
            pen = "M"
            continue
        parts.append(f"{pen}{offset + place} {35 - _DIGITS.index(letter)}")
        if pen == "M":
            parts.append("h.01")
        pen = "L"
    return "".join(parts)


def counted(streams: Iterable[Stream], now_ms: int) -> dict[Attention, int]:
    """How many streams need how much attention."""
    counts = dict.fromkeys(Attention, 0)
    for stream in streams:
        counts[stream.attention(now_ms)] += 1
    return counts
