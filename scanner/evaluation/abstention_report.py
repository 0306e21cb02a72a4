"""Risk and coverage as a table, as JSON and as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from scanner.evaluation.abstention import COVERAGES, Chance, Curve, Floats, Judged, balanced_error, under_chance
from scanner.plotting import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def facts_of(curves: Sequence[Curve], files: Sequence[Judged], line: float, lots: Chance) -> dict[str, Any]:
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
                "disorder_at": {str(share): _number(c.disorder_at(share)) for share in COVERAGES},
                "under_chance": dict(zip(("risk", "disorder"), under_chance(c, lots), strict=True)),
            }
            for c in curves
        ],
    }


def print_table(curves: Sequence[Curve], files: Sequence[Judged], line: float, lots: Chance) -> None:
    """On a terminal."""
    facts = facts_of(curves, files, line, lots)
    console = Console(highlight=False)
    console.print(
        f"{facts['files']} files, balanced error {_shown(facts['risk'])} at the line {line:.2f} when all are answered; "
        f"the policy gives up {facts['refused']} ({_told(facts['reasons'])}), {_shown(facts['risk_kept'])} on the rest"
    )
    for column, name in enumerate(("balanced error", "pairs in wrong order")):
        headers = ("given up by", *(f"{share:.0%} kept" for share in COVERAGES), "under lots")
        table = Table(*headers, title=name, title_justify="left", box=None, pad_edge=False)
        for curve in curves:
            at = (curve.at, curve.disorder_at)[column]
            under = f"{under_chance(curve, lots)[column]:.0%}"
            table.add_row(curve.measure, *(f"{at(share):.3f}" for share in COVERAGES), under)
        console.print(table)


def draw(path: Path, curves: Sequence[Curve], by_lot: Chance) -> None:
    """Writes a PNG: risk on the left, order on the right, and where chance lies."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    _panel(left, [(c.measure, c.coverage, c.risk) for c in curves], by_lot.coverage, by_lot.risk)
    left.set(ylabel="balanced error", title="risk at the line")
    _panel(right, [(c.measure, c.coverage, c.disorder) for c in curves], by_lot.coverage, by_lot.disorder)
    right.set(ylabel="fakes below real files, share of pairs", title="order (1 − AUC)")
    right.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _panel(axes: Axes, lines: Sequence[tuple[str, Floats, Floats]], coverage: Floats, band: Floats) -> None:
    axes.fill_between(coverage, band[0], band[1], color="grey", alpha=0.2, label="90 % of lots")
    for name, answered, risk in lines:
        axes.plot(answered, risk, linewidth=1.2, label=name.replace("_", " "))
    axes.axhline(lines[0][2][0], linestyle=":", color="grey", label="every file answered")
    axes.set(xlabel="share of files answered")
    axes.set_xlim(1, min(answered[-1] for _, answered, _ in lines))


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
