"""Conclude: what is remembered, seen and scored, to one verdict. Pure, so replayable bit for bit.

StreamState, Segment, Observation, ClipScores ──conclude──▶ Verdict, Alerts, StreamState'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scanner.core.alerts import edges
from scanner.core.calibration import Calibration, cautious
from scanner.core.evidence import combined, updated
from scanner.core.identity import identity
from scanner.core.joining import apart, joined
from scanner.core.policy import Policy, label_of, refusals, reservations
from scanner.core.types import (
    Alert,
    ClipScore,
    Label,
    Mode,
    ModelRef,
    Observation,
    Provenance,
    Reason,
    Segment,
    SpanScore,
    StreamState,
    Tally,
    Tier,
    Tracklet,
    TrackState,
    TrackVerdict,
    Verdict,
)

FRAMES_PER_SECOND = 30  # for which the promise of false alarms an hour is kept


@dataclass(frozen=True, slots=True)
class Judge:
    """Everything that stays the same between two segments."""

    policy: Policy
    calibration: Calibration
    model: ModelRef
    version: str = ""
    """of the code, as verdicts tell it"""
    clip_length: int = 16
    """frames in a clip, from the model's card: how many of them make an hour"""


@dataclass(frozen=True, slots=True)
class Conclusion:
    verdict: Verdict
    alerts: tuple[Alert, ...]
    state: StreamState


def conclude(
    state: StreamState, segment: Segment, seen: Observation, scores: Sequence[ClipScore], judge: Judge
) -> Conclusion:
    """The one verdict on a segment, the edges it causes and what to remember of the stream.

    A segment whose sequence was concluded before is judged by itself and changes nothing that is remembered.
    """
    repeated = segment.sequence < state.next_sequence
    start = StreamState(segment.stream_id) if repeated else state
    reasons = [*seen.reasons]
    if repeated:
        reasons.append(Reason.REPEATED_SEQUENCE)
    elif segment.sequence > state.next_sequence:
        reasons.append(Reason.SEQUENCE_GAP)
    if start.mode is Mode.INSPECT and seen.tally.mode is Mode.PATROL and seen.tally.frames_decoded:
        reasons.append(Reason.INSPECTION_WITHHELD)
    if segment.end_of_stream and Reason.NO_VIDEO in reasons:
        reasons.append(Reason.END_OF_STREAM)
    known, next_track = joined(start, segment, seen)
    faces = [
        _face(known[tracklet.index], tracklet, segment, seen.duration_ms, scores, judge) for tracklet in seen.tracklets
    ]
    verdict = _verdict(segment, seen, [each.verdict for each in faces], reasons, scores, judge)
    if repeated:
        return Conclusion(verdict, (), state)
    here = [each.track for each in faces]
    away, gone = apart(start, here, verdict.end_ms)
    after, alerts = edges(
        here,
        away,
        gone,
        verdict,
        false_alarms_per_1000_h=judge.policy.false_alarms_per_1000_h,
        clips_per_second=FRAMES_PER_SECOND / judge.clip_length,
        clear_clips=judge.policy.clear_clips,
    )
    tracks = (*after, *away)
    rising = any(_rising(each, judge.policy) for each in faces)
    return Conclusion(verdict, alerts, _remember(start, segment, seen, tracks, next_track, judge.policy, rising=rising))


def nothing_seen(mode: Mode) -> Observation:
    """The observation of a segment without any video."""
    return Observation(1, 0, 0, "", Tally(0, 0, 0, 0, mode), reasons=(Reason.NO_VIDEO,))


def verdict_id(segment: Segment, mode: Mode, judge: Judge) -> str:
    """32 hex digits: the same stream, place, bytes, coverage, model and policy always give the same."""
    return identity(segment.stream_id, segment.sequence, segment.sha256, mode, judge.model.sha256, judge.policy.sha256)


# One face.


@dataclass(frozen=True, slots=True)
class _Face:
    verdict: TrackVerdict
    track: TrackState
    suspicion: float | None
    """its score before caution, which is what asks for a closer look"""


def _face(
    known: TrackState,
    tracklet: Tracklet,
    segment: Segment,
    duration_ms: int,
    scores: Sequence[ClipScore],
    judge: Judge,
) -> _Face:
    mine = [clip for clip in scores if clip.tracklet == tracklet.index]
    frames_scored = sum(len(clip.frame_logits) - clip.repeats for clip in mine)
    reasons = refusals(tracklet.quality, frames_scored, judge.policy)
    spans = tuple(
        SpanScore(
            segment.start_ms + clip.start_ms,
            segment.start_ms + max(clip.start_ms + 1, min(clip.end_ms, duration_ms)),
            judge.calibration.score(clip.logit, tracklet.quality),
        )
        for clip in mine
    )
    track = replace(known, box=tracklet.last_box, seen_ms=segment.start_ms + tracklet.end_ms)
    score = suspicion = None
    if not reasons:
        suspicion = judge.calibration.score(float(np.mean([clip.logit for clip in mine])), tracklet.quality)
        score = cautious(suspicion, frames_scored, judge.policy.caution)
        reasons = reservations(tracklet.quality, judge.policy)
        for clip, span in zip(mine, spans, strict=True):
            if not clip.repeats:
                track = _weighed(track, span.score, judge)
    face = TrackVerdict(
        track_id=track.track_id,
        label=label_of(score, judge.policy),
        score=score,
        evidence=combined(track.evidence),
        frames_scored=frames_scored,
        spans=spans,
        box=tracklet.box,
        quality=tracklet.quality,
        reasons=reasons,
    )
    return _Face(face, track, suspicion)


def _weighed(track: TrackState, score: float, judge: Judge) -> TrackState:
    bound = judge.calibration.null_bound
    calm = track.calm_clips + 1 if score <= bound else 0
    return replace(track, evidence=updated(track.evidence, score, bound), calm_clips=calm)


def _rising(face: _Face, policy: Policy) -> bool:
    """Whether the face asks for a closer look."""
    suspicious = face.suspicion is not None and face.suspicion >= policy.suspected_from
    return suspicious or face.verdict.evidence >= policy.inspect_from


# The segment.


def _verdict(
    segment: Segment,
    seen: Observation,
    faces: list[TrackVerdict],
    reasons: list[Reason],
    scores: Sequence[ClipScore],
    judge: Judge,
) -> Verdict:
    judged = [face for face in faces if face.score is not None]
    score = max((face.score for face in judged if face.score is not None), default=None)
    reasons = [*reasons, *(reason for face in judged or faces for reason in face.reasons)]
    label = label_of(score, judge.policy)
    frames_scored = sum(len(clip.frame_logits) - clip.repeats for clip in scores)
    return Verdict(
        verdict_id=verdict_id(segment, seen.tally.mode, judge),
        stream_id=segment.stream_id,
        sequence=segment.sequence,
        start_ms=segment.start_ms,
        end_ms=segment.start_ms + seen.duration_ms,
        label=label,
        score=score,
        reasons=tuple(dict.fromkeys(reasons)),
        tracks=tuple(faces),
        provenance=_provenance(segment, label),
        coverage=replace(seen.tally, frames_scored=frames_scored),
        model=judge.model,
        policy_sha256=judge.policy.sha256,
        sandbox=seen.sandbox,
        payload_sha256=segment.sha256,
        version=judge.version,
    )


def _provenance(segment: Segment, label: Label) -> Provenance:
    """What was found; what was declared is read and weighed above the core (see scanner.provenance)."""
    found = label in {Label.MANIPULATED, Label.SUSPECTED}
    return Provenance(segment.declared.aigc, segment.declared.c2pa, Tier.SUSPECTED if found else Tier.NONE)


# Memory.


def _remember(
    state: StreamState,
    segment: Segment,
    seen: Observation,
    tracks: tuple[TrackState, ...],
    next_track: int,
    policy: Policy,
    *,
    rising: bool,
) -> StreamState:
    calm = 0 if rising else state.calm_segments + 1
    mode = Mode.INSPECT if rising or (state.mode is Mode.INSPECT and calm < policy.calm_segments) else Mode.PATROL
    return StreamState(
        stream_id=segment.stream_id,
        next_sequence=segment.sequence + 1,
        next_track=next_track,
        mode=mode,
        calm_segments=calm,
        tracks=tracks,
        closing=seen.closing,
    )
