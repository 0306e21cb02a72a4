"""Scanning without a bus: segments of one path down the pipeline, several at once, answered in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from scanner.core.errors import Disposition, ScannerError
from scanner.core.types import Mode, Segment, StreamState
from scanner.core.verdict import Conclusion
from scanner.pipeline import Look, Pipeline

ATTEMPTS = 2  # a lost cell may be the machine's fault once


@dataclass(frozen=True, slots=True)
class Answered:
    """A segment that got its verdict, with what it was reached from."""

    look: Look
    conclusion: Conclusion


@dataclass(frozen=True, slots=True)
class Refused:
    """A segment that got no verdict: what would be a dead letter on the bus."""

    segment: Segment
    error: ScannerError


def answers(
    pipeline: Pipeline, segments: Iterator[Segment], *, mode: Mode | None, ahead: int
) -> Iterator[Answered | Refused]:
    """One answer a segment, in order.

    Args:
        mode: how much of each segment is looked at; None lets the evidence decide, which takes one segment at a time.
        ahead: segments looked at at the same time.
    """
    states: dict[str, StreamState] = {}
    with ThreadPoolExecutor(ahead, thread_name_prefix="look") as looks:
        waiting: deque[tuple[Segment, Future[Look]]] = deque()
        try:
            for segment in segments:
                now = mode or _state(states, segment).mode
                waiting.append((segment, looks.submit(look_again, pipeline, segment, now)))
                while len(waiting) > (ahead if mode else 0):
                    yield _answer(pipeline, states, *waiting.popleft())
            while waiting:
                yield _answer(pipeline, states, *waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


def look_again(pipeline: Pipeline, segment: Segment, mode: Mode) -> Look:
    """Looks once more when the first attempt was lost for a reason that may pass."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return pipeline.look(segment, mode)
        except ScannerError as error:
            if error.disposition is not Disposition.RETRY or attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _answer(
    pipeline: Pipeline, states: dict[str, StreamState], segment: Segment, future: Future[Look]
) -> Answered | Refused:
    try:
        look = future.result()
    except ScannerError as error:
        if error.disposition is Disposition.HALT:
            raise
        return Refused(segment, error)
    conclusion = pipeline.answer(_state(states, segment), look)
    states[segment.stream_id] = conclusion.state
    return Answered(look, conclusion)


def _state(states: dict[str, StreamState], segment: Segment) -> StreamState:
    return states.get(segment.stream_id) or StreamState(segment.stream_id)
