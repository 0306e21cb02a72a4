"""`scanner bench archive|priorities`: an archive through 1, 2, 3 workers; live streams beside one."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.benching import Clips, ProfileName, Seconds, loops_of, progress, say, table_of_live
from scanner.cli.common import AsJson, Bootstrap, DeviceName, Exit, ModelName, SettingsFile, settings_from, wants_json

if TYPE_CHECKING:
    from scanner.bench.archive import ArchiveFigures, Decoding
    from scanner.bench.figures import LiveFigures
    from scanner.media.inputs import Input
    from scanner.ports import Bus
    from scanner.settings import Settings


def archive(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, folders, patterns.")],
    copies: Annotated[int, typer.Option(min=1, help="Each file as so many streams.")] = 1,
    workers: Annotated[str, typer.Option(help="Sizes of the group, one run each.")] = "1,2,3",
    at_once: Annotated[int, typer.Option(min=1, help="Files cut side by side.")] = 2,
    device: DeviceName = None,
    model: ModelName = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Replay an archive through Kafka by groups of several sizes, beside decoding alone, and compare what they say.

    Exit code 1 when two runs differ in a byte of a verdict other than its times and the offset of its segment.
    """
    from scanner.assembly.cores import core_count
    from scanner.bench.archive import decoding_alone, run_archive, unlike
    from scanner.bench.group import on_kafka
    from scanner.cli.publish import streams_of

    chosen = settings_from(settings, scan_device=device, scan_model=model)
    streams = streams_of(paths, None, copies)
    alone = decoding_alone(sorted({item.path for item in streams}), core_count())
    _tell_decoding(alone, as_json=wants_json(as_json))
    first, differ = None, 0
    for count in [int(number) for number in workers.split(",")]:
        with on_kafka(chosen, count, bootstrap) as group:
            publish = partial(_published, streams, chosen, at_once)
            figures, payloads = run_archive(group, count, publish, partial(progress, 0.0))
        _tell(figures, alone, as_json=wants_json(as_json))
        first = first or payloads
        apart = unlike(first, payloads)
        differ += len(apart)
        for stream, sequence in apart[:5]:
            typer.echo(f"{stream}/{sequence} is answered otherwise by {count} workers", err=True)
    typer.echo(f"{differ} segments answered differently" if differ else "every run said the same", err=True)
    if differ:
        raise typer.Exit(Exit.FOUND)


def _published(streams: list[Input], settings: Settings, at_once: int, bus: Bus, topic: str) -> int:
    from contextlib import closing
    from dataclasses import replace
    from threading import Event

    from scanner.assembly.bus import media_store
    from scanner.cli.publish import plan_of
    from scanner.cli.publishing import publish_all
    from scanner.wire import Failure

    plan = replace(plan_of(settings, "max", loop=False), topic=topic)
    with closing(bus.publisher()) as publisher:
        outcomes = publish_all(streams, plan, publisher, media_store(settings), Event(), at_once=at_once)
        return sum(0 if isinstance(outcome, Failure) else outcome.segments for outcome in outcomes)


def _tell_decoding(alone: Decoding, *, as_json: bool) -> None:
    speed = {"hours_per_hour": round(alone.hours_per_hour, 2), "per_core_hour": round(alone.hours_per_core_hour, 2)}
    if as_json:
        say({"figure": "decoding", **asdict(alone), **speed})
        return
    typer.echo(
        f"decoding alone: {speed['hours_per_hour']} h of video an hour, {speed['per_core_hour']} an hour of a core"
    )


def _tell(figures: ArchiveFigures, alone: Decoding, *, as_json: bool) -> None:
    share = round(figures.hours_per_core_hour / alone.hours_per_core_hour, 3)
    speed = {"hours_per_hour": round(figures.hours_per_hour, 2), "per_core_hour": round(figures.hours_per_core_hour, 2)}
    if as_json:
        say({"figure": "archive", **asdict(figures), **speed, "beside_decoding": share})
        return
    typer.echo(
        f"{figures.workers} workers: {figures.segments} segments, {figures.dead_letters} dead letters,"
        f" {figures.video_s / 3600:.2f} h of video in {figures.wall_s:.0f} s; {speed['hours_per_hour']} h an hour,"
        f" {speed['per_core_hour']} an hour of a core ({share} of decoding alone); payloads {figures.sha256[:16]}"
    )


def priorities(
    clips: Clips = None,
    streams: Annotated[int, typer.Option(min=1, help="Live streams at once.")] = 8,
    seconds: Seconds = 60.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns without and with an archive.")] = 1,
    profile: ProfileName = "720p30",
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    backlog: Annotated[float, typer.Option(min=0.1, help="Segments of archives, for each second.")] = 6.0,
    device: DeviceName = None,
    model: ModelName = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Measure live streams' latency through a worker group, without and with a backlog of archives beside them."""
    import tempfile

    from scanner.bench.archive import backlog as backlogged
    from scanner.bench.group import on_kafka
    from scanner.bench.live import run_live
    from scanner.bench.material import profile_named

    chosen = settings_from(settings, scan_device=device, scan_model=model, log_level="warning")
    with tempfile.TemporaryDirectory() as folder:
        made = loops_of(Path(folder), profile_named(profile), clips)
        for _ in range(rounds):
            for segments in (0, round(backlog * seconds)):
                with on_kafka(chosen, workers, bootstrap) as group:
                    backlogged(group, made, segments)
                    figures, _ = run_live(group, made, streams=streams, seconds=seconds, told=progress)
                    topic = group.topics.archive
                    left = sum(group.bus.lag(topic, group.name).values()) if topic else 0
                _tell_both(figures, segments, segments - left, left, as_json=wants_json(as_json))


def _tell_both(figures: LiveFigures, backlog: int, answered: int, left: int, *, as_json: bool) -> None:
    if as_json:
        facts = {"archive_segments": backlog, "archive_answered": answered, "archive_left": left}
        say({"figure": "priorities", **facts, **asdict(figures)})
        return
    typer.echo(
        f"an archive of {backlog} segments beside them, {answered} answered, {left} left" if backlog else "alone"
    )
    table_of_live(figures)
