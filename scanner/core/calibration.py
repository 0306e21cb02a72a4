"""From a model's logit to a score that means the same for a sharp face and for a poor one."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logit to score: score = 1 / (1 + exp(−(slope · (logit − shift) + bias))), fitted on held-out people.

    The shift is that of the face's quality. Detectors answer by quality where they see nothing: without it the poorest
    real videos set the thresholds for all.
    """

    slope: float = 1.0
    bias: float = 0.0
    null_bound: float = 0.35
    """mean score that a stream of a real face does not exceed (upper conformal quantile)"""
    buckets: tuple[Bucket, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of every number in it."""
        return digest(repr(self))

    def score(self, logit: float, quality: Quality) -> float:
        """Calibrated suspicion in [0, 1], rounded to a millionth."""
        power = self.slope * (logit - self.shift(quality)) + self.bias
        return round(1.0 / (1.0 + math.exp(-min(60.0, max(-60.0, power)))), 6)

    def shift(self, quality: Quality) -> float:
        """That of the face's bucket; 0 outside all of them."""
        return next((bucket.shift for bucket in self.buckets if quality in bucket), 0.0)
