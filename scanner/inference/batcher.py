"""Batches across streams: clips from many threads wait a moment for company, then go to the model together.

Urgent clips pass the others: their batches are scored first, and one batch's memory is kept for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from scanner.core.errors import InferenceError
from scanner.core.types import Clip, ClipScore
from scanner.ports import ClipModel, Scores


@dataclass(frozen=True, slots=True)
class Scored:
    """A clip's score and where the model saw traces."""

    score: ClipScore
    map: NDArray[np.float32] = field(repr=False)
    """(T, h, w) in [0, 1]"""


@dataclass(slots=True, eq=False)
class _Batch:
    pixels: NDArray[np.uint8]
    """(B, T, S, S, 3)"""
    waiting: list[tuple[Clip, Future[Scored]]] = field(default_factory=list)
    since_s: float = 0.0
    urgent: bool = False
    """whether one of its clips is"""


class Batcher:
    """Owns the model's threads. Use as a context manager; leaving it waits for what was submitted.

    On the CPU a batch of one clip is already many pictures, and clips are scored one by one whatever the batch, so
    `size` is 1 there. On a GPU larger batches fill the device.
    """

    def __init__(
        self,
        model: ClipModel,
        *,
        size: int = 1,
        wait_ms: float = 5.0,
        threads: int = 1,
        ahead: int = 2,
        buffer: Callable[[int], NDArray[np.uint8]] | None = None,
        leave_s: float | None = None,
    ) -> None:
        """
        Args:
            size: clips in a full batch.
            wait_ms: how long the first clip of a batch waits for company.
            threads: batches scored at the same time.
            ahead: full batches that may wait; `submit` blocks beyond, which holds the cells back.
            buffer: gives the memory that batches are gathered in, (N, T, S, S, 3) for N clips.
            leave_s: how long leaving waits for a model that hangs; None: until it is done.
        """
        self._buffer = buffer or self._plain
        self._model = model
        self._size = size
        self._wait_s = wait_ms / 1000
        self._leave_s = leave_s
        self._free = [self._new() for _ in range(threads + ahead)]
        self._kept = min(1, ahead)
        self._urgent = 0
        """urgent clips that wait for a batch"""
        self._ready: list[_Batch] = []
        self._open: _Batch | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name=f"score-{n}", daemon=True) for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(self._leave_s)

    def submit(self, clip: Clip, *, urgent: bool = True) -> Future[Scored]:
        """Copies the clip's pixels at once; blocks while every batch is full. Raises InferenceError once closed.

        Args:
            urgent: False lets urgent clips pass.
        """
        future: Future[Scored] = Future()
        with self._changed:
            self._urgent += urgent
            while not (self._room(urgent=urgent) or self._closing):
                self._changed.wait()
            self._urgent -= urgent
            self._put(clip, future, urgent=urgent)
        return future

    def offer(self, clip: Clip) -> Future[Scored] | None:
        """The same, but None instead of waiting."""
        future: Future[Scored] = Future()
        with self._changed:
            if not (self._room(urgent=True) or self._closing):
                return None
            self._put(clip, future, urgent=True)
        return future

    def probe(self) -> None:
        """Scores a grey clip. Raises InferenceError: then the fault is the model's or its device's, not a clip's."""
        spec = self._model.spec
        grey = np.full((spec.length, spec.size, spec.size, 3), 128, np.uint8)
        self.submit(Clip(0, 0, 0, 0, grey)).result()

    def _room(self, *, urgent: bool) -> bool:
        if urgent:
            return self._open is not None or bool(self._free)
        return not self._urgent and (self._open is not None or len(self._free) > self._kept)

    def _put(self, clip: Clip, future: Future[Scored], *, urgent: bool) -> None:
        if self._closing:
            raise InferenceError("nothing is scored any more: the program ends")
        batch = self._open or self._begin()
        batch.pixels[len(batch.waiting)] = clip.pixels
        batch.waiting.append((clip, future))
        batch.urgent |= urgent
        if len(batch.waiting) == self._size:
            self._ready.append(batch)
            self._open = None
        self._changed.notify_all()

    def _begin(self) -> _Batch:
        self._open = self._free.pop()
        self._open.since_s = time.monotonic()
        return self._open

    def _new(self) -> _Batch:
        return _Batch(self._buffer(self._size))

    def _plain(self, clips: int) -> NDArray[np.uint8]:
        spec = self._model.spec
        return np.empty((clips, spec.length, spec.size, spec.size, 3), np.uint8)

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._score(batch)
            finally:
                with self._changed:
                    batch.waiting, batch.urgent = [], False
                    self._free.append(batch)
                    self._changed.notify_all()

    def _next(self) -> _Batch | None:
        with self._changed:
            while True:
                left_s = self._left_s()
                due = [*self._ready, self._open] if self._open and left_s <= 0 else self._ready
                if due:
                    return self._taken(max(due, key=lambda batch: batch.urgent))  # of several, the first
                if self._open is not None:
                    self._changed.wait(left_s)
                elif self._closing:
                    return None
                else:
                    self._changed.wait()

    def _left_s(self) -> float:
        """How long the open batch waits for company yet."""
        if self._open is None or self._closing:
            return 0.0
        return self._open.since_s + self._wait_s - time.monotonic()

    def _taken(self, batch: _Batch) -> _Batch:
        if batch is self._open:
            self._open = None
        else:
            self._ready.remove(batch)
        return batch

    def _score(self, batch: _Batch) -> None:
        try:
            scores = self._model.score(batch.pixels[: len(batch.waiting)])
        except InferenceError as error:
            for _, future in batch.waiting:
                future.set_exception(error)
            return
        except BaseException as error:
            for _, future in batch.waiting:
                future.set_exception(InferenceError(f"scoring thread failed: {error!r}"))
            raise
        for place, (clip, future) in enumerate(batch.waiting):
            future.set_result(_scored(clip, scores, place))


def _scored(clip: Clip, scores: Scores, place: int) -> Scored:
    score = ClipScore(
        tracklet=clip.tracklet,
        start_ms=clip.start_ms,
        end_ms=clip.end_ms,
        repeats=clip.repeats,
        logit=round(float(scores.logits[place]), 4),
        frame_logits=tuple(round(float(logit), 3) for logit in scores.frame_logits[place]),
    )
    return Scored(score, scores.maps[place])
