"""What patrol costs in answers: the same segments looked at in patrol and in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scanner.bench.material import GOP_S, Loop
from scanner.core.types import Label, Mode, StreamState, Verdict
from scanner.pipeline import Pipeline

WITHIN_S = 20
_CAUGHT = {Label.MANIPULATED, Label.SUSPECTED}


@dataclass(frozen=True, slots=True)
class Kept:
    """Patrol beside full coverage."""

    segments: int
    score_difference: float
    """mean absolute difference of the segments' scores"""
    caught_in_full: int
    """streams of which some segment within 20 s is suspected or worse"""
    caught_in_patrol: int
    """of those"""


def kept_in_patrol(pipeline: Pipeline, loops: Sequence[Loop]) -> Kept:
    """Runs every loop for 20 s of media time in both modes."""
    differences, full_caught, both_caught = [], 0, 0
    for loop in loops:
        full, patrol = (_verdicts(pipeline, loop, mode) for mode in (Mode.FULL, Mode.PATROL))
        differences += [
            abs(a.score - b.score)
            for a, b in zip(full, patrol, strict=True)
            if a.score is not None and b.score is not None
        ]
        caught = any(verdict.label in _CAUGHT for verdict in full)
        full_caught += caught
        both_caught += caught and any(verdict.label in _CAUGHT for verdict in patrol)
    mean = sum(differences) / len(differences) if differences else 0.0
    return Kept(len(differences), round(mean, 4), full_caught, both_caught)


def _verdicts(pipeline: Pipeline, loop: Loop, mode: Mode) -> list[Verdict]:
    state, out = StreamState(loop.name), []
    for segment in loop.segments[: WITHIN_S // GOP_S]:
        conclusion = pipeline.answer(state, pipeline.look(segment, mode))
        state = conclusion.state
        out.append(conclusion.verdict)
    return out
