"""One look at a segment. What fails for everybody is waited for; only what is a segment's own fault refuses it.

store away ────────────────────────▶ wait, try again
model fails ──▶ on a grey clip, too? ─yes─▶ wait, try again
                                     └no──▶ the segment's own fault
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts at what does not answer; then 5 s for ever

Hold = Callable[[float], float]


class GoneError(Exception):
    """Nobody waits for this look any more."""


class Looker:
    """Called on many threads."""

    def __init__(self, pipeline: Pipeline, store: MediaStore) -> None:
        self._pipeline = pipeline
        self._store = store
        self._lock = threading.Lock()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Looks that wait for the store or the model to come back."""
        return self._waiting

    def look(self, job: Job, mode: Mode, hold: Hold | None = None) -> Look:
        """Raises ScannerError for a fault of the segment's own, GoneError when the wait was in vain.

        Args:
            hold: what makes this look wait for those that are urgent; None: it is urgent itself. See Pipeline.
        """
        pipeline = replace(self._pipeline, urgent=hold is None, hold=hold)
        for pause_s in chain(BACKOFF_S, repeat(BACKOFF_S[-1])):
            try:
                return look_again(pipeline, self._fetched(job.segment), mode)
            except ClaimUnavailableError as error:
                self._wait(job, pause_s, error)
            except InferenceError as error:
                if self._model_is_well():
                    raise
                self._wait(job, pause_s, error)
        raise AssertionError("unreachable")

    def _fetched(self, segment: Segment) -> Segment:
        if segment.claim is None:
            return segment
        payload = self._store.get(segment.claim.uri, segment.claim.size, segment.claim.sha256)
        return replace(segment, payload=payload)

    def _model_is_well(self) -> bool:
        try:
            self._pipeline.batcher.probe()
        except InferenceError:
            return False
        return True

    def _wait(self, job: Job, pause_s: float, error: ScannerError) -> None:
        log.warning("waiting", stage=error.stage.value, error=str(error), retry_s=pause_s)
        with self._counted():
            if job.gone.wait(pause_s):
                raise GoneError

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
