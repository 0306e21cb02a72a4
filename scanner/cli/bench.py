"""`scanner bench stages|live` (archive and priorities: bench_archive.py): how fast this machine is, by one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.benching import (
    BusName,
    Clips,
    ProfileName,
    Seconds,
    group_for,
    loops_of,
    patrolling,
    progress,
    say,
    table_of_live,
    table_of_stages,
    tell_of,
)
from scanner.cli.common import (
    AsJson,
    Bootstrap,
    Coverage,
    DeviceName,
    ModelName,
    PatrolClips,
    PatrolEvery,
    SettingsFile,
    settings_from,
    wants_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scanner.bench.figures import LiveFigures
    from scanner.bench.material import Loop, Profile
    from scanner.bench.quality import StreamKept
    from scanner.settings import Settings

app = typer.Typer(help="Measure speed: each stage beside its bare library, live streams held.", no_args_is_help=True)


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
        where = {"device": str(parts.device), "graphs": parts.model.graphs or "captured", "decode": chosen.scan.decode}
        say({"stage": "machine", **where}) if wants_json(as_json) else typer.echo(where)
        costs = []
        for cost in stage_costs(parts, chosen, made[0].segments[0], rounds):
            costs.append(cost)
            if wants_json(as_json):
                say({"stage": cost.stage, **asdict(cost), "overhead": round(cost.overhead, 3)})
        batch = batch_cost(parts, made)
    if wants_json(as_json):
        say({"stage": "batch", **asdict(batch)})
        return
    table_of_stages(costs)
    typer.echo(
        f"full coverage on {batch.cores} cores: {batch.times_real_time:g} × real time; bare decoding and scoring of the"
        f" same frames on them takes {batch.efficiency:.0%} of that time; {batch.ours:.1%} of the processor time is"
        " neither FFmpeg's nor mediapipe's nor ONNX Runtime's"
    )


@app.command()
def live(
    clips: Clips = None,
    streams: Annotated[int, typer.Option(min=1, help="Live streams at once; where --find-max begins.")] = 8,
    seconds: Seconds = 60.0,
    profile: ProfileName = "720p30",
    on: BusName = "kafka",
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, on kafka.")] = 1,
    coverage: Coverage = None,
    patrol_clips: PatrolClips = None,
    patrol_every: PatrolEvery = None,
    find_max: Annotated[bool, typer.Option("--find-max", help="Search for the most streams that are held.")] = False,
    compare: Annotated[bool, typer.Option("--quality", help="Also compare patrol with full coverage.")] = False,
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

    chosen = patrolling(settings, device, model, coverage, patrol_clips, patrol_every)
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
        if compare:
            _compare(chosen, made, as_json)


@app.command()
def quality(
    folder: Annotated[Path, typer.Argument(help="Folder of videos.", exists=True, file_okay=False)],
    labels: Annotated[Path, typer.Option(help="CSV with file,label (real or fake).", exists=True)],
    profile: ProfileName = "720p30",
    coverage: Coverage = None,
    patrol_clips: PatrolClips = None,
    patrol_every: PatrolEvery = None,
    limit: Annotated[int, typer.Option(min=0, help="Streams of each kind, evenly spread; 0: all.")] = 0,
    device: DeviceName = None,
    model: ModelName = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Of the forged streams that full coverage catches within 20 s, how many does patrol catch?

    Every video is sent as a live encoder would, again and again; real ones tell what else is suspected.
    """
    from dataclasses import asdict

    from scanner.bench.material import profile_named
    from scanner.bench.quality import summed
    from scanner.evaluation.labels import read_labels

    chosen = patrolling(settings, device, model, coverage, patrol_clips, patrol_every)
    items = read_labels(labels, folder)
    streams = []
    for forged in (True, False):
        mine = [folder / item.file for item in items if item.fake is forged]
        step = max(1, -(-len(mine) // limit)) if limit else 1
        streams += [(file, forged) for file in mine[::step]]
    seen = list(_kept(chosen, profile_named(profile), streams))
    for kind, wanted in (("forged", True), ("real", False)):
        kept = summed(stream for stream in seen if stream.forged is wanted)
        if wants_json(as_json):
            say({"figure": "quality", "kind": kind, **asdict(kept)})
            continue
        typer.echo(
            f"{kept.streams} {kind} streams: full coverage suspects {kept.caught_in_full} within 20 s, patrol"
            f" {kept.caught_in_patrol} of those and {kept.only_in_patrol} others; scores differ by"
            f" {kept.score_difference:.3f} on average over {kept.segments} segments"
        )


def _kept(settings: Settings, profile: Profile, streams: Sequence[tuple[Path, bool]]) -> Iterator[StreamKept]:
    """Encodes and looks at each, telling of progress."""
    import tempfile
    from functools import partial

    from scanner.assembly.scan import assembled, mode_of
    from scanner.bench.material import loop_of
    from scanner.bench.quality import WITHIN_S, each_kept

    with tempfile.TemporaryDirectory() as folder, assembled(settings) as parts:
        makers = [
            partial(loop_of, Path(folder), profile, file, seconds=WITHIN_S, forged=forged) for file, forged in streams
        ]
        mode = mode_of(settings, live=True)
        for number, kept in enumerate(each_kept(parts.pipeline, makers, mode, parts.cell_count + 1), start=1):
            yield kept
            tell_of(number, len(streams), "streams")


def _compare(settings: Settings, made: list[Loop], as_json: bool) -> None:
    from dataclasses import asdict

    from scanner.assembly.scan import assembled, mode_of
    from scanner.bench.quality import kept_of, summed

    with assembled(settings) as parts:
        kept = summed(kept_of(parts.pipeline, loop, mode_of(settings, live=True)) for loop in made)
    if wants_json(as_json):
        say({"figure": "quality", **asdict(kept)})
        return
    typer.echo(
        f"patrol beside full coverage: scores differ by {kept.score_difference:.3f} on average over {kept.segments}"
        f" segments; of {kept.caught_in_full} streams suspected in full, {kept.caught_in_patrol} are in patrol"
    )
