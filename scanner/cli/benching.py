"""What `bench` and `plan` share: material, a bus with workers, progress, figures as tables."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.cli.common import settings_from, write_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanner.bench.figures import LiveFigures
    from scanner.bench.group import Group
    from scanner.bench.material import Loop
    from scanner.settings import Settings

_TOLD_EACH = 10

Clips = Annotated[
    list[Path] | None,
    typer.Argument(help="Videos to use; drawn talking heads when none is given.", show_default=False),
]
ProfileName = Annotated[str, typer.Option("--profile", help="360p30, 720p30 or 1080p30: what the encoder is set to.")]

Seconds = Annotated[float, typer.Option(min=4, help="How long a run publishes.")]
BusName = Annotated[str, typer.Option("--bus", help="kafka or memory.")]


def patrolling(
    settings: Path | None,
    device: str | None,
    model: str | None,
    coverage: str | None,
    patrol_clips: int | None,
    patrol_every: float | None,
) -> Settings:
    """Settings under what a verb was told of how to look. Raises SettingsError."""
    return settings_from(
        settings,
        scan_device=device,
        scan_model=model,
        scan_coverage=coverage,
        policy_patrol_clips=patrol_clips,
        policy_patrol_every_s=patrol_every,
        log_level="warning",
    )


def group_for(settings: Settings, on: str, workers: int, bootstrap: str | None) -> AbstractContextManager[Group]:
    from scanner.bench.group import in_memory, on_kafka
    from scanner.core.errors import SettingsError

    if on == "kafka":
        return on_kafka(settings, workers, bootstrap)
    if on == "memory" and workers == 1:
        return in_memory(settings)
    raise SettingsError(f"--bus must be kafka, or memory with one worker, got {on!r} with {workers}")


def loops_of(folder: Path, profile: Any, clips: Sequence[Path] | None) -> list[Loop]:
    from scanner.bench.material import loops
    from scanner.media.inputs import inputs

    files = [item.path for item in inputs([str(clip) for clip in clips])] if clips else []
    return loops(folder, profile, files)


def progress(now_s: float, published: int, answered: int) -> None:
    tell_on_terminal(f"{now_s:6.1f} s  {published} segments published, {answered} answered")


def tell_of(done: int, of: int, what: str) -> None:
    """Where nobody watches a terminal, a line now and then: a run of an hour that says nothing seems to hang."""
    import sys

    if sys.stderr.isatty():
        tell_on_terminal(f"{done} of {of} {what}")
    elif done % _TOLD_EACH == 0 or done == of:
        typer.echo(f"{done} of {of} {what}", err=True)


def tell_on_terminal(text: str) -> None:
    """Over the line that was told before; nothing where nobody watches."""
    import sys

    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text} ")
        sys.stderr.flush()


def say(facts: dict[str, Any]) -> None:
    import json

    write_line(json.dumps(facts).encode())


def table_of_stages(costs: Sequence[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "unit", "ours, ms", "bare, ms", "ours / bare", "bare is")
    for cost in costs:
        ratio = f"{cost.overhead:.2f}" if cost.bare_ms else ""
        bare = f"{cost.bare_ms:.3f}" if cost.bare_ms else ""
        table.add_row(cost.stage, cost.unit, f"{cost.ours_ms:.3f}", bare, ratio, cost.bare)
    Console().print(table)


def table_of_live(figures: LiveFigures) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", title=f"{figures.streams} streams, {'held' if figures.held else 'not held'}")
    latency = "  ".join(f"{name} {value:.0f}" for name, value in figures.latency_ms.items())
    table.add_row("segment available → verdict read, ms", latency)
    table.add_row("segments published / answered", f"{figures.published} / {figures.answered}")
    table.add_row("behind at the end, s of media", f"{figures.behind_s:g}")
    table.add_row(
        "face-frames scored a stream-second; where a face was seen; segments without one",
        f"{figures.face_frames_per_stream_s:g}; {figures.face_frames_where_seen:g}; {figures.segments_without_face}",
    )
    table.add_row("coverage", "  ".join(f"{name} {count}" for name, count in figures.coverage.items()))
    table.add_row("observe / score, median ms a segment", f"{figures.observe_ms:g} / {figures.score_ms:g}")
    table.add_row("cores busy", "  ".join(f"{name} {value:.2f}" for name, value in figures.cpu.items()))
    table.add_row("… inside libraries", "  ".join(f"{name} {value:.2f}" for name, value in figures.libraries.items()))
    if figures.ours is not None:
        table.add_row("share of workers and cells that is ours", f"{figures.ours:.1%}")
    for name, values in (
        ("memory, PSS, MiB", figures.memory_mib),
        ("memory, RSS, MiB", figures.rss_mib),
        ("growth, MiB", figures.growth_mib),
    ):
        table.add_row(name, "  ".join(f"{role} {value:g}" for role, value in values.items()))
    table.add_row("video in, MiB/s", f"{figures.mib_per_s:g}")
    Console().print(table)
