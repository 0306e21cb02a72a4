"""What the sequential test is worth in time: how soon a forgery inside a real stream alarms, how often real streams do.

clip scores (streams × clips) ──core.evidence, many streams at once──▶ alarms ──▶ delays, alarms an hour, PPV
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from scanner.core.evidence import BETS, alarm_level
from scanner.core.inspection import Inspections

Floats = NDArray[np.float64]
SEGMENT_S = 2.0
LENGTHS_S = (2.0, 5.0, 20.0)
STREAM_S = 600.0
PREVALENCES = (0.001, 0.01, 0.1)


@dataclass(frozen=True, slots=True)
class Patrol:
    """How calm streams are patrolled: one clip a segment, until evidence or a score rises."""

    inspect_from: float
    suspected_from: float
    calm_segments: int
    at_once: int | None = None
    """of all streams, that may be inspected at the same time; None: as many as ask (see core.inspection)"""


@dataclass(frozen=True, slots=True)
class Rule:
    """The sequential test as an operator runs it."""

    null_bound: float
    false_alarms_per_1000_h: float
    clear_clips: int
    clips_per_second: float
    """of a face: frames a second over the clip's length on the model's card"""

    @property
    def level(self) -> float:
        return alarm_level(self.false_alarms_per_1000_h, self.clips_per_second)

    def clips(self, seconds: float) -> int:
        """As many clips as make that time, at least one."""
        return max(1, round(seconds * self.clips_per_second))

    def raised(self, scores: Floats, patrol: Patrol | None = None) -> NDArray[np.bool_]:
        """(streams, clips) whether an alarm is raised at the clip, with clearing and starting again after it.

        Args:
            scores: (streams, clips) calibrated clip scores in [0, 1].
            patrol: how calm streams are patrolled; None looks at every clip.
        """
        return self.watched(scores, patrol)[0]

    def watched(self, scores: Floats, patrol: Patrol | None) -> tuple[NDArray[np.bool_], float]:
        """As `raised`, with the share of all clips that was looked at."""
        bets = np.array(BETS)
        logs = np.zeros((len(scores), len(bets)))
        calm = np.zeros(len(scores), int)
        alerted = np.zeros(len(scores), bool)
        raised = np.zeros(scores.shape, bool)
        watch = _Watch(len(scores), patrol, self.clips(SEGMENT_S))
        for place in range(scores.shape[1]):
            score, seen = scores[:, place], watch.sees(place)
            after = np.maximum(logs, 0.0) + np.log1p(bets * (score / self.null_bound - 1.0)[:, None])
            logs = np.where(seen[:, None], after, logs)
            evidence = np.maximum(0.0, np.logaddexp.reduce(logs, axis=1) - np.log(len(bets)))
            calm = np.where(seen, np.where(score <= self.null_bound, calm + 1, 0), calm)
            raised[:, place] = seen & ~alerted & (evidence >= self.level)
            cleared = alerted & (calm >= self.clear_clips)
            alerted = (alerted | raised[:, place]) & ~cleared
            watch.saw(place, score, evidence, alerted)
            logs[cleared], calm[cleared] = 0.0, 0
        return raised, watch.looks / max(1, scores.size)


class _Watch:
    """Which clips are looked at, in many streams at once; by segments, as core.verdict changes between modes."""

    def __init__(self, streams: int, patrol: Patrol | None, segment: int) -> None:
        self._segment = segment
        self._patrol = patrol
        self._inspecting = np.full(streams, patrol is None)
        self._asking = self._inspecting
        self._room = Inspections(patrol.at_once) if patrol and patrol.at_once is not None else None
        self._calm = np.zeros(streams, int)
        self._sum, self._count = np.zeros(streams), np.zeros(streams, int)
        self._seen = self._inspecting
        self.looks = 0

    def sees(self, place: int) -> NDArray[np.bool_]:
        """(streams,) whether the clip is looked at: in a patrol only the first of a segment."""
        self._seen = self._inspecting | (place % self._segment == 0)
        self.looks += int(self._seen.sum())
        return self._seen

    def saw(self, place: int, score: Floats, evidence: Floats, alerted: NDArray[np.bool_]) -> None:
        if self._patrol is None:
            return
        self._sum += np.where(self._seen, score, 0.0)
        self._count += self._seen
        if place % self._segment == self._segment - 1:
            suspicious = self._sum / self._count >= self._patrol.suspected_from
            rising = suspicious | (evidence >= self._patrol.inspect_from)
            self._calm = np.where(rising, 0, self._calm + 1)
            self._asking = rising | (self._asking & (self._calm < self._patrol.calm_segments))
            self._inspecting = (
                self._asking if self._room is None else self._granted(self._room, place, evidence * ~alerted)
            )
            self._sum[:], self._count[:] = 0.0, 0

    def _granted(self, room: Inspections, place: int, urgency: Floats) -> NDArray[np.bool_]:
        """Which of those that ask are inspected from the next segment on; in turn, as a worker hears them."""
        now_s = (place + 1) / self._segment * SEGMENT_S
        for stream in np.flatnonzero(~self._asking):
            room.release(int(stream))
        for stream in np.flatnonzero(self._asking):
            room.grant(int(stream), float(urgency[stream]), now_s)
        return np.array([room.holds(stream) for stream in range(len(urgency))])


@dataclass(frozen=True, slots=True)
class Delays:
    """How soon forgeries of one length alarm. Those that never do count as longer than any delay."""

    length_s: float
    streams: int
    found: float
    """share that alarms between the forgery's beginning and the stream's end"""
    median_s: float | None
    """None: most never alarm"""
    p90_s: float | None
    ppv: Mapping[float, float]
    """share of alarmed streams that are forged, by the share of all streams that are"""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Alarms on streams of real people."""

    hours: float
    count: int
    streams_alarmed: float
    """share of streams with one or more"""
    per_hour: float
    interval: tuple[float, float]
    """95 %, exact for a Poisson count (Garwood, 1936); wider in truth where some people's streams alarm again"""
    clips_looked_at: float
    """share of all clips: what a patrol saves on real streams"""


def false_alarms(test: Rule, real: Floats, patrol: Patrol | None = None) -> Alarms:
    """Alarms on real streams, (streams, clips)."""
    raised, looked = test.watched(real, patrol)
    hours = real.size / test.clips_per_second / 3600
    count = int(raised.sum())
    low, high = garwood(count)
    alarmed = float(raised.any(axis=1).mean())
    return Alarms(hours, count, alarmed, count / hours, (low / hours, high / hours), looked)


def garwood(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a Poisson mean after `count` events (Garwood, 1936, Biometrika 28)."""
    tail = (1 - confidence) / 2
    low = float(chi2.ppf(tail, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * (count + 1))) / 2


def delays(
    test: Rule,
    real: Floats,
    forged: Sequence[Floats],
    length_s: float,
    rng: np.random.Generator,
    patrol: Patrol | None = None,
) -> Delays:
    """Forgeries of one length spliced into real streams, one each, at a place drawn from the first half.

    Args:
        real: (streams, clips) scores of real people.
        forged: the clip scores of each forged face; a stretch of one of them is laid into each stream, drawn anew from
            the face's clips where it is shorter.
    """
    length = test.clips(length_s)
    onsets = rng.integers(0, real.shape[1] // 2, len(real))
    spliced = real.copy()
    for stream, onset in enumerate(onsets):
        spliced[stream, onset : onset + length] = drawn(forged[int(rng.integers(len(forged)))], length, rng)
    raised = test.raised(spliced, patrol)
    raised[np.arange(raised.shape[1])[None] < onsets[:, None]] = False  # an alarm before it is a false one
    found = raised.any(axis=1)
    waits = np.where(found, (raised.argmax(axis=1) - onsets + 1) / test.clips_per_second, np.inf)
    share, wrong = float(found.mean()), false_alarms(test, real, patrol).streams_alarmed
    return Delays(
        length_s=length_s,
        streams=len(real),
        found=share,
        median_s=censored(waits, 0.5),
        p90_s=censored(waits, 0.9),
        ppv={p: ppv(p, share, wrong) for p in PREVALENCES},
    )


def censored(waits: Floats, part: float) -> float | None:
    """A quantile of waits of which those without an end are infinite; None where it falls among them."""
    wait = float(np.quantile(waits, part, method="higher"))
    return wait if np.isfinite(wait) else None


def ppv(prevalence: float, true_rate: float, false_rate: float) -> float:
    """Share of alarms that are right, by Bayes; 0 when nothing alarms."""
    right, wrong = prevalence * true_rate, (1 - prevalence) * false_rate
    return right / (right + wrong) if right + wrong else 0.0


def drawn(scores: Floats, length: int, rng: np.random.Generator) -> Floats:
    """A stretch of consecutive clips, gone on with by further ones until it is long enough."""
    parts: list[Floats] = []
    while sum(map(len, parts)) < length:
        start = int(rng.integers(0, len(scores)))
        parts.append(scores[start:])
    return np.concatenate(parts)[:length]


# Streams of scores.


@dataclass(frozen=True, slots=True)
class Population:
    """Beta-distributed scores: each person has a mean of their own, which is what makes long streams alarm."""

    real_mean: float
    spread: float
    """standard deviation of people's means"""
    forged_mean: float
    concentration: float = 6.0
    """of clips around the person's mean: a + b of the beta distribution"""

    def real(self, streams: int, clips: int, rng: np.random.Generator) -> Floats:
        """(streams, clips)."""
        if self.spread:
            strength = self.real_mean * (1 - self.real_mean) / self.spread**2 - 1
            means = rng.beta(self.real_mean * strength, (1 - self.real_mean) * strength, streams)
        else:
            means = np.full(streams, self.real_mean)
        means = np.clip(means, 1e-3, 1 - 1e-3)[:, None]
        shape = (streams, clips)
        return rng.beta(means * self.concentration, (1 - means) * self.concentration, shape)

    def forged(self, faces: int, clips: int, rng: np.random.Generator) -> list[Floats]:
        a, b = self.forged_mean * self.concentration, (1 - self.forged_mean) * self.concentration
        return list(rng.beta(a, b, (faces, clips)))


def streams_of(people: Sequence[Floats], streams: int, clips: int, rng: np.random.Generator) -> Floats:
    """(streams, clips): one person each, drawn with replacement from that person's clips.

    What differs between people stays: their streams are as suspicious as they are.
    """
    return np.stack([drawn(people[place % len(people)], clips, rng) for place in range(streams)])
