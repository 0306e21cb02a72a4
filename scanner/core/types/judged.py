"""What is said of it, and what a stream is remembered by until its next segment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scanner.core.types.seen import Box, Mode, Quality, Reason, Tally


class Label(StrEnum):
    """A verdict's word. There is no "real": finding nothing proves nothing."""

    MANIPULATED = "manipulated"
    SUSPECTED = "suspected"
    NO_MANIPULATION_FOUND = "no_manipulation_found"
    INSUFFICIENT_EVIDENCE = "insufficient_evidence"


@dataclass(frozen=True, slots=True)
class TrackState:
    """What is remembered of a face between segments."""

    track_id: str
    box: Box
    """where it was last seen"""
    seen_ms: int
    """when it was last seen, media time of the stream"""
    evidence: tuple[float, ...] = ()
    """log e-values of the sequential test, one a bet (see core.evidence)"""
    calm_clips: int = 0
    """clips in a row under the null bound, for clearing an alert"""
    alerted: bool = False


@dataclass(frozen=True, slots=True)
class StreamState:
    """What is remembered of a stream between segments: a few hundred bytes."""

    stream_id: str
    next_sequence: int = 0
    next_track: int = 1
    mode: Mode = Mode.PATROL
    calm_segments: int = 0
    tracks: tuple[TrackState, ...] = ()
    closing: str = ""
    """luma of the last picture seen (see Observation)"""


@dataclass(frozen=True, slots=True)
class SpanScore:
    """A stretch of time and its calibrated score."""

    start_ms: int
    end_ms: int
    score: float


@dataclass(frozen=True, slots=True)
class TrackVerdict:
    """The verdict on one face in one segment."""

    track_id: str
    label: Label
    score: float | None
    """calibrated, in [0, 1]; None when the evidence is insufficient"""
    evidence: float
    """log of the sequential test's e-value; 0 is none (see core.evidence)"""
    frames_scored: int
    spans: tuple[SpanScore, ...]
    """one a clip, media time of the stream"""
    box: Box
    quality: Quality
    reasons: tuple[Reason, ...] = ()


class Tier(StrEnum):
    """Article 6 of China's labelling measures: what a platform has to say about an item."""

    NONE = "none"
    IS = "is"
    MAY_BE = "may_be"
    SUSPECTED = "suspected"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the item says of its own origin, beside what was found."""

    aigc: str | None = None
    c2pa: str | None = None
    tier: Tier = Tier.NONE
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class ModelRef:
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """Kafka coordinates of the segment a verdict answers."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds spent; the only fields of a verdict that may differ between two runs."""

    queued: int = 0
    observe: int = 0
    score: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one answer to a segment."""

    verdict_id: str
    """hash of stream, sequence, payload, model and policy: the same question has the same answer"""
    stream_id: str
    sequence: int
    start_ms: int
    end_ms: int
    label: Label
    score: float | None
    """calibrated, in [0, 1], of the most suspicious face; grows with suspicion; None when insufficient"""
    reasons: tuple[Reason, ...]
    tracks: tuple[TrackVerdict, ...]
    provenance: Provenance
    coverage: Tally
    model: ModelRef
    policy_sha256: str
    sandbox: tuple[str, ...] = ()
    source: Source | None = None
    timing_ms: Timing = Timing()
    payload_sha256: str = ""
    """of the segment's bytes; empty in verdicts of before it was kept"""
    version: str = ""
    """of the code that judged"""


class Edge(StrEnum):
    RAISED = "raised"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Alert:
    """An edge of the sequential test: evidence crossed the alarm level, or calm returned."""

    alert_id: str
    edge: Edge
    stream_id: str
    track_id: str | None
    """None speaks of the whole stream"""
    sequence: int
    at_ms: int
    """media time of the stream"""
    evidence: float
    spans: tuple[SpanScore, ...]
    verdict_id: str
