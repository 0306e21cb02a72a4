"""What to set on this machine for a number of live streams, what it then holds, and what an hour of video costs.

candidates (cells × scoring threads × models) ──a live run each──▶ held? scores like the first one? ──▶ the fastest
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from scanner.bench.figures import LiveFigures
from scanner.core.types import Verdict
from scanner.settings import Settings

Run = Callable[[Settings, int], tuple[LiveFigures, list[Verdict]]]
"""settings and a number of streams to what a live run gave"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that are tried."""

    cells: int
    score_threads: int
    model: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate after its run."""

    candidate: Candidate
    figures: LiveFigures
    score_difference: float
    """mean absolute difference to the first candidate's scores of the same segments; 1 when none can be compared"""
    fits: bool
    """held, fast enough, and scores within tolerance"""


@dataclass(frozen=True, slots=True)
class Costs:
    """What video costs on a machine of a given price; in the currency of the price."""

    stream_hour: float
    thousand_stream_hours: float
    thousand_archive_hours: float


def candidates(cores: int, models: Sequence[str]) -> Iterator[Candidate]:
    """Few cells with few threads up to all of both; the first one is what the settings' zeros mean."""
    counts = sorted({1, max(1, cores // 2), cores}, reverse=True)
    for model in models:
        for cells in counts:
            for threads in counts:
                yield Candidate(cells, threads, model)


def with_candidate(settings: Settings, candidate: Candidate) -> Settings:
    """The settings, but for what the candidate sets."""
    update = {"cells": candidate.cells, "score_threads": candidate.score_threads, "model": candidate.model}
    return settings.model_copy(update={"scan": settings.scan.model_copy(update=update)})


def tried(
    run: Run, settings: Settings, wishes: Iterable[Candidate], *, streams: int, p95_s: float, tolerance: float
) -> Iterator[Trial]:
    """Runs each candidate at `streams`; scores are compared with those of the first.

    Args:
        p95_s: seconds from a segment's availability to its verdict that 95 % must stay below.
        tolerance: largest mean absolute difference of scores to the first candidate's.
    """
    reference: dict[tuple[str, int], float] | None = None
    for candidate in wishes:
        figures, verdicts = run(with_candidate(settings, candidate), streams)
        scores = {(v.stream_id, v.sequence): v.score for v in verdicts if v.score is not None}
        reference = scores if reference is None else reference
        apart = difference(reference, scores)
        fits = figures.held and figures.latency_ms["p95"] < p95_s * 1000 and apart <= tolerance
        yield Trial(candidate, figures, round(apart, 4), fits)


def difference(first: dict[tuple[str, int], float], other: dict[tuple[str, int], float]) -> float:
    """Mean absolute difference over what both scored; 1 when that is nothing."""
    both = first.keys() & other.keys()
    return sum(abs(first[key] - other[key]) for key in both) / len(both) if both else 1.0


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The one that fits with the shortest p95; None when none fits."""
    fitting = [trial for trial in trials if trial.fits]
    return min(fitting, key=lambda trial: trial.figures.latency_ms["p95"]) if fitting else None


def costs(price_per_hour: float, streams: int, times_real_time: float) -> Costs:
    """What the machine's price means for an hour of video.

    >>> costs(0.10, streams=40, times_real_time=5.0)
    Costs(stream_hour=0.0025, thousand_stream_hours=2.5, thousand_archive_hours=20.0)

    Args:
        price_per_hour: of the whole machine.
        streams: live streams it holds.
        times_real_time: hours of video that it covers in full in an hour.
    """
    return Costs(
        round(price_per_hour / streams, 6),
        round(1000 * price_per_hour / streams, 3),
        round(1000 * price_per_hour / times_real_time, 3),
    )


def settings_text(candidate: Candidate, streams: int, p95_ms: float) -> str:
    """The TOML file that sets what was found."""
    return (
        f"# Written by `scanner plan`: {streams} live streams, 95 % answered within {p95_ms:.0f} ms.\n"
        "[scan]\n"
        f"cells = {candidate.cells}\n"
        f"score_threads = {candidate.score_threads}\n"
        f'model = "{candidate.model}"\n'
    )
