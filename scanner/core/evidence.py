"""Sequential evidence per track: an e-detector that may be looked at after every clip.

Shin, Ramdas and Rinaldo (2023), "E-detectors: a nonparametric framework for sequential change detection"
(arXiv 2203.03532), in the form for bounded scores: if a real face's scores x in [0, 1] have a conditional mean of at
most m, then e = 1 + λ (x − m) is an e-value for every bet 0 < λ < 1/m, and

    M ← max(M, 1) · e          one M a bet; the evidence is the log of their mean

raises a false alarm at M ≥ 1/α on average not before 1/α clips. The promise is conditional on the bound m, which the
model's card measures on streams of real people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
"""λ as fractions of 1/m: small ones find faint and long forgeries, large ones strong and short ones"""


def updated(evidence: tuple[float, ...], score: float, null_bound: float) -> tuple[float, ...]:
    """Log e-values, one a bet, after one more clip.

    Args:
        evidence: log M a bet; empty before the first clip.
        score: the clip's calibrated score in [0, 1].
        null_bound: m, the mean score that real faces do not exceed, in (0, 1).
    """
    before = evidence or (0.0,) * len(BETS)
    surprise = score / null_bound - 1.0
    return tuple(
        round(max(logged, 0.0) + math.log1p(bet * surprise), 6) for logged, bet in zip(before, BETS, strict=True)
    )


def combined(evidence: tuple[float, ...]) -> float:
    """Log of the mean of the e-values over the bets; 0 without evidence, never below."""
    if not evidence:
        return 0.0
    top = max(evidence)
    return round(max(0.0, top + math.log(sum(math.exp(logged - top) for logged in evidence) / len(evidence))), 4)


def averaged(evidence: Sequence[float]) -> float:
    """Evidence of a stream: log of the mean of its faces' e-values; 0 without faces."""
    if not evidence:
        return 0.0
    top = max(evidence)
    return top + math.log(sum(math.exp(each - top) for each in evidence) / len(evidence))


def alarm_level(false_alarms_per_1000_h: float, clips_per_second: float) -> float:
    """The evidence at which to alarm so that faces that keep the null bound alarm at most this often."""
    clips = 1000 * 3600 * clips_per_second
    return math.log(max(1.0, clips / false_alarms_per_1000_h))
