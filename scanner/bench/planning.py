"""What to set on this machine for a number of live streams, what it then holds, and what an hour of video costs.

1. cells × scoring threads × models × devices ──▶ the fastest that holds and scores like the first one
2. … with other batches                       ──▶ the fastest
3. … looking more often in patrol             ──▶ the closest look that still holds
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from scanner.bench.figures import LiveFigures
from scanner.core.clips import Pace
from scanner.core.types import Verdict
from scanner.settings import Settings

Run = Callable[[Settings, int], tuple[LiveFigures, list[Verdict]]]
"""settings and a number of streams to what a live run gave"""

PACES = (Pace(2, 1.0), Pace(1, 1.0), Pace(2, 0.0))  # closest first
_CPU_BATCHES, _GPU_BATCHES = ((4, 5.0), (4, 20.0)), ((8, 5.0), (32, 5.0), (16, 20.0))  # clips, wait in ms


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that are tried."""

    cells: int
    score_threads: int
    model: str
    device: str = "cpu"
    batch_size: int = 0
    """0 is what suits the device"""
    batch_wait_ms: float = 5.0
    patrol_clips: int = 1
    patrol_every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate after its run."""

    candidate: Candidate
    figures: LiveFigures
    score_difference: float | None
    """mean absolute difference to the first candidate's scores of the same segments; 1 when none can be compared, None
    where it looked elsewhere"""
    fits: bool
    """held, fast enough, and scores within tolerance"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What has to be held."""

    streams: int
    p95_s: float
    """seconds from a segment's availability to its verdict that 95 % must stay below"""
    tolerance: float
    """largest mean absolute difference of scores to the first candidate's"""


@dataclass(frozen=True, slots=True)
class Costs:
    """What video costs on a machine of a given price; in the currency of the price."""

    stream_hour: float
    thousand_stream_hours: float
    thousand_archive_hours: float


class Search:
    """Tries candidates one after the other; `best` is the choice so far."""

    def __init__(self, run: Run, settings: Settings, wish: Wish) -> None:
        self.best: Trial | None = None
        self._run = run
        self._settings = settings
        self._wish = wish
        self._reference: dict[tuple[str, int], float] | None = None

    def trials(self, cores: int, models: Sequence[str], devices: Sequence[str]) -> Iterator[Trial]:
        """Every trial as it ends; see the module's steps."""
        tried = []
        for candidate in candidates(cores, models, devices):
            tried.append(self._try(candidate))
            yield tried[-1]
        self.best = best_of(tried)
        if self.best is None:
            return
        for candidate in other_batches(self.best.candidate):
            tried.append(self._try(candidate))
            yield tried[-1]
        self.best = best = best_of(tried) or self.best
        for pace in PACES if self._settings.scan.coverage in {"auto", "patrol"} else ():
            closer = replace(best.candidate, patrol_clips=pace.clips, patrol_every_s=pace.every_s)
            trial = self._try(closer, compared=False)
            yield trial
            if trial.fits:
                self.best = trial
                return

    def _try(self, candidate: Candidate, *, compared: bool = True) -> Trial:
        figures, verdicts = self._run(with_candidate(self._settings, candidate), self._wish.streams)
        fits = figures.held and figures.latency_ms["p95"] < self._wish.p95_s * 1000
        if not compared:
            return Trial(candidate, figures, None, fits)
        scores = {(v.stream_id, v.sequence): v.score for v in verdicts if v.score is not None}
        self._reference = scores if self._reference is None else self._reference
        apart = difference(self._reference, scores)
        return Trial(candidate, figures, round(apart, 4), fits and apart <= self._wish.tolerance)


def candidates(cores: int, models: Sequence[str], devices: Sequence[str] = ("cpu",)) -> Iterator[Candidate]:
    """Few cells with few threads up to all of both; the first one is what the settings' zeros mean."""
    counts = sorted({1, max(1, cores // 2), cores}, reverse=True)
    for model in models:
        for device in devices:
            for cells in counts:
                for threads in counts:
                    yield Candidate(cells, threads, model, device)


def other_batches(candidate: Candidate) -> Iterator[Candidate]:
    """The same with batches that its device does not have by default."""
    for size, wait_ms in _CPU_BATCHES if candidate.device == "cpu" else _GPU_BATCHES:
        yield replace(candidate, batch_size=size, batch_wait_ms=wait_ms)


def with_candidate(settings: Settings, candidate: Candidate) -> Settings:
    """The settings, but for what the candidate sets."""
    scan, policy = _sections(candidate)
    return settings.model_copy(
        update={
            "scan": settings.scan.model_copy(update=scan),
            "policy": settings.policy.model_copy(update=policy),
        }
    )


def _sections(candidate: Candidate) -> tuple[dict[str, int | float | str], dict[str, int | float | str]]:
    """What it sets in [scan], and in [policy]."""
    scan = asdict(candidate)
    policy = {name: scan.pop(name) for name in ("patrol_clips", "patrol_every_s")}
    return scan, policy


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
    scan, policy = (
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in section.items())
        for section in _sections(candidate)
    )
    told = f"# Written by `scanner plan`: {streams} live streams, 95 % answered within {p95_ms:.0f} ms.\n"
    return f"{told}[scan]\n{scan}\n[policy]\n{policy}"
