"""A progress bar on stderr for what takes longer than two seconds: frames, multiples of real time, time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from scanner.cli.common import errors
from scanner.local import Answered, Refused
from scanner.media.cutter import Cut

SHOWN_AFTER_S = 2.0


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        frames, speed = task.fields["frames"], task.fields["speed"]
        return Text(f"{frames} frames  {speed:.1f}× real time" if frames else "", style="cyan")


class Progress:
    """One bar a path; nothing before two seconds have passed, nothing without a terminal."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._began = time.monotonic()
        self._path_began = self._began
        self._task = bars.add_task("", total=None, visible=False, frames=0, speed=0.0)
        self._frames = 0

    def begin(self, name: str) -> None:
        self._frames = 0
        self._path_began = time.monotonic()
        self._bars.reset(self._task, total=None, description=name, frames=0, speed=0.0)

    def advance(self, pieces: Cut, answer: Answered | Refused) -> None:
        now = time.monotonic()
        if isinstance(answer, Answered):
            verdict = answer.conclusion.verdict
            self._frames += verdict.coverage.frames_decoded
            done_s = verdict.end_ms / 1000
            self._bars.update(
                self._task,
                completed=done_s,
                total=pieces.duration_s,
                frames=self._frames,
                speed=done_s / max(1e-3, now - self._path_began),
                visible=now - self._began > SHOWN_AFTER_S,
            )


@contextmanager
def shown_progress() -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        yield Progress(bars)


@contextmanager
def counting(what: str) -> Iterator[Callable[[int], None]]:
    """A count that grows, for what has no known end."""
    began = time.monotonic()
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}", markup=False))
    with Bars(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task(what, total=None, visible=False)
        yield lambda count: bars.update(task, completed=count, visible=time.monotonic() - began > SHOWN_AFTER_S)
