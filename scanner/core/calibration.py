"""From a model's logit to a score that means the same for sharp faces and poor ones, for long looks and short ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scanner.core.identity import digest
from scanner.core.types import Quality


@dataclass(frozen=True, slots=True)
class Bucket:
    """Real faces of one quality. A face belongs to the first bucket of whose bounds it is below both."""

    shift: float
    """how much higher the model's logits of real people are here, at the quantile that "suspected" stands on"""
    face_px_below: float = math.inf
    """pixels, longer side of the face box"""
    sharpness_below: float = math.inf
    """in [0, 1], see vision.sharpness"""

    def __contains__(self, quality: Quality) -> bool:
        return quality.face_px < self.face_px_below and quality.sharpness < self.sharpness_below


Measure = Literal["face_px", "sharpness", "brightness"]


@dataclass(frozen=True, slots=True)
class Range:
    """What one measure of the real faces behind the thresholds lay between. Beyond it, nothing is known of a score."""

    measure: Measure
    """as Quality calls it, in its unit"""
    least: float
    most: float

    def __post_init__(self) -> None:
        if not self.least <= self.most:
            raise ValueError(f"the range of {self.measure} must rise, got {self.least} to {self.most}")

    def __contains__(self, quality: Quality) -> bool:
        value: float = getattr(quality, self.measure)
        return self.least <= value <= self.most


MOST_ODDS = 60.0  # log-odds beyond which a score is 0 or 1 to the last digit


@dataclass(frozen=True, slots=True)
class Caution:
    """Less is said of a face of which little was seen: real people score high in one clip more often than in many."""

    frames_below: int
    """frames that were scored"""
    odds: float
    """taken off the log-odds of the score"""

    def __post_init__(self) -> None:
        if self.frames_below <= 0 or not 0 <= self.odds <= MOST_ODDS:
            wanted = f"frames_below > 0 and odds in [0, {MOST_ODDS:g}]"
            raise ValueError(f"caution needs {wanted}, got {self.frames_below} and {self.odds}")


def cautious(score: float, frames: int, cautions: Sequence[Caution]) -> float:
    """The score in [0, 1] of a face of which `frames` frames were scored; the first caution that it is below counts."""
    odds = next((caution.odds for caution in cautions if frames < caution.frames_below), 0.0)
    if not odds or score in (0.0, 1.0):
        return score
    return round(1.0 / (1.0 + (1.0 - score) / score * math.exp(odds)), 6)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logit to score: score = 1 / (1 + exp(−(slope · (logit − shift) + bias))), fitted on held-out people.

    The shift is that of the face's quality. Detectors answer by quality where they see nothing: without it the poorest
    real videos set the thresholds for all.
    """

    slope: float = 1.0
    bias: float = 0.0
    null_bound: float = 0.35
    """mean score that a stream of a real face does not exceed (an upper quantile of held-out ones)"""
    buckets: tuple[Bucket, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of every number in it."""
        return digest(repr(self))

    def score(self, logit: float, quality: Quality) -> float:
        """Calibrated suspicion in [0, 1], rounded to a millionth."""
        power = self.slope * (logit - self.shift(quality)) + self.bias
        return round(1.0 / (1.0 + math.exp(-min(MOST_ODDS, max(-MOST_ODDS, power)))), 6)

    def shift(self, quality: Quality) -> float:
        """That of the face's bucket; 0 outside all of them."""
        return next((bucket.shift for bucket in self.buckets if quality in bucket), 0.0)
