"""The road from a segment's bytes to its verdict, on one page.

    observe   Segment ──▶ Observation, Clips          in a decode cell: hostile bytes, no memory, any cell will do
    score     Clips of many streams ──▶ Scores        in this process, in batches
    conclude  StreamState, Observation, Scores ──▶ Verdict, Alerts, StreamState'      pure

`look` may run for many segments at once; `answer` runs in the order of each stream. Alone on one machine, on the
in-memory bus and on Kafka, with one worker or ten, segments come down this same road.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from scanner.core.types import Clip, Mode, Observation, Pixels, Segment, StreamState, Timing, Verdict
from scanner.core.verdict import Conclusion, Judge, conclude, nothing_seen
from scanner.inference.batcher import Batcher, Scored
from scanner.ports import Observer
from scanner.provenance import weighed
from scanner.shadow import Glance, Scores, Shadow

Witness = Callable[[Segment, Clip], None]
"""Shown every clip as it is cut (a report keeps thumbnails). The clip's pixels are only lent."""


@dataclass(frozen=True, slots=True)
class Look:
    """A segment that was observed and scored, not yet judged."""

    segment: Segment
    observation: Observation
    scored: tuple[Scored, ...]
    timing: Timing
    pictures: tuple[Pixels, ...] = field(default=(), repr=False)
    """one a clip that was scored, when the pipeline makes any"""
    began_s: float = 0.0
    """monotonic clock; 0 when nobody looked"""
    shadow: Scores | None = None
    """what a second model scored, if there is one and it did"""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Observe, score, conclude."""

    observer: Observer
    batcher: Batcher
    judge: Judge
    witness: Witness | None = None
    picture: Callable[[Clip], Pixels] | None = None
    """makes a small picture of every clip, for people who watch"""
    shadow: Shadow | None = None
    urgent: bool = True
    """False lets the clips of others pass in the batcher"""
    hold: Callable[[float], float] | None = None
    """waits between two clips while others need the machine more; told how long this look was held so far, it says for
    how long it was now (seconds)"""
    stepwise: Observer | None = None
    """what observes for looks that are held: it stands still when they do; None: the observer of all"""

    def look(self, segment: Segment, mode: Mode) -> Look:
        """Observes and scores. Raises MediaError, CellLostError or InferenceError."""
        if not segment.payload:
            # A bare end of stream: there is nothing to decode.
            return Look(segment, nothing_seen(mode), (), Timing(), shadow=() if self.shadow else None)
        began = time.monotonic()
        observer = self.stepwise if self.hold and self.stepwise else self.observer
        sighting = observer.observe(segment, mode)
        glance = self.shadow.glance() if self.shadow else None
        waiting: list[Future[Scored]] = []
        pictures: list[Pixels] = []
        held_s = 0.0
        for clip in sighting.clips():
            if self.picture is not None:
                pictures.append(self.picture(clip))
            waiting.append(self._submit(segment, clip, glance))
            held_s += self.hold(held_s) if self.hold else 0.0
        observation = sighting.observation()
        observed = time.monotonic()
        scored = tuple(future.result() for future in waiting)
        done = time.monotonic()
        timing = Timing(observe=_ms(observed - began), score=_ms(done - observed), total=_ms(done - began))
        shadow = glance.scores() if glance else None
        return Look(segment, observation, scored, timing, tuple(pictures), began, shadow)

    def answer(self, state: StreamState, look: Look) -> Conclusion:
        """Judges. Pure but for the timing it passes on."""
        scores = [scored.score for scored in look.scored]
        conclusion = conclude(state, look.segment, look.observation, scores, self.judge)
        return replace(conclusion, verdict=_finished(conclusion.verdict, look))

    def compare(self, remembered: StreamState | None, first: StreamState, look: Look) -> Conclusion | None:
        """What the shadow says of the same look, if it has anything to say; see Shadow.conclude."""
        if self.shadow is None or look.shadow is None:
            return None
        conclusion = self.shadow.conclude(remembered, first, look.segment, look.observation, look.shadow)
        return replace(conclusion, verdict=_finished(conclusion.verdict, look))

    def _submit(self, segment: Segment, clip: Clip, glance: Glance | None) -> Future[Scored]:
        if self.witness is not None:
            self.witness(segment, clip)
        if glance is not None:
            glance.show(clip)
        return self.batcher.submit(clip, urgent=self.urgent)


def _finished(verdict: Verdict, look: Look) -> Verdict:
    return replace(verdict, timing_ms=look.timing, provenance=weighed(verdict.provenance, verdict.label))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
