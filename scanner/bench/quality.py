"""What patrol costs in answers: the same streams looked at as a worker patrols them, and in full."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scanner.bench.material import GOP_S, Loop
from scanner.core.types import Label, Mode, StreamState, Verdict
from scanner.pipeline import Pipeline

WITHIN_S = 20
_CAUGHT = {Label.MANIPULATED, Label.SUSPECTED}


@dataclass(frozen=True, slots=True)
class StreamKept:
    """One stream's first 20 s."""

    name: str
    forged: bool | None
    """None where nobody said"""
    in_full: bool
    """full coverage suspects some segment, or worse"""
    in_patrol: bool
    differences: tuple[float, ...]
    """of the scores of the segments that both judged"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Patrol beside full coverage, over some streams."""

    streams: int
    segments: int
    """judged by both"""
    score_difference: float
    """mean absolute difference of their scores"""
    caught_in_full: int
    """streams of which some segment within 20 s is suspected or worse"""
    caught_in_patrol: int
    """of those"""
    only_in_patrol: int
    """streams suspected in patrol and not in full"""


def each_kept(
    pipeline: Pipeline, makers: Iterable[Callable[[], Loop]], mode: Mode | None, threads: int
) -> Iterator[StreamKept]:
    """Looks at every stream in full and in patrol, several at once; in their order.

    Args:
        makers: each makes one stream, when its turn comes.
        mode: of the patrol; None lets the evidence decide, as live streams do.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="bench quality") as pool:
        yield from pool.map(lambda make: kept_of(pipeline, make(), mode), makers)


def kept_of(pipeline: Pipeline, loop: Loop, mode: Mode | None) -> StreamKept:
    """Runs 20 s of media time in both modes; shorter loops begin again."""
    full, patrol = _verdicts(pipeline, loop, Mode.FULL), _verdicts(pipeline, loop, mode)
    pairs = [(a.score, b.score) for a, b in zip(full, patrol, strict=True)]
    return StreamKept(
        loop.name,
        loop.forged,
        any(verdict.label in _CAUGHT for verdict in full),
        any(verdict.label in _CAUGHT for verdict in patrol),
        tuple(round(abs(a - b), 6) for a, b in pairs if a is not None and b is not None),
    )


def summed(streams: Iterable[StreamKept]) -> Kept:
    seen = list(streams)
    differences = [value for stream in seen for value in stream.differences]
    return Kept(
        streams=len(seen),
        segments=len(differences),
        score_difference=round(sum(differences) / max(1, len(differences)), 4),
        caught_in_full=sum(stream.in_full for stream in seen),
        caught_in_patrol=sum(stream.in_full and stream.in_patrol for stream in seen),
        only_in_patrol=sum(stream.in_patrol and not stream.in_full for stream in seen),
    )


def _verdicts(pipeline: Pipeline, loop: Loop, mode: Mode | None) -> list[Verdict]:
    state, out = StreamState(loop.name), []
    for sequence in range(WITHIN_S // GOP_S):
        segment = loop.at(sequence)
        conclusion = pipeline.answer(state, pipeline.look(segment, mode or state.mode))
        state = conclusion.state
        out.append(conclusion.verdict)
    return out
