"""`scanner plan`: settings for this machine, the live streams it holds with them, and the cost of an hour of video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.benching import BusName, Clips, ProfileName, group_for, loops_of, progress, say, table_of_live
from scanner.cli.common import AsJson, Bootstrap, Exit, SettingsFile, complain, settings_from, wants_json

if TYPE_CHECKING:
    from scanner.bench.figures import LiveFigures
    from scanner.bench.planning import Costs, Search, Trial
    from scanner.core.types import Verdict
    from scanner.settings import Settings


def plan(
    clips: Clips = None,
    streams: Annotated[int, typer.Option(min=1, help="Live streams to hold.")] = 16,
    p95: Annotated[float, typer.Option(min=0.05, help="Seconds within which 95 % must be answered.")] = 2.0,
    price: Annotated[float, typer.Option(min=0, help="Price of this machine an hour, in any currency.")] = 0.10,
    seconds: Annotated[float, typer.Option(min=10, help="Length of each live run.")] = 30.0,
    profile: ProfileName = "720p30",
    on: BusName = "kafka",
    model: Annotated[list[str] | None, typer.Option(help="Models to try; the one that is set by default.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Devices to try; the one that is set by default.")] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Mean difference of scores that is accepted.")] = 0.02,
    find_max: Annotated[bool, typer.Option("--find-max", help="Also find the most streams.")] = False,
    write: Annotated[Path | None, typer.Option(help="Write the settings file there.", show_default=False)] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Try settings under live load; tell which to set, what this machine holds with them, and what video costs.

    First cells, threads, models and devices, then batches, then closer looks in patrol. Exit code 1 when no setting
    holds the streams within the wanted time.
    """
    import tempfile

    from scanner.assembly.scan import assembled
    from scanner.bench.live import run_live
    from scanner.bench.material import profile_named
    from scanner.bench.planning import Search, Wish, costs, settings_text, with_candidate
    from scanner.bench.search import most_held
    from scanner.bench.stages import batch_cost
    from scanner.inference.onnx import resolve_device

    chosen = settings_from(settings, log_level="warning")
    with tempfile.TemporaryDirectory() as folder:
        made = loops_of(Path(folder), profile_named(profile), clips)

        def run(under: Settings, count: int) -> tuple[LiveFigures, list[Verdict]]:
            with group_for(under, on, 1, bootstrap) as group:
                return run_live(group, made, streams=count, seconds=seconds, told=progress)

        search = Search(run, chosen, Wish(streams, p95, tolerance))
        devices = [str(resolve_device(wish)) for wish in device or [chosen.scan.device]]
        best = _best(search, model or [chosen.scan.model], devices, as_json)
        under = with_candidate(chosen, best.candidate)
        held = most_held(lambda count: run(under, count)[0], streams) if find_max else streams
        with assembled(under) as parts:
            speed = batch_cost(parts, made, rounds=2).times_real_time
    text = settings_text(best.candidate, streams, best.figures.latency_ms["p95"])
    if write is not None:
        write.write_text(text)
    _tell(best, held, speed, price, costs(price, held, speed), as_json)
    if not wants_json(as_json):
        typer.echo(f"settings written to {write}" if write else text)


def _best(search: Search, models: list[str], devices: list[str], as_json: bool) -> Trial:
    """Tries every candidate, telling of each; exits when none fits."""
    from dataclasses import asdict

    from scanner.assembly.cores import core_count

    for trial in search.trials(core_count(), models, devices):
        if wants_json(as_json):
            say({"figure": "trial", **asdict(trial)})
        else:
            typer.echo(_described(trial))
    if search.best is None:
        complain("no setting holds so many streams within the wanted time, with scores that stay")
        raise typer.Exit(Exit.FOUND)
    return search.best


def _described(trial: Trial) -> str:
    made = trial.candidate
    apart = "" if trial.score_difference is None else f", scores apart by {trial.score_difference:.4f}"
    return (
        f"{made.model} on {made.device}, {made.cells} cells, {made.score_threads} scoring threads, batch"
        f" {made.batch_size or 'auto'} within {made.batch_wait_ms:g} ms, patrol {made.patrol_clips} every"
        f" {made.patrol_every_s:g} s: p95 {trial.figures.latency_ms['p95']:.0f} ms{apart}"
        f"{'' if trial.fits else ', does not fit'}"
    )


def _tell(best: Trial, held: int, speed: float, price: float, bill: Costs, as_json: bool) -> None:
    from dataclasses import asdict

    if wants_json(as_json):
        facts = {"streams_held": held, "times_real_time": speed, "price_per_hour": price}
        say({"figure": "plan", **asdict(best.candidate), **facts, **asdict(bill)})
        return
    table_of_live(best.figures)
    typer.echo(
        f"held: {held} streams; full coverage of archives: {speed:g} × real time. At {price:g} an hour,"
        f" 1,000 hours of live video cost {bill.thousand_stream_hours:g}, of archive {bill.thousand_archive_hours:g}"
    )
