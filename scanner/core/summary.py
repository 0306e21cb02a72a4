"""Many verdicts on one path to one line: the most suspicious face, and when."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from scanner.core.calibration import Caution, cautious
from scanner.core.policy import Policy, label_of
from scanner.core.types import Label, Reason, SpanScore, Verdict

STRETCH_SHARE = 0.02
LEAST_MS = 3_200


@dataclass(frozen=True, slots=True)
class Summary:
    """The line `scan` prints after the last segment of a path."""

    uri: str
    label: Label
    score: float | None
    """calibrated, in [0, 1]; of the most suspicious face over the whole path (see path_score)"""
    spans: tuple[SpanScore, ...]
    """stretches at or above `suspected_from`, media time"""
    duration_ms: int
    faces: int
    reasons: tuple[Reason, ...] = ()
    type: Literal["summary"] = "summary"


def path_score(clips: Sequence[SpanScore], frames: int, caution: Sequence[Caution] = ()) -> float:
    """The score of one face over a whole path, from its clips in time order; at least one.

    Args:
        frames: that were scored in all of the clips.
        caution: what the score of a stretch of few frames is lowered by.

    A face is as suspicious as its most suspicious stretch: the highest mean, in log-odds, of consecutive clips that
    make up a fiftieth of its time, at least 3.2 s of them. So a short forgery in a long video is not averaged
    away, and no single clip decides. A face that is seen for less has the plain mean.
    """
    odds = [_log_odds(clip.score) for clip in clips]
    clip_ms = max(1.0, statistics.median(clip.end_ms - clip.start_ms for clip in clips))
    width = min(len(odds), max(math.ceil(LEAST_MS / clip_ms), math.ceil(len(odds) * STRETCH_SHARE)))
    sums = list(itertools.accumulate(odds, initial=0.0))
    best = max(sums[end] - sums[end - width] for end in range(width, len(odds) + 1)) / width
    return cautious(round(1 / (1 + math.exp(-best)), 6), round(frames * width / len(odds)), caution)


def summarise(uri: str, verdicts: Iterable[Verdict], policy: Policy) -> Summary:
    """One summary of a path's verdicts, in order. A face without a sufficient clip does not count."""
    clips: dict[str, list[SpanScore]] = {}
    frames: dict[str, int] = {}
    faces: set[str] = set()
    reasons: list[Reason] = []
    duration_ms = 0
    for verdict in verdicts:
        duration_ms = max(duration_ms, verdict.end_ms)
        reasons.extend(verdict.reasons)
        for face in verdict.tracks:
            faces.add(face.track_id)
            if face.score is not None:
                clips.setdefault(face.track_id, []).extend(face.spans)
                frames[face.track_id] = frames.get(face.track_id, 0) + face.frames_scored
    scores = [path_score(spans, frames[face], policy.caution) for face, spans in clips.items()]
    score = max(scores, default=None)
    return Summary(
        uri=uri,
        label=label_of(score, policy),
        score=score,
        spans=suspicious_spans((span for spans in clips.values() for span in spans), policy.suspected_from),
        duration_ms=duration_ms,
        faces=len(faces),
        reasons=tuple(dict.fromkeys(reasons)),
    )


def suspicious_spans(spans: Iterable[SpanScore], least: float) -> tuple[SpanScore, ...]:
    """Spans that score at least `least`, joined where they touch; a joined span has the highest of their scores."""
    joined: list[SpanScore] = []
    for span in sorted((s for s in spans if s.score >= least), key=lambda s: (s.start_ms, s.end_ms)):
        if joined and span.start_ms <= joined[-1].end_ms:
            last = joined.pop()
            joined.append(SpanScore(last.start_ms, max(last.end_ms, span.end_ms), max(last.score, span.score)))
        else:
            joined.append(span)
    return tuple(joined)


def _log_odds(score: float) -> float:
    bounded = min(1 - 1e-6, max(1e-6, score))
    return math.log(bounded / (1 - bounded))
