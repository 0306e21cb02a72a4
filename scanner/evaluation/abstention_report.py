"""Risk and coverage as a table, as JSON and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from scanner.evaluation.abstention import COVERAGES, Curve, Judged, balanced_error
from scanner.plotting import pyplot


def facts_of(curves: Sequence[Curve], files: Sequence[Judged], line: float) -> dict[str, Any]:
    """Everything that the table says."""
    reasons = Counter(reason.value for file in files for reason in file.refused)
    return {
        "files": len(files),
        "line": line,
        "risk": _number(_risk(files, line)),
        "refused": sum(bool(file.refused) for file in files),
        "reasons": dict(reasons.most_common()),
        "risk_kept": _number(_risk([file for file in files if not file.refused], line)),
        "curves": [
            {
                "measure": c.measure,
                "area": _number(c.area),
                "risk_at": {str(share): _number(c.at(share)) for share in COVERAGES},
            }
            for c in curves
        ],
    }


def print_table(curves: Sequence[Curve], files: Sequence[Judged], line: float) -> None:
    """On a terminal."""
    facts = facts_of(curves, files, line)
    console = Console(highlight=False)
    console.print(
        f"{facts['files']} files, balanced error {_shown(facts['risk'])} at the line {line:.2f} when all are answered; "
        f"the policy gives up {facts['refused']} ({_told(facts['reasons'])}), {_shown(facts['risk_kept'])} on the rest"
    )
    table = Table("given up by", "area", *(f"{share:.0%} kept" for share in COVERAGES), box=None, pad_edge=False)
    for curve in curves:
        table.add_row(curve.measure, f"{curve.area:.3f}", *(f"{curve.at(share):.3f}" for share in COVERAGES))
    console.print(table)


def draw(path: Path, curves: Sequence[Curve]) -> None:
    """Writes a PNG."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(6.5, 4))
    for curve in curves:
        axes.plot(curve.coverage, curve.risk, label=curve.measure.replace("_", " "))
    axes.axhline(curves[0].at(1.0), linestyle=":", color="grey", label="every file answered")
    axes.set(xlabel="share of files answered", ylabel="balanced error", title="risk and coverage, by measured quality")
    axes.set_xlim(1, 0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _risk(files: Sequence[Judged], line: float) -> float:
    fake = np.array([file.item.fake for file in files], bool)
    return balanced_error((np.array([file.score for file in files]) >= line) != fake, fake)


def _shown(risk: float | None) -> str:
    return "–" if risk is None else f"{risk:.3f}"


def _number(risk: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(risk) else risk


def _told(reasons: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in reasons.items()) or "none"
