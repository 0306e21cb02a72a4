"""Figures as Markdown and plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanner.training.metrics import roc


def markdown(found: dict[str, Any]) -> str:
    """The report as two tables."""
    low, high = found["auc_interval"]
    pairs = found["pairs"]
    rows = [
        ("files", f"{found['files']}"),
        ("AUC", f"{found['auc']:.3f} ({low:.3f}–{high:.3f}, bootstrap over sources)"),
        ("EER · AP", f"{found['eer']:.3f} · {found['ap']:.3f}"),
        ("TPR at FPR 1 % · 5 %", f"{found['tpr_at_fpr_1']:.3f} · {found['tpr_at_fpr_5']:.3f}"),
        ("ECE", f"{found['ece']:.3f}"),
        ("fake above its original", f"{pairs['accuracy']:.3f} of {pairs['pairs']} pairs"),
        ("real called suspected · manipulated", _two(found, "real_called_suspected", "real_called_manipulated")),
        ("fakes called suspected or worse", f"{found['fake_called_suspected']:.3f}"),
        ("worst method with 5 files or more", f"{found['worst_method']} {found['worst_method_auc']:.3f}"),
        *((f"control: {name}", f"{value:.3f}") for name, value in found["controls"].items()),
    ]
    lines = ["| what | figure |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += ["| group | fakes | AUC | 95 % |", "|---|---|---|---|"]
    for group in ("families", "methods"):
        for name, row in found[group].items():
            bold = f"**{name}**" if group == "families" else name
            lines.append(
                f"| {bold} | {row['fakes']} | {row['auc']:.3f} | {row['interval'][0]:.2f}–{row['interval'][1]:.2f} |"
            )
    return "\n".join([*lines, ""])


def _two(found: dict[str, Any], first: str, second: str) -> str:
    return f"{found[first]:.3f} · {found[second]:.3f}"


def plots(scores: NDArray[np.float64], chances: NDArray[np.float64], labels: NDArray[np.int64], folder: Path) -> None:
    """roc.png, scores.png and reliability.png."""
    import matplotlib as mpl  # noqa: PLC0415  # slow to import

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

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
