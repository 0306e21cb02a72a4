"""What an alarm is worth: it depends less on the scanner than on how rare forgeries are where it is used."""

from __future__ import annotations

from dataclasses import dataclass

from scanner.core.types import Label
from scanner.report.model import ModelFacts
from scanner.report.words import LABELS

PREVALENCES = (0.001, 0.01, 0.1)
CROWD = 10_000  # people, so that shares become numbers one can picture


@dataclass(frozen=True, slots=True)
class Odds:
    """Among 10,000 faces, of which a share is forged, what is flagged from a line on."""

    prevalence: float
    forged: int
    flagged_forged: int | None
    """None when nobody measured how many are found"""
    flagged_real: int
    right: float
    """share of the flagged that is forged; an upper bound where nobody measured how many are found"""


@dataclass(frozen=True, slots=True)
class Line:
    """One of the two lines and its odds."""

    word: str
    false_positive_rate: float
    true_positive_rate: float | None
    odds: tuple[Odds, ...]


def lines(facts: ModelFacts) -> tuple[Line, ...]:
    """The lines whose false positive rate is known."""
    rates = (
        (Label.MANIPULATED, facts.fpr_manipulated, facts.tpr_manipulated),
        (Label.SUSPECTED, facts.fpr_suspected, facts.tpr_suspected),
    )
    return tuple(
        Line(LABELS[label], false, true, tuple(_odds(share, false, true) for share in PREVALENCES))
        for label, false, true in rates
        if false is not None
    )


def _odds(prevalence: float, false: float, true: float | None) -> Odds:
    forged = round(CROWD * prevalence)
    found = forged if true is None else forged * true
    wrong = (CROWD - forged) * false
    return Odds(
        prevalence=prevalence,
        forged=forged,
        flagged_forged=None if true is None else round(found),
        flagged_real=round(wrong),
        right=found / (found + wrong) if found + wrong else 0.0,
    )
