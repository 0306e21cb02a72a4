"""From a model's card to what the page says about how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scanner.inference.card import Card
from scanner.report.model import ModelFacts, Thresholds

FPR_SUSPECTED = 0.05
FPR_MANIPULATED = 0.01
"""shares of the real videos behind a card's thresholds that reach them at most (see inference.card.CalibrationTable)"""
FIGURES = 12
"""figures of a card that the page has room for"""


def facts_of(
    card: Card, thresholds: Thresholds, *, tpr_suspected: float | None = None, tpr_manipulated: float | None = None
) -> ModelFacts:
    """A bound holds from the card's line upwards; where the policy draws a lower one, nothing is promised."""
    calibration = card.calibration
    return ModelFacts(
        name=f"{card.name} {card.version}",
        sha256=card.sha256,
        description=card.description,
        fpr_suspected=FPR_SUSPECTED if thresholds.suspected_from >= calibration.suspected_from else None,
        fpr_manipulated=FPR_MANIPULATED if thresholds.manipulated_from >= calibration.manipulated_from else None,
        real_videos=calibration.real_clips or None,
        basis=calibration.statement,
        tpr_suspected=tpr_suspected,
        tpr_manipulated=tpr_manipulated,
        measured=tuple(_figures(card.measured))[:FIGURES],
    )


def _figures(measured: Mapping[str, object], within: str = "") -> Iterator[tuple[str, str]]:
    for name, value in measured.items():
        words = f"{within} {name}".replace("_", " ").strip()
        if isinstance(value, Mapping):
            yield from _figures(value, words)
        elif isinstance(value, float):
            yield words, f"{value:.4g}"
        elif isinstance(value, int | str):
            yield words, str(value)
