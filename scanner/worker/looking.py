"""One look at a segment. What fails for everybody is waited for; only what is a segment's own fault refuses it.

store away ──▶ wait, try again ── claims.wait_s ──▶ a dead letter, to be redriven when the store is back
model fails ──▶ on a grey clip, too? ─yes─▶ wait, try again
                                     └no──▶ the segment's own fault
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat

import structlog

from scanner.core.errors import ClaimUnavailableError, InferenceError, ScannerError
from scanner.core.types import Mode, Segment
from scanner.local import look_again
from scanner.pipeline import Look, Pipeline
from scanner.ports import MediaStore
from scanner.worker.streams import Job

log = structlog.get_logger()

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts at what does not answer; then each 5 s

Hold = Callable[[float], float]


class GoneError(Exception):
    """Nobody waits for this look any more."""


class Looker:
    """Called on many threads. Whatever waits keeps its thread: a store that is away must not use up a whole topic."""

    def __init__(self, pipeline: Pipeline, store: MediaStore, claim_wait_s: float) -> None:
        """
        Args:
            claim_wait_s: how long the store behind a claim is waited for.
        """
        self._pipeline = pipeline
        self._store = store
        self._claim_wait_s = claim_wait_s
        self._waiting: set[Job] = set()

    @property
    def waiting(self) -> int:
        """Looks that wait for the store or the model to come back."""
        return len(self._waiting)

    def look(self, job: Job, mode: Mode, hold: Hold | None = None) -> Look:
        """Raises ScannerError for a fault of the segment's own, GoneError when the wait was in vain.

        Args:
            hold: what makes this look wait for those that are urgent; None: it is urgent itself. See Pipeline.
        """
        try:
            return self._insisted(job, replace(self._pipeline, urgent=hold is None, hold=hold), mode)
        finally:
            self._waiting.discard(job)

    def _insisted(self, job: Job, pipeline: Pipeline, mode: Mode) -> Look:
        for pause_s in _pauses_s():
            segment = self._fetched(job)
            self._waiting.discard(job)
            try:
                return look_again(pipeline, segment, mode)
            except InferenceError as error:
                if self._model_is_well():
                    raise
                self._wait(job, pause_s, error)
        raise AssertionError("unreachable")

    def _fetched(self, job: Job) -> Segment:
        """Raises ClaimUnavailableError when the store was asked for long enough."""
        claim, began_s = job.segment.claim, time.monotonic()
        if claim is None:
            return job.segment
        for pause_s in _pauses_s():
            try:
                payload = self._store.get(claim.uri, claim.size, claim.sha256)
                return replace(job.segment, payload=payload)
            except ClaimUnavailableError as error:
                asked_s = time.monotonic() - began_s
                if asked_s + pause_s > self._claim_wait_s:
                    raise ClaimUnavailableError(f"{error} (asked again and again for {asked_s:.0f} s)") from error
                self._wait(job, pause_s, error)
        raise AssertionError("unreachable")

    def _model_is_well(self) -> bool:
        try:
            self._pipeline.batcher.probe()
        except InferenceError:
            return False
        return True

    def _wait(self, job: Job, pause_s: float, error: ScannerError) -> None:
        log.warning("waiting", stage=error.stage.value, error=str(error), retry_s=pause_s)
        self._waiting.add(job)
        if job.gone.wait(pause_s):
            raise GoneError


def _pauses_s() -> Iterator[float]:
    return chain(BACKOFF_S, repeat(BACKOFF_S[-1]))
