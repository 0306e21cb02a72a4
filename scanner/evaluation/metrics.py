"""Figures of a binary detector. Scores grow with suspicion; labels are 1 for fakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Scores: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]


def auc(scores: Scores, labels: Labels) -> float:
    """Area under the ROC: how often a fake scores above a real clip, ties half. NaN without both classes."""
    if not _both(labels):
        return float("nan")
    fakes, reals = scores[labels == 1], scores[labels == 0]
    order = np.sort(reals)
    below = np.searchsorted(order, fakes, side="left")
    ties = np.searchsorted(order, fakes, side="right") - below
    return float((below + ties / 2).sum() / (len(fakes) * len(reals)))


def _both(labels: Labels) -> bool:
    return bool((labels == 1).any() and (labels == 0).any())


def roc(scores: Scores, labels: Labels) -> tuple[Scores, Scores]:
    """False and true positive rates, from the strictest threshold to the laxest."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order] == 1)
    alarms = np.cumsum(labels[order] == 0)
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    fpr = np.concatenate([[0.0], alarms[last] / max(int((labels == 0).sum()), 1)])
    tpr = np.concatenate([[0.0], hits[last] / max(int((labels == 1).sum()), 1)])
    return fpr, tpr


def eer(scores: Scores, labels: Labels) -> float:
    """The error rate where misses and false alarms are equal. NaN without both classes."""
    if not _both(labels):
        return float("nan")
    fpr, tpr = roc(scores, labels)
    gap = fpr - (1 - tpr)
    place = int(np.argmax(gap >= 0))
    if place == 0:
        return float(fpr[0])
    share = gap[place - 1] / (gap[place - 1] - gap[place])
    return float(fpr[place - 1] + share * (fpr[place] - fpr[place - 1]))


def average_precision(scores: Scores, labels: Labels) -> float:
    """Mean precision over the fakes, ranked by score; ties share the rank of their last. NaN without both classes."""
    if not _both(labels):
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(labels[order] == 1)[last]
    precision = hits / (last + 1)
    return float((precision * np.diff(np.concatenate([[0], hits]))).sum() / max(int(hits[-1]), 1))


def tpr_at(scores: Scores, labels: Labels, fpr: float) -> float:
    """Largest share of fakes found at no more than `fpr` false alarms. NaN without both classes."""
    if not _both(labels):
        return float("nan")
    false, true = roc(scores, labels)
    return float(true[false <= fpr + 1e-12].max())


def ece(probabilities: Scores, labels: Labels, bins: int = 10) -> float:
    """Expected calibration error over equally wide bins."""
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    total = 0.0
    for number in range(bins):
        inside = place == number
        if inside.any():
            total += inside.mean() * abs(probabilities[inside].mean() - labels[inside].mean())
    return float(total)


def bootstrap(
    figure: Callable[[Scores, Labels], float], scores: Scores, labels: Labels, clusters: list[str], rounds: int = 500
) -> tuple[float, float]:
    """95 % interval of `figure` when whole clusters (sources, persons) are drawn again with replacement."""
    rng = np.random.default_rng(0)
    names, place = np.unique(np.array(clusters), return_inverse=True)
    members = [np.flatnonzero(place == number) for number in range(len(names))]
    values = []
    for _ in range(rounds):
        rows = np.concatenate([members[number] for number in rng.integers(0, len(names), len(names))])
        value = figure(scores[rows], labels[rows])
        if np.isfinite(value):
            values.append(value)
    if not values:
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def pair_accuracy(scores: dict[str, float], pairs: list[tuple[str, str]]) -> float:
    """Share of (fake, own original) pairs in which the fake scores higher, ties half."""
    if not pairs:
        return float("nan")
    wins = [(scores[fake] > scores[real]) + 0.5 * (scores[fake] == scores[real]) for fake, real in pairs]
    return float(np.mean(wins))


def sigmoid(logits: Scores) -> Scores:
    """1 / (1 + exp(−x))."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -60, 60))), np.float64)
