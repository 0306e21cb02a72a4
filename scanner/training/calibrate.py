"""From logits to calibrated scores and conformal thresholds, on people who were never trained on.

held-out real clips ──────────┬─▶ thresholds: at most 5 % and 1 % of real videos above
forgeries of the same people ─┴─▶ slope and bias: Platt's fit with both classes weighing alike
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from scanner.evaluation.metrics import sigmoid

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fit:
    """What the card carries."""

    slope: float
    bias: float
    null_bound: float
    suspected_from: float
    manipulated_from: float
    real_clips: int
    people: int

    @property
    def statement(self) -> str:
        """The thresholds' basis in words."""
        return (
            f"{self.real_clips} real videos of {self.people} people who were never trained on; people weigh alike. "
            "suspected_from leaves at most 5 % of real videos above. manipulated_from lies above every one of them: "
            f"with {self.people} people a 1 % quantile cannot be told from the largest score, so the true share of "
            "real videos above it is only known to be small."
        )


def fit(real: Floats, people: list[str], fake: Floats) -> Fit:
    """Slope, bias and thresholds.

    Args:
        real: (n,) logits of held-out real videos, the mean over the clips of each.
        people: (n,) who is in each.
        fake: (m,) logits of forgeries made from such videos.
    """
    slope, bias = platt(real, fake)
    scores = sigmoid(slope * real + bias)
    weights = people_weights(people)
    suspected = upper_quantile(scores, weights, 0.05)
    manipulated = float(scores.max()) + 1e-4
    return Fit(
        slope=slope,
        bias=bias,
        null_bound=float(np.clip(upper_quantile(scores, weights, 0.05), 0.05, 0.95)),
        suspected_from=min(suspected, 0.999),
        manipulated_from=min(max(manipulated, suspected), 0.999),
        real_clips=len(real),
        people=len(set(people)),
    )


def platt(real: Floats, fake: Floats) -> tuple[float, float]:
    """Slope and bias that minimise the log loss when real and fake weigh alike."""

    def loss(values: Floats) -> float:
        slope, bias = np.exp(values[0]), values[1]
        return float(np.logaddexp(0, slope * real + bias).mean() + np.logaddexp(0, -slope * fake - bias).mean())

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-6, "fatol": 1e-9})
    return float(np.exp(found.x[0])), float(found.x[1])


def people_weights(people: list[str]) -> Floats:
    """(n,) weights that sum to one and give each person the same share."""
    counts = {person: people.count(person) for person in set(people)}
    return np.array([1 / (counts[person] * len(counts)) for person in people])


def upper_quantile(scores: Floats, weights: Floats, alpha: float) -> float:
    """The smallest threshold with at most `alpha` of the weight at or above it, one unseen video counted in.

    The weighted form of split conformal prediction: the new video gets the mean weight and the largest score.
    """
    order = np.argsort(-scores)
    new = 1 / len(scores)
    above = (np.cumsum(weights[order]) + new) / (1 + new)
    inside = np.flatnonzero(above > alpha)
    return float(scores[order[inside[0]]]) + 1e-6 if len(inside) else float(scores.min())
