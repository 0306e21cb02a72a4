"""The nouns every floor shares: frozen, checked at birth, with the unit or shape under each field.

Segment ──observe──▶ Observation + Clips ──score──▶ ClipScores ──conclude──▶ Verdict, Alerts, StreamState
"""

from __future__ import annotations

from scanner.core.types.judged import (
    Alert,
    Edge,
    Label,
    ModelRef,
    Provenance,
    Source,
    SpanScore,
    StreamState,
    Tier,
    Timing,
    TrackState,
    TrackVerdict,
    Verdict,
)
from scanner.core.types.seen import (
    Box,
    Claim,
    Clip,
    ClipScore,
    ClipSpec,
    Declared,
    Detections,
    Floats,
    Mode,
    Observation,
    Pixels,
    Quality,
    Reason,
    Segment,
    Tally,
    Tracklet,
)

__all__ = [
    "Alert",
    "Box",
    "Claim",
    "Clip",
    "ClipScore",
    "ClipSpec",
    "Declared",
    "Detections",
    "Edge",
    "Floats",
    "Label",
    "Mode",
    "ModelRef",
    "Observation",
    "Pixels",
    "Provenance",
    "Quality",
    "Reason",
    "Segment",
    "Source",
    "SpanScore",
    "StreamState",
    "Tally",
    "Tier",
    "Timing",
    "TrackState",
    "TrackVerdict",
    "Tracklet",
    "Verdict",
]
