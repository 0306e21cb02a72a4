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
from dataclasses import dataclass, replace

from scanner.core.types import Clip, Mode, Observation, Segment, StreamState, Timing
from scanner.core.verdict import Conclusion, Judge, conclude, nothing_seen
from scanner.inference.batcher import Batcher, Scored
from scanner.ports import Observer
from scanner.provenance import weighed

Witness = Callable[[Segment, Clip], None]
"""Shown every clip as it is cut (a report keeps thumbnails). The clip's pixels are only lent."""


@dataclass(frozen=True, slots=True)
class Look:
    """A segment that was observed and scored, not yet judged."""

    segment: Segment
    observation: Observation
    scored: tuple[Scored, ...]
    timing: Timing
    pictures: tuple[bytes, ...] = ()
    """one a clip that was scored, when the pipeline makes any"""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Observe, score, conclude."""

    observer: Observer
    batcher: Batcher
    judge: Judge
    witness: Witness | None = None
    picture: Callable[[Clip], bytes] | None = None
    """makes a small picture of every clip, for people who watch"""

    def look(self, segment: Segment, mode: Mode) -> Look:
        """Observes and scores. Raises MediaError, CellLostError or InferenceError."""
        if not segment.payload:
            return Look(segment, nothing_seen(mode), (), Timing())  # a bare end of stream: there is nothing to decode
        began = time.monotonic()
        sighting = self.observer.observe(segment, mode)
        waiting: list[Future[Scored]] = []
        pictures: list[bytes] = []
        for clip in sighting.clips():
            if self.picture is not None:
                pictures.append(self.picture(clip))
            waiting.append(self._submit(segment, clip))
        observation = sighting.observation()
        observed = time.monotonic()
        scored = tuple(future.result() for future in waiting)
        done = time.monotonic()
        timing = Timing(observe=_ms(observed - began), score=_ms(done - observed), total=_ms(done - began))
        return Look(segment, observation, scored, timing, tuple(pictures))

    def answer(self, state: StreamState, look: Look) -> Conclusion:
        """Judges. Pure but for the timing it passes on."""
        scores = [scored.score for scored in look.scored]
        conclusion = conclude(state, look.segment, look.observation, scores, self.judge)
        verdict = conclusion.verdict
        provenance = weighed(verdict.provenance, verdict.label)
        return replace(conclusion, verdict=replace(verdict, timing_ms=look.timing, provenance=provenance))

    def _submit(self, segment: Segment, clip: Clip) -> Future[Scored]:
        if self.witness is not None:
            self.witness(segment, clip)
        return self.batcher.submit(clip)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
