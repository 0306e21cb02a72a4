"""The operator's rules, and the words that follow from them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache

from scanner.core.calibration import Caution, Range
from scanner.core.identity import digest
from scanner.core.types import Label, Quality, Reason


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's rules. Its digest is part of every verdict."""

    suspected_from: float = 0.5
    """score at or above which a face is called suspected"""
    manipulated_from: float = 0.8
    """score at or above which a face is called manipulated"""
    min_face_px: int = 48
    min_sharpness: float = 0.15
    min_brightness: float = 0.06
    min_frontality: float = 0.0
    false_alarms_per_1000_h: float = 10.0
    inspect_from: float = 2.0
    """evidence (log e-value) at which a patrolled stream is inspected"""
    calm_segments: int = 5
    """calm segments in a row after which an inspected stream is patrolled again"""
    clear_clips: int = 20
    """clips in a row under the null bound after which an alert is cleared"""
    patrol_clips: int = 1
    """clips back to back in each look of a patrol (see clips.Pace)"""
    patrol_every_s: float = 0.0
    calibration: str = ""
    """digest of how the model's card makes scores of logits: the same graph may be calibrated anew"""
    caution: tuple[Caution, ...] = ()
    """what scores of few frames are lowered by, fewest first: from the model's card"""
    measured: tuple[Range, ...] = ()
    """what the real faces behind the thresholds were like: a face outside is judged with a reservation"""

    def __post_init__(self) -> None:
        if not 0 <= self.suspected_from <= self.manipulated_from <= 1:
            raise ValueError(
                f"thresholds must rise within [0, 1], got suspected_from={self.suspected_from} and "
                f"manipulated_from={self.manipulated_from}"
            )

    @property
    def text(self) -> str:
        """All rules as JSON, the text that the digest is of."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def sha256(self) -> str:
        return _digest_of(self)


@lru_cache(maxsize=16)
def _digest_of(policy: Policy) -> str:
    """Asked for with every verdict, and always of the same few policies."""
    return digest(policy.text)


def label_of(score: float | None, policy: Policy) -> Label:
    """The word for a calibrated score."""
    if score is None:
        return Label.INSUFFICIENT_EVIDENCE
    if score >= policy.manipulated_from:
        return Label.MANIPULATED
    return Label.SUSPECTED if score >= policy.suspected_from else Label.NO_MANIPULATION_FOUND


def refusals(quality: Quality, frames_scored: int, policy: Policy) -> tuple[Reason, ...]:
    """Why a face cannot be judged: measured quality only, never the model's own confidence."""
    if not frames_scored:
        small = (Reason.FACE_TOO_SMALL,) if quality.face_px < policy.min_face_px else ()
        return (*small, Reason.TOO_FEW_FRAMES)
    faults = {
        Reason.FACE_TOO_SMALL: quality.face_px < policy.min_face_px,
        Reason.TOO_BLURRY: quality.sharpness < policy.min_sharpness,
        Reason.TOO_DARK: quality.brightness < policy.min_brightness,
        Reason.PROFILE: quality.frontality < policy.min_frontality,
    }
    return tuple(reason for reason, holds in faults.items() if holds)


def reservations(quality: Quality, policy: Policy) -> tuple[Reason, ...]:
    """What is to be said of a face that could be judged."""
    return () if all(quality in span for span in policy.measured) else (Reason.OUT_OF_DOMAIN,)
