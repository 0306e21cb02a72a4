"""What a model is worth on labelled files. Every figure is per file: the mean logit of each face over the file, the
most suspicious face of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.evaluation.controls import controls_for, metadata_auc
from scanner.evaluation.crops import Item, Store, quality_of
from scanner.evaluation.files import file_scores
from scanner.evaluation.metrics import auc, average_precision, bootstrap, ece, eer, pair_accuracy, sigmoid, tpr_at
from scanner.evaluation.onnx_scorer import Change, score_store
from scanner.inference.card import Card, read_card

LEAST_CLIPS = 5  # a method with fewer files is listed, but is nobody's worst method


@dataclass(frozen=True, slots=True)
class Scored:
    """Files with a score, in one order."""

    items: tuple[Item, ...]
    scores: NDArray[np.float64]
    "(n,) logits, less what real faces of the same quality get."

    @property
    def labels(self) -> NDArray[np.int64]:
        return np.array([int(item.fake) for item in self.items], np.int64)

    def some(self, keep: Sequence[bool]) -> Scored:
        """Those where `keep` is true."""
        items = tuple(item for item, kept in zip(self.items, keep, strict=True) if kept)
        return Scored(items, self.scores[np.array(keep, bool)])


def score_files(folder: Path, store: Store, change: Change | None = None) -> Scored:
    """Every file of the store that has a face."""
    scores = at_their_quality(file_scores(store.cuts, score_store(folder, store.pixels, change).clip), store, folder)
    items = tuple(item for item in store.items if item.file in scores)
    return Scored(items, np.array([scores[item.file] for item in items]))


def at_their_quality(scores: dict[str, float], store: Store, folder: Path) -> dict[str, float]:
    """File → logit, less the shift of its face's quality, as verdicts are calibrated."""
    calibration = read_card(folder).calibrated
    return {file: logit - calibration.shift(quality_of(store.about[file])) for file, logit in scores.items()}


def figures(scored: Scored, card: Card) -> dict[str, Any]:
    """Everything that is reported of one set."""
    labels, scores = scored.labels, scored.scores
    sources = [item.source for item in scored.items]
    chances = sigmoid(card.calibration.slope * scores + card.calibration.bias)
    real = chances[labels == 0]
    families = {name: _against_real(scored, "family", name) for name in _names(scored, "family")}
    methods = {name: _against_real(scored, "method", name) for name in _names(scored, "method")}
    enough = {name: row["auc"] for name, row in methods.items() if row["fakes"] >= LEAST_CLIPS}
    worst = min(enough, key=lambda name: enough[name], default="")
    return {
        "files": len(scores),
        "auc": auc(scores, labels),
        "auc_interval": bootstrap(auc, scores, labels, sources),
        "eer": eer(scores, labels),
        "ap": average_precision(scores, labels),
        "tpr_at_fpr_1": tpr_at(scores, labels, 0.01),
        "tpr_at_fpr_5": tpr_at(scores, labels, 0.05),
        "ece": ece(chances, labels),
        "pairs": _pair_accuracy(scored),
        "real_called_suspected": float((real >= card.calibration.suspected_from).mean()),
        "real_called_manipulated": float((real >= card.calibration.manipulated_from).mean()),
        "fake_called_suspected": float((chances[labels == 1] >= card.calibration.suspected_from).mean()),
        "worst_method": worst,
        "worst_method_auc": enough.get(worst, float("nan")),
        "families": families,
        "methods": methods,
    }


def _names(scored: Scored, field: str) -> list[str]:
    return sorted({str(getattr(item, field)) for item in scored.items if item.fake})


def _against_real(scored: Scored, field: str, name: str) -> dict[str, Any]:
    part = scored.some([not item.fake or getattr(item, field) == name for item in scored.items])
    interval = bootstrap(auc, part.scores, part.labels, [item.source for item in part.items], rounds=200)
    return {"fakes": int(part.labels.sum()), "auc": auc(part.scores, part.labels), "interval": interval}


def _pair_accuracy(scored: Scored) -> dict[str, Any]:
    by_file = {item.file: float(score) for item, score in zip(scored.items, scored.scores, strict=True)}
    pairs = pairs_of(scored.items)
    return {"pairs": len(pairs), "accuracy": pair_accuracy(by_file, pairs)}


def pairs_of(items: Sequence[Item]) -> list[tuple[str, str]]:
    """(fake, real): every fake of a group with every real clip of the same group."""
    real: dict[str, list[str]] = {}
    for item in items:
        if item.pair and not item.fake:
            real.setdefault(item.pair, []).append(item.file)
    return [(item.file, other) for item in items if item.fake for other in real.get(item.pair, []) if item.pair]


def evaluate(folder: Path, store: Store, *, controls: bool) -> tuple[dict[str, Any], Scored]:
    """The figures of a model folder on a store, with the shortcut controls if asked for."""
    card = read_card(folder)
    scored = score_files(folder, store)
    found: dict[str, Any] = {"model": card.name, "sha256": card.sha256, **figures(scored, card)}
    left = sorted({item.file for item in store.items} - {item.file for item in scored.items})
    found["unscored"] = {file: store.about[file].get("error", "no face") for file in left}
    found["controls"] = {"metadata only": metadata_auc(store)}
    if controls:
        for name, change in controls_for(card.spec.box_scale).items():
            changed = score_files(folder, store, change)
            found["controls"][name] = auc(changed.scores, changed.labels)
    return found, scored


def for_card(found: dict[str, Any], command: str) -> dict[str, Any]:
    """The lines that a card carries: figures that could be measured."""
    lines = {
        "command": command,
        "files": found["files"],
        "auc": round(found["auc"], 3),
        "auc_interval": [round(value, 3) for value in found["auc_interval"]],
        "tpr_at_fpr_5": round(found["tpr_at_fpr_5"], 3),
        "pair_accuracy": round(found["pairs"]["accuracy"], 3),
        "worst_method": found["worst_method"],
        "worst_method_auc": round(found["worst_method_auc"], 3),
        "real_called_suspected": round(found["real_called_suspected"], 3),
        "real_called_manipulated": round(found["real_called_manipulated"], 3),
    }
    lines |= {f"auc_{name}": round(row["auc"], 3) for name, row in found["families"].items()}
    return {name: value for name, value in lines.items() if isinstance(value, str) or not np.isnan(value).any()}
