"""Encoded streams with forged stretches down the real road: which stretches alarm, how soon, and what real video does.

real ─────────┐forged 5 s┌────────── real ──────────
alarm    ✕               ✓ within GRACE_S of the end: found after 4.1 s
         └ false: counts against the hours of real video
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from scanner.assembly.scan import Assembled, limits_of
from scanner.core.errors import MediaError
from scanner.core.types import Edge, Mode
from scanner.evaluation.sequential import LENGTHS_S, censored, garwood
from scanner.evaluation.splicing import Plan, Stretch
from scanner.local import Answered, answers
from scanner.media.cutter import cut
from scanner.settings import Settings

GRACE_S = 4.0  # two segments: the one that holds the end of a stretch is judged when it is over


@dataclass(frozen=True, slots=True)
class Point:
    """A stream after one of its segments."""

    at_s: float
    evidence: float
    """of its most suspicious face"""
    mode: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look at one stream gave."""

    name: str
    alarms_s: tuple[float, ...]
    """media time of alerts that were raised"""
    points: tuple[Point, ...]
    frames_total: int
    frames_decoded: int
    frames_scored: int
    version: str
    """of the code"""


@dataclass(frozen=True, slots=True)
class Found:
    """Stretches of one length; those that never alarmed count as longer than any wait."""

    length_s: float
    stretches: int
    found: int
    median_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """One coverage over all streams."""

    coverage: str
    streams: int
    real_hours: float
    false_alarms: int
    per_hour: float
    interval: tuple[float, float]
    """95 %, exact for a Poisson count (Garwood)"""
    forged: tuple[Found, ...]
    frames_decoded: float
    """share of all frames"""
    frames_scored: float
    """face-frames, as a multiple of all frames"""


def watched(path: Path, name: str, parts: Assembled, mode: Mode | None, settings: Settings) -> Watched:
    """Scans one stream from its beginning; None patrols it, and inspects it when its evidence rises.

    Raises MediaError when a segment of it cannot be read.
    """
    alarms, points, totals = [], [], np.zeros(3, int)
    with cut(path, stream_id=name, target_s=settings.scan.segment_s, limits=limits_of(settings)) as pieces:
        for answer in answers(parts.pipeline, iter(pieces), mode=mode, ahead=parts.cell_count + 1):
            if not isinstance(answer, Answered):
                raise MediaError(f"{path.name}, segment {answer.segment.sequence}: {answer.error}")
            verdict = answer.conclusion.verdict
            alarms += [alert.at_ms / 1000 for alert in answer.conclusion.alerts if alert.edge is Edge.RAISED]
            most = max((face.evidence for face in verdict.tracks), default=0.0)
            points.append(Point(verdict.end_ms / 1000, most, verdict.coverage.mode.value))
            seen = verdict.coverage
            totals += (seen.frames_total, seen.frames_decoded, seen.frames_scored)
    total, decoded, scored = (int(value) for value in totals)
    return Watched(name, tuple(alarms), tuple(points), total, decoded, scored, parts.pipeline.judge.version)


def with_bound(parts: Assembled, null_bound: float | None) -> Assembled:
    """With another null bound than the card's."""
    if null_bound is None:
        return parts
    judge = parts.pipeline.judge
    judge = replace(judge, calibration=replace(judge.calibration, null_bound=null_bound))
    return replace(parts, pipeline=replace(parts.pipeline, judge=judge))


def waits_of(plan: Plan, seen: Watched) -> list[tuple[Stretch, float]]:
    """Each stretch with the seconds from its beginning to its alarm; infinite where none came."""
    return [(stretch, min(_inside(stretch, seen), default=float("inf"))) for stretch in plan.stretches]


def figures(coverage: str, runs: Sequence[tuple[Plan, Watched]]) -> Figures:
    waits = [pair for plan, seen in runs for pair in waits_of(plan, seen)]
    caught = sum(len(_inside(stretch, seen)) for plan, seen in runs for stretch in plan.stretches)
    wrong = sum(len(seen.alarms_s) for _, seen in runs) - caught
    forged_s = sum(stretch.length_s + GRACE_S for plan, _ in runs for stretch in plan.stretches)
    seconds = sum(plan.seconds for plan, _ in runs)
    hours = (seconds - forged_s) / 3600
    low, high = garwood(wrong)
    total = max(1, sum(seen.frames_total for _, seen in runs))
    return Figures(
        coverage=coverage,
        streams=len(runs),
        real_hours=hours,
        false_alarms=wrong,
        per_hour=wrong / hours,
        interval=(low / hours, high / hours),
        forged=tuple(_found(length, waits) for length in LENGTHS_S),
        frames_decoded=sum(seen.frames_decoded for _, seen in runs) / total,
        frames_scored=sum(seen.frames_scored for _, seen in runs) / total,
    )


def write_watched(path: Path, seen: Watched) -> None:
    path.write_text(json.dumps(asdict(seen)), "utf-8")


def read_watched(path: Path) -> Watched | None:
    """None where there is none."""
    if not path.exists():
        return None
    facts = json.loads(path.read_text("utf-8"))
    points = tuple(Point(**point) for point in facts.pop("points"))
    return Watched(**{**facts, "alarms_s": tuple(facts["alarms_s"]), "points": points})


def _inside(stretch: Stretch, seen: Watched) -> list[float]:
    """Waits of the alarms that a stretch caused."""
    caused = (at_s for at_s in seen.alarms_s if stretch.start_s < at_s <= stretch.end_s + GRACE_S)
    return [at_s - stretch.start_s for at_s in caused]


def _found(length_s: float, waits: Iterable[tuple[Stretch, float]]) -> Found:
    mine = np.array([wait for stretch, wait in waits if stretch.length_s == length_s])
    found = int(np.isfinite(mine).sum())
    median, p90 = (censored(mine, part) if len(mine) else None for part in (0.5, 0.9))
    return Found(length_s, len(mine), found, median, p90)
