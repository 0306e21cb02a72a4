"""One face over a whole path: its score, its measured quality and the moments that people should look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from scanner.core.summary import path_score
from scanner.core.types import Label, Quality, Reason, SpanScore, TrackVerdict, Verdict
from scanner.report.model import Look, Thresholds

UNSEEN_MS = 5_000  # a patrol looks every few seconds; longer apart are two stretches


@dataclass(frozen=True, slots=True)
class Face:
    """What is said of one face."""

    track_id: str
    number: int
    """1 for the first that appeared"""
    label: Label
    score: float | None
    spans: tuple[SpanScore, ...]
    """of the segments in which it could be judged"""
    suspicious: tuple[SpanScore, ...]
    """runs of clips at or above `suspected_from`, with no calm clip in between"""
    frames_scored: int
    evidence: float
    quality: Quality
    reasons: tuple[Reason, ...]
    looks: tuple[Look, ...]
    first_ms: int
    last_ms: int


def faces_of(verdicts: Sequence[Verdict], looks: Iterable[Look], thresholds: Thresholds) -> tuple[Face, ...]:
    """Most suspicious first; those that could not be judged last."""
    seen: dict[str, list[tuple[Verdict, TrackVerdict]]] = {}
    for verdict in verdicts:
        for track in verdict.tracks:
            seen.setdefault(track.track_id, []).append((verdict, track))
    shown: dict[str, list[Look]] = {}
    for look in looks:
        shown.setdefault(look.track_id, []).append(look)
    faces = [
        _face(number, track_id, appearances, shown.get(track_id, []), thresholds)
        for number, (track_id, appearances) in enumerate(seen.items(), 1)
    ]
    return tuple(sorted(faces, key=lambda face: (face.score is None, -(face.score or 0.0), face.number)))


def _face(
    number: int,
    track_id: str,
    appearances: Sequence[tuple[Verdict, TrackVerdict]],
    looks: Sequence[Look],
    thresholds: Thresholds,
) -> Face:
    tracks = [track for _, track in appearances]
    spans = tuple(span for track in tracks if track.score is not None for span in track.spans)
    frames = sum(track.frames_scored for track in tracks if track.score is not None)
    score = path_score(spans, frames, thresholds.caution) if spans else None
    return Face(
        track_id=track_id,
        number=number,
        label=thresholds.label(score),
        score=score,
        spans=spans,
        suspicious=runs(spans, thresholds.suspected_from),
        frames_scored=sum(track.frames_scored for track in tracks),
        evidence=max(track.evidence for track in tracks),
        quality=_typical([track.quality for track in tracks]),
        reasons=tuple(dict.fromkeys(reason for track in tracks for reason in track.reasons)),
        looks=tuple(sorted(looks, key=lambda look: look.start_ms)),
        first_ms=appearances[0][0].start_ms,
        last_ms=appearances[-1][0].end_ms,
    )


def _typical(qualities: Sequence[Quality]) -> Quality:
    """The median of each measure over the segments."""
    return Quality(
        face_px=round(median(q.face_px for q in qualities)),
        sharpness=round(median(q.sharpness for q in qualities), 4),
        brightness=round(median(q.brightness for q in qualities), 4),
        frontality=round(median(q.frontality for q in qualities), 4),
        bitrate_kbps=round(median(q.bitrate_kbps for q in qualities)),
    )


def runs(spans: Iterable[SpanScore], least: float) -> tuple[SpanScore, ...]:
    """Neighbouring spans at or above `least` as one, with the highest of their scores.

    On patrol there are seconds between two clips that nobody looked at; a run goes on across them.
    """
    joined: list[SpanScore] = []
    last_end: int | None = None
    for span in sorted(spans, key=lambda span: (span.start_ms, span.end_ms)):
        if span.score < least:
            last_end = None
            continue
        if last_end is not None and span.start_ms - last_end <= UNSEEN_MS:
            run = joined.pop()
            joined.append(SpanScore(run.start_ms, max(run.end_ms, span.end_ms), max(run.score, span.score)))
        else:
            joined.append(span)
        last_end = joined[-1].end_ms
    return tuple(joined)


def together(spans: Iterable[SpanScore]) -> tuple[SpanScore, ...]:
    """Spans of several faces as stretches that do not overlap."""
    joined: list[SpanScore] = []
    for span in sorted(spans, key=lambda span: (span.start_ms, span.end_ms)):
        if joined and span.start_ms <= joined[-1].end_ms:
            last = joined.pop()
            joined.append(SpanScore(last.start_ms, max(last.end_ms, span.end_ms), max(last.score, span.score)))
        else:
            joined.append(span)
    return tuple(joined)


def slots(looks: Sequence[Look], duration_ms: int, count: int) -> tuple[Look | None, ...]:
    """The most suspicious look of each of `count` equal parts of the time, or one that reaches into it."""
    part = max(1.0, duration_ms / count)
    shown: list[Look | None] = []
    for place in range(count):
        start, end = place * part, (place + 1) * part
        inside = [look for look in looks if start <= (look.start_ms + look.end_ms) / 2 < end]
        touching = [look for look in looks if look.start_ms < end and start < look.end_ms]
        shown.append(max(inside or touching, key=lambda look: look.score, default=None))
    return tuple(shown)


def worst(looks: Iterable[Look], count: int) -> tuple[Look, ...]:
    """The `count` most suspicious looks, most suspicious first; of one moment only one is taken."""
    taken: list[Look] = []
    for look in sorted(looks, key=lambda look: (-look.score, look.start_ms)):
        overlaps = any(
            look.track_id == other.track_id and look.start_ms < other.end_ms and other.start_ms < look.end_ms
            for other in taken
        )
        if not overlaps:
            taken.append(look)
        if len(taken) == count:
            break
    return tuple(taken)
