"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from scanner.core.calibration import Caution
from scanner.core.policy import Policy
from scanner.core.summary import Summary
from scanner.core.types import Label, Verdict


@dataclass(frozen=True, slots=True)
class Look:
    """One clip as people see it."""

    track_id: str
    start_ms: int
    """media time of the stream"""
    end_ms: int
    score: float
    """calibrated, in [0, 1]"""
    jpeg: bytes = field(repr=False)
    """the face, at most pictures.FACE_PX wide"""
    frame_scores: tuple[float, ...] = ()
    """(T,) in [0, 1]"""
    heat: bytes | None = field(default=None, repr=False)
    """JPEG strip of the clip's frames with the model's map over them; only the most suspicious clips have one"""


@dataclass(frozen=True, slots=True)
class PathReport:
    """Everything the page says about one path."""

    summary: Summary
    verdicts: tuple[Verdict, ...]
    looks: tuple[Look, ...] = ()
    refused: tuple[str, ...] = ()
    """one line for each segment that got no verdict"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Which scores carry which word (the policy's)."""

    suspected_from: float
    manipulated_from: float
    caution: tuple[Caution, ...] = ()
    """what scores of few frames are lowered by"""

    @classmethod
    def of(cls, policy: Policy) -> Thresholds:
        return cls(policy.suspected_from, policy.manipulated_from, policy.caution)

    def __post_init__(self) -> None:
        if not 0 <= self.suspected_from <= self.manipulated_from <= 1:
            raise ValueError(f"thresholds must rise within [0, 1], got {self}")

    def label(self, score: float | None) -> Label:
        if score is None:
            return Label.INSUFFICIENT_EVIDENCE
        if score >= self.manipulated_from:
            return Label.MANIPULATED
        return Label.SUSPECTED if score >= self.suspected_from else Label.NO_MANIPULATION_FOUND


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the model's card says about how far to trust it."""

    name: str
    sha256: str
    description: str = ""
    fpr_suspected: float | None = 0.05
    """share of real people at or above `suspected_from`, as the card bounds it; None when the policy moved the line"""
    fpr_manipulated: float | None = 0.01
    real_videos: int | None = None
    """held-out real videos behind the two bounds"""
    basis: str = ""
    """what those videos are, in the card's words"""
    tpr_suspected: float | None = None
    """share of forgeries found at that line, where it was measured"""
    tpr_manipulated: float | None = None
    measured: tuple[tuple[str, str], ...] = ()
    """(what, figure) lines from the card"""
