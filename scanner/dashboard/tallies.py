"""How the scanner is: counts, delays, partitions, dead letters, models and policies in force. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from scanner.core.types import Label, ModelRef, Reason, Source, Verdict
from scanner.wire import Answerer

TIMINGS_KEPT = 2000
LETTERS_KEPT = 200
RATE_S = 60
KINDS_KEPT = 50  # models, policies: a handful; a flood of made-up ones must not fill the memory


@dataclass(frozen=True, slots=True)
class Letter:
    """A segment that got no verdict."""

    stream_id: str
    at_ms: int
    stage: str
    disposition: str
    message: str
    segment: Source | None
    """where the original lies"""
    place: Source
    """where the dead letter lies"""


@dataclass(frozen=True, slots=True)
class Partition:
    """The last answer on a partition of the segments topic."""

    offset: int
    heard_ms: int
    behind_s: float | None
    worker: str = ""
    """who answered; empty when it did not tell"""


@dataclass(slots=True)
class Rate:
    """Things a second over the last minute."""

    _seconds: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=RATE_S))

    def count(self, at_ms: int) -> None:
        second = at_ms // 1000
        if self._seconds and self._seconds[-1][0] >= second:
            self._seconds[-1] = (self._seconds[-1][0], self._seconds[-1][1] + 1)
        else:
            self._seconds.append((second, 1))

    def now(self, now_ms: int) -> float:
        since = now_ms // 1000 - RATE_S
        return sum(count for second, count in self._seconds if second > since) / RATE_S


@dataclass(slots=True)
class Worker:
    """What its verdicts tell of a worker."""

    heard_ms: int
    cells_restarted: int
    """since its start"""
    rate: Rate = field(default_factory=Rate)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Seconds."""

    median: float
    p95: float
    most: float


@dataclass(slots=True)
class Tallies:
    """Since the dashboard started reading."""

    verdicts: int = 0
    unreadable: int = 0
    """records that are not what their topic promises"""
    labels: Counter[Label] = field(default_factory=Counter)
    abstained: Counter[Reason] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    models: dict[ModelRef, int] = field(default_factory=dict)
    """model to wall clock of its last verdict"""
    policies: dict[str, int] = field(default_factory=dict)
    sandboxes: dict[tuple[str, ...], int] = field(default_factory=dict)
    partitions: dict[int, Partition] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    """by name, the one that was heard last stands last"""
    archive: str | None = None
    """topic of archives, whose partitions are behind on purpose"""
    letters: deque[Letter] = field(default_factory=lambda: deque(maxlen=LETTERS_KEPT))
    dead: int = 0
    _timings: dict[str, deque[int]] = field(
        default_factory=lambda: {stage: deque(maxlen=TIMINGS_KEPT) for stage in ("queued", "observe", "score", "total")}
    )
    _rate: Rate = field(default_factory=Rate)

    def judged(self, verdict: Verdict, at_ms: int, behind_s: float | None, by: Answerer | None = None) -> None:
        self.verdicts += 1
        self.labels[verdict.label] += 1
        if verdict.score is None:
            self.abstained.update(verdict.reasons)
        tally = verdict.coverage
        self.frames.update(decoded=tally.frames_decoded, scored=tally.frames_scored, damaged=tally.frames_damaged)
        self.frames["skipped"] += max(0, tally.frames_total - tally.frames_decoded)
        _seen(self.models, verdict.model, at_ms)
        _seen(self.policies, verdict.policy_sha256, at_ms)
        _seen(self.sandboxes, verdict.sandbox, at_ms)
        for stage, spent in self._timings.items():
            spent.append(getattr(verdict.timing_ms, stage))
        if verdict.source and verdict.source.topic != self.archive:
            worker = by.worker if by else ""
            self.partitions[verdict.source.partition] = Partition(verdict.source.offset, at_ms, behind_s, worker)
        if by is not None:
            self._answered(by, at_ms)
        self._rate.count(at_ms)

    def _answered(self, by: Answerer, at_ms: int) -> None:
        worker = self.workers.pop(by.worker, None) or Worker(at_ms, 0)
        worker.heard_ms, worker.cells_restarted = at_ms, by.cells_restarted
        worker.rate.count(at_ms)
        self.workers[by.worker] = worker
        if len(self.workers) > KINDS_KEPT:
            del self.workers[next(iter(self.workers))]

    def seats(self, worker: str) -> list[int]:
        """Partitions whose last answer came from this worker."""
        return sorted(number for number, last in self.partitions.items() if last.worker == worker)

    def died(self, letter: Letter) -> None:
        self.dead += 1
        self.letters.append(letter)

    def rate(self, now_ms: int) -> float:
        """Verdicts a second over the last minute."""
        return self._rate.now(now_ms)

    def delays(self) -> dict[str, Quantiles]:
        """Stage to seconds, over the last verdicts."""
        return {stage: _quantiles(spent) for stage, spent in self._timings.items() if spent}


def _seen(known: dict, what: object, at_ms: int) -> None:  # type: ignore[type-arg]  # any key will do
    known.pop(what, None)
    known[what] = at_ms
    if len(known) > KINDS_KEPT:
        del known[next(iter(known))]


def _quantiles(spent_ms: Sequence[int]) -> Quantiles:
    ordered = sorted(spent_ms)
    last = len(ordered) - 1
    return Quantiles(ordered[last // 2] / 1000, ordered[round(last * 0.95)] / 1000, ordered[last] / 1000)
