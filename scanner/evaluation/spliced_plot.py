"""Spliced streams as a picture: how soon stretches alarm, and the evidence in one stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scanner.evaluation.sequential import LENGTHS_S
from scanner.evaluation.spliced import Watched, waits_of
from scanner.evaluation.splicing import Plan
from scanner.plotting import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Runs = Sequence[tuple[Plan, Watched]]
_STYLES = ("-", "--", ":")
_AXIS_S = 24.0


def draw(path: Path, by_coverage: Mapping[str, Runs], level: float) -> None:
    """Writes a PNG: time to detect on the left; on the right the stream that alarmed most, or rose highest."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), width_ratios=(2, 3))
    for style, (coverage, runs) in zip(_STYLES, by_coverage.items(), strict=False):
        for number, length_s in enumerate(LENGTHS_S):
            _detected(left, runs, length_s, coverage, f"C{number}", style)
    left.set(xlabel="seconds since the forgery began", ylabel="forged stretches that alarmed", title="time to detect")
    left.set_xlim(0, _AXIS_S)
    left.set_ylim(-0.03, 1.03)
    left.legend(fontsize="small")
    chosen = max(next(iter(by_coverage.values())), key=lambda run: _height(run[1]))[0]
    _trace(right, chosen, by_coverage, level)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _detected(axes: Axes, runs: Runs, length_s: float, coverage: str, colour: str, style: str) -> None:
    waits = [wait for plan, seen in runs for stretch, wait in waits_of(plan, seen) if stretch.length_s == length_s]
    times = np.sort(np.array(waits))
    known = times[np.isfinite(times)]
    shares = np.arange(len(known) + 1) / max(1, len(times))
    name = f"{length_s:g} s, {coverage}: {len(known)} of {len(times)}"
    axes.step([0.0, *known, _AXIS_S], [*shares, shares[-1]], where="post", color=colour, linestyle=style, label=name)


def _trace(axes: Axes, plan: Plan, by_coverage: Mapping[str, Runs], level: float) -> None:
    for number, stretch in enumerate(plan.stretches):
        label = "forged" if number == 0 else None
        axes.axvspan(stretch.start_s, stretch.end_s, color="tab:red", alpha=0.25, label=label)
    for style, (coverage, runs) in zip(_STYLES, by_coverage.items(), strict=False):
        seen = next(seen for made, seen in runs if made.name == plan.name)
        times, heights = [point.at_s for point in seen.points], [point.evidence for point in seen.points]
        axes.plot(times, heights, style, linewidth=1, label=coverage)
    axes.axhline(level, color="grey", linewidth=1, label="alarm")
    axes.set(xlabel="seconds of the stream", ylabel="evidence (log e-value)", title=f"{plan.name}: {plan.kind}")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")


def _height(seen: Watched) -> tuple[int, float]:
    return len(seen.alarms_s), max((point.evidence for point in seen.points), default=0.0)
