"""Edges of the sequential test: raised when a stream's evidence crosses the alarm level, cleared when calm returns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from scanner.core.evidence import alarm_level, averaged, combined
from scanner.core.types import Alert, Edge, TrackState, Verdict


def edges(
    here: list[TrackState],
    away: Iterable[TrackState],
    gone: Iterable[TrackState],
    verdict: Verdict,
    *,
    false_alarms_per_1000_h: float,
    clips_per_second: float,
    clear_clips: int,
) -> tuple[list[TrackState], tuple[Alert, ...]]:
    """The faces of a segment after it, and the edges that it causes.

    A face alerts when its own evidence and the average over all faces of the stream reach the level: an average of
    e-values is one, so the promise is kept for the stream, however many faces are in it.

    Args:
        away: faces that are still remembered.
        gone: faces that are forgotten from now on; their alerts are over.
    """
    level = alarm_level(false_alarms_per_1000_h, clips_per_second)
    together = averaged([combined(track.evidence) for track in (*here, *away)])
    after, alerts = [], []
    for track in here:
        evidence = combined(track.evidence)
        if not track.alerted and min(evidence, together) >= level:
            alerts.append(_alert(Edge.RAISED, track, evidence, verdict))
            track = replace(track, alerted=True)  # noqa: PLW2901 - the loop's own value, passed on
        elif track.alerted and track.calm_clips >= clear_clips:
            alerts.append(_alert(Edge.CLEARED, track, evidence, verdict))
            track = replace(track, alerted=False, evidence=(), calm_clips=0)  # noqa: PLW2901 - the same
        after.append(track)
    over = [_alert(Edge.CLEARED, track, combined(track.evidence), verdict) for track in gone if track.alerted]
    return after, (*alerts, *over)


def _alert(edge: Edge, track: TrackState, evidence: float, verdict: Verdict) -> Alert:
    spans = next((face.spans for face in verdict.tracks if face.track_id == track.track_id), ())
    return Alert(
        alert_id=hashlib.sha256(f"{verdict.verdict_id}\n{track.track_id}\n{edge}".encode()).hexdigest()[:32],
        edge=edge,
        stream_id=verdict.stream_id,
        track_id=track.track_id,
        sequence=verdict.sequence,
        at_ms=verdict.end_ms,
        evidence=evidence,
        spans=spans,
        verdict_id=verdict.verdict_id,
    )
