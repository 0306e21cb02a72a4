"""A second model on the clips that the first one sees, to be compared: it speaks on a topic of its own, raises no
alert, and is left behind rather than waited for.

    clip ──▶ first model ──▶ verdict, alerts, state
      └────▶ shadow ───────▶ verdict on topics.shadow      fails, is full or late ──▶ none for this segment
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from scanner.core.errors import InferenceError
from scanner.core.types import Clip, ClipScore, Observation, Segment, StreamState
from scanner.core.verdict import Conclusion, Judge, conclude
from scanner.inference.batcher import Batcher, Scored

PATIENCE_S = 2.0  # how long a segment that the first model has done may wait for the shadow
REST_S = 60.0  # after one that waited in vain, so that a model that hangs costs a thirtieth at most

Told = Callable[[str, str], None]
"""what became of a segment (judged, failed, full, late, resting), and why"""


@dataclass(slots=True)
class Shadow:
    """Shared by all looks."""

    batcher: Batcher
    judge: Judge
    told: Told = lambda *_: None
    patience_s: float = PATIENCE_S
    rest_s: float = REST_S
    _rests_until_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def glance(self) -> Glance | None:
        """For one segment; None while it rests."""
        if time.monotonic() < self._rests_until_s:
            self.told("resting", "it did not answer in time a while ago")
            return None
        return Glance(self)

    def conclude(
        self, remembered: StreamState | None, first: StreamState, segment: Segment, seen: Observation, look: Scores
    ) -> Conclusion:
        """As the first model's, but for the alerts: those are nobody's business.

        Args:
            remembered: by the shadow, up to this segment; None begins with what the first model remembered, less its
                evidence.
            first: what the first model remembered before this segment.
        """
        own = replace(remembered or _without_evidence(first), mode=first.mode)  # how to look is the first one's to say
        concluded = conclude(own, segment, seen, look, self.judge)
        return replace(concluded, alerts=())

    def late(self) -> None:
        with self._lock:
            self._rests_until_s = time.monotonic() + self.rest_s


Scores = tuple[ClipScore, ...]


class Glance:
    """One segment's clips, as the shadow scores them."""

    def __init__(self, shadow: Shadow) -> None:
        self._shadow = shadow
        self._waiting: list[Future[Scored]] = []
        self._full = False

    def show(self, clip: Clip) -> None:
        """Never waits: a shadow that is slower than the first model does without the segment."""
        if self._full:
            return
        future = self._shadow.batcher.offer(clip)
        if future is None:
            self._full = True
        else:
            self._waiting.append(future)

    def scores(self) -> Scores | None:
        """To be asked when the first model is done. None: the shadow has nothing to say of this segment."""
        if self._full:
            self._shadow.told("full", "it is slower than the first model")
            return None
        until = time.monotonic() + self._shadow.patience_s
        try:
            scored = [future.result(max(0.0, until - time.monotonic())) for future in self._waiting]
        except TimeoutError:
            self._shadow.late()
            self._shadow.told("late", f"no score within {self._shadow.patience_s:g} s; it rests")
            return None
        except InferenceError as error:
            self._shadow.told("failed", str(error))
            return None
        self._shadow.told("judged", "")
        return tuple(one.score for one in scored)


def _without_evidence(state: StreamState) -> StreamState:
    tracks = tuple(replace(track, evidence=(), calm_clips=0, alerted=False) for track in state.tracks)
    return replace(state, tracks=tracks)
