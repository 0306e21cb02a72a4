"""`scanner bench stages|live`: how fast this machine is, by one command."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.cli.common import (
    AsJson,
    Bootstrap,
    DeviceName,
    ModelName,
    PatrolClips,
    PatrolEvery,
    SettingsFile,
    settings_from,
    wants_json,
    write_line,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanner.bench.figures import LiveFigures
    from scanner.bench.group import Group
    from scanner.bench.material import Loop
    from scanner.settings import Settings

app = typer.Typer(help="Measure speed: each stage beside its bare library, live streams held.", no_args_is_help=True)
Clips = Annotated[
    list[Path] | None,
    typer.Argument(help="Videos to use; drawn talking heads when none is given.", show_default=False),
]
ProfileName = Annotated[str, typer.Option("--profile", help="360p30, 720p30 or 1080p30: what the encoder is set to.")]


@app.command()
def stages(
    clips: Clips = None,
    profile: ProfileName = "720p30",
    device: DeviceName = None,
    model: ModelName = None,
    rounds: Annotated[int, typer.Option(min=3, help="Turns a stage; medians are shown.")] = 7,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Time decode, detect, crop, score, conclude and wire, each beside its bare library, and a full batch."""
    import tempfile
    from dataclasses import asdict

    from scanner.assembly.scan import assembled
    from scanner.bench.material import profile_named
    from scanner.bench.stages import batch_cost, stage_costs

    chosen = settings_from(settings, scan_device=device, scan_model=model)
    with tempfile.TemporaryDirectory() as folder, assembled(chosen) as parts:
        made = loops_of(Path(folder), profile_named(profile), clips)
        costs = []
        for cost in stage_costs(parts, chosen, made[0].segments[0], rounds):
            costs.append(cost)
            if wants_json(as_json):
                say({"stage": cost.stage, **asdict(cost), "overhead": round(cost.overhead, 3)})
        batch = batch_cost(parts, made)
    if wants_json(as_json):
        say({"stage": "batch", **asdict(batch)})
        return
    _table_of_stages(costs)
    typer.echo(
        f"full coverage on {batch.cores} cores: {batch.times_real_time:g} × real time; bare decoding and scoring of the"
        f" same frames is {batch.efficiency:.0%} of the cores' time; {batch.ours:.1%} of the processor time is neither"
        " FFmpeg's nor mediapipe's nor ONNX Runtime's"
    )


@app.command()
def live(
    clips: Clips = None,
    streams: Annotated[int, typer.Option(min=1, help="Live streams at once; where --find-max begins.")] = 8,
    seconds: Annotated[float, typer.Option(min=4, help="How long a run publishes.")] = 60.0,
    profile: ProfileName = "720p30",
    on: Annotated[str, typer.Option("--bus", help="kafka or memory.")] = "kafka",
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, on kafka.")] = 1,
    coverage: Annotated[str | None, typer.Option(help="auto, full, inspect or patrol.", show_default=False)] = None,
    patrol_clips: PatrolClips = None,
    patrol_every: PatrolEvery = None,
    find_max: Annotated[bool, typer.Option("--find-max", help="Search for the most streams that are held.")] = False,
    quality: Annotated[bool, typer.Option("--quality", help="Also compare patrol with full coverage.")] = False,
    device: DeviceName = None,
    model: ModelName = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Publish paced live streams through a worker and measure latency, load, and whether they are held.

    Held means: every segment answered, 95 % within 2 s of being available, nobody more than two segments behind.
    """
    import tempfile
    from dataclasses import asdict

    from scanner.bench.live import run_live
    from scanner.bench.material import profile_named
    from scanner.bench.search import most_held

    chosen = settings_from(
        settings,
        scan_device=device,
        scan_model=model,
        scan_coverage=coverage,
        policy_patrol_clips=patrol_clips,
        policy_patrol_every_s=patrol_every,
        log_level="warning",
    )
    with tempfile.TemporaryDirectory() as folder:
        made = loops_of(Path(folder), profile_named(profile), clips)

        def once(count: int) -> LiveFigures:
            with group_for(chosen, on, workers, bootstrap) as group:
                figures, _ = run_live(group, made, streams=count, seconds=seconds, told=progress)
            if wants_json(as_json):
                say({"figure": "live", "profile": profile, "bus": on, "workers": workers, **asdict(figures)})
            else:
                table_of_live(figures)
            return figures

        if find_max:
            best = most_held(once, streams)
            say({"figure": "most_held", "streams": best}) if wants_json(as_json) else typer.echo(f"held: {best}")
        else:
            once(streams)
        if quality:
            _quality(chosen, made, as_json)


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


def _quality(settings: Settings, made: list[Loop], as_json: bool) -> None:
    from dataclasses import asdict

    from scanner.assembly.scan import assembled
    from scanner.bench.quality import kept_in_patrol

    with assembled(settings) as parts:
        kept = kept_in_patrol(parts.pipeline, made)
    if wants_json(as_json):
        say({"figure": "quality", **asdict(kept)})
        return
    typer.echo(
        f"patrol beside full coverage: scores differ by {kept.score_difference:.3f} on average over {kept.segments}"
        f" segments; of {kept.caught_in_full} streams suspected in full, {kept.caught_in_patrol} are in patrol"
    )


def progress(now_s: float, published: int, answered: int) -> None:
    import sys

    if sys.stderr.isatty():
        sys.stderr.write(f"\r{now_s:6.1f} s  {published} segments published, {answered} answered ")
        sys.stderr.flush()


def say(facts: dict[str, Any]) -> None:
    import json

    write_line(json.dumps(facts).encode())


def _table_of_stages(costs: Sequence[Any]) -> None:
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
