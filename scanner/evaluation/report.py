"""Figures as JSON, Markdown and plots."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.evaluation.evaluate import Scored
from scanner.evaluation.metrics import roc, sigmoid
from scanner.inference.card import Card
from scanner.plotting import pyplot


def write_report(found: dict[str, Any], scored: Scored, card: Card, out: Path) -> None:
    """report.json, report.md, scores.json (file → logit) and plots.png in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(as_json(found, indent=1))
    (out / "report.md").write_text(markdown(found))
    by_file = {item.file: float(score) for item, score in zip(scored.items, scored.scores, strict=True)}
    (out / "scores.json").write_text(json.dumps(by_file))
    chances = sigmoid(card.calibration.slope * scored.scores + card.calibration.bias)
    plots(scored.scores, chances, scored.labels, out)


def as_json(found: dict[str, Any], indent: int | None = None) -> str:
    """The figures as JSON; what could not be measured (an AUC without fakes) is null, for JSON knows no NaN."""
    return json.dumps(_known(found), indent=indent, allow_nan=False)


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _known(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def markdown(found: dict[str, Any]) -> str:
    """The report as two tables; what could not be measured is a dash."""
    low, high = found["auc_interval"]
    pairs = found["pairs"]
    rows = [
        ("files", f"{found['files']}"),
        ("AUC", f"{_told(found['auc'])} ({_told(low)}–{_told(high)}, bootstrap over sources)"),
        ("EER · AP", f"{_told(found['eer'])} · {_told(found['ap'])}"),
        ("TPR at FPR 1 % · 5 %", f"{_told(found['tpr_at_fpr_1'])} · {_told(found['tpr_at_fpr_5'])}"),
        ("ECE", f"{_told(found['ece'])}"),
        ("fake above its original", f"{_told(pairs['accuracy'])} of {pairs['pairs']} pairs"),
        ("real called suspected · manipulated", _two(found, "real_called_suspected", "real_called_manipulated")),
        ("fakes called suspected or worse", f"{_told(found['fake_called_suspected'])}"),
        ("worst method with 5 files or more", f"{found['worst_method']} {_told(found['worst_method_auc'])}"),
        *((f"control: {name}", f"{_told(value)}") for name, value in found["controls"].items()),
    ]
    lines = ["| what | figure |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["| group | fakes | AUC | 95 % |", "|---|---|---|---|"]
    for group in ("families", "methods"):
        for name, row in found[group].items():
            bold, (low, high) = f"**{name}**" if group == "families" else name, row["interval"]
            lines.append(f"| {bold} | {row['fakes']} | {_told(row['auc'])} | {_told(low, 2)}–{_told(high, 2)} |")
    return "\n".join([*lines, *_unscored(found["unscored"]), *_robust(found.get("robustness")), ""])


def _unscored(left: dict[str, str]) -> list[str]:
    """The files that no figure counts, and why."""
    return ["\nNot counted:\n", *(f"- {file}: {reason}" for file, reason in left.items())] if left else []


def _robust(table: dict[str, Any] | None) -> list[str]:
    """AUC at five levels of what a video suffers on its way."""
    if table is None:
        return []
    head = [f"\nRobustness: AUC on {table['files']} files, clean {_told(table['clean'])}\n"]
    head += ["| change | 1 | 2 | 3 | 4 | 5 | mean |", "|---|---|---|---|---|---|---|"]
    rows = [
        f"| {name} | {' | '.join(f'{_told(v)}' for v in row)} | {_told(np.mean(row))} |"
        for name, row in table["auc"].items()
    ]
    return head + rows


def _told(value: float, digits: int = 3) -> str:
    """A figure, or a dash where it could not be measured."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _two(found: dict[str, Any], first: str, second: str) -> str:
    return f"{_told(found[first])} · {_told(found[second])}"


def plots(scores: NDArray[np.float64], chances: NDArray[np.float64], labels: NDArray[np.int64], folder: Path) -> None:
    """plots.png: ROC, histograms of scores, reliability."""
    plt = pyplot()
    fpr, tpr = roc(scores, labels)
    figure, axes = plt.subplots(1, 3, figsize=(13, 4))
    axes[0].plot(fpr, tpr)
    axes[0].plot([0, 1], [0, 1], ":", color="grey")
    axes[0].set(xlabel="real called fake", ylabel="fakes found", title="ROC")
    bins = np.linspace(0, 1, 21)
    axes[1].hist([chances[labels == 0], chances[labels == 1]], bins=bins.tolist(), label=["real", "fake"])
    axes[1].legend()
    axes[1].set(xlabel="calibrated score", title="scores")
    place = np.minimum((chances * 10).astype(int), 9)
    inside = [number for number in range(10) if (place == number).any()]
    axes[2].plot([chances[place == n].mean() for n in inside], [labels[place == n].mean() for n in inside], "o-")
    axes[2].plot([0, 1], [0, 1], ":", color="grey")
    axes[2].set(xlabel="calibrated score", ylabel="share of fakes", title="reliability")
    figure.tight_layout()
    figure.savefig(folder / "plots.png", dpi=90)
    plt.close(figure)
