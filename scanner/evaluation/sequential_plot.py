"""The sequential test as a picture: how soon forgeries alarm, and how many streams of real people ever do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scanner.evaluation.sequential import (
    LENGTHS_S,
    Floats,
    Rule,
    drawn,
)
from scanner.plotting import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(path: Path, test: Rule, real: Floats, forged: list[Floats], rng: np.random.Generator) -> None:
    """Writes a PNG of two panels."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    onset = test.clips(60)
    for length_s in LENGTHS_S:
        spliced = real.copy()
        for stream in spliced:
            stream[onset : onset + test.clips(length_s)] = drawn(
                forged[rng.integers(len(forged))], test.clips(length_s), rng
            )
        raised = test.raised(spliced)[:, onset:]
        _share(left, raised[:, : test.clips(40)], test, f"{length_s:g} s forged")
    left.set(xlabel="seconds since the forgery began", ylabel="streams that alarmed", title="time to detect")
    left.set_ylim(0, 1)
    _share(right, test.raised(real), test, "measured")
    hours = np.arange(real.shape[1]) / test.clips_per_second / 3600
    promised = 1 - np.exp(-hours * test.false_alarms_per_1000_h / 1000)
    right.plot(hours * 3600, promised, ":", color="grey", label="promised of faces that keep the bound")
    right.set(xlabel="seconds of a real stream", ylabel="streams that alarmed", title="false alarms")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _share(axes: Axes, raised: NDArray[np.bool_], test: Rule, name: str) -> None:
    shares = np.maximum.accumulate(raised, axis=1).mean(axis=0)
    seconds = (np.arange(raised.shape[1]) + 1) / test.clips_per_second
    axes.step(seconds, shares, where="post", label=name)
