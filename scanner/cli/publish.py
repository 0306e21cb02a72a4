"""`scanner publish`: files to the segments topic, cut at keyframes and never re-encoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import AsJson, Exit, SettingsFile, complain, errors, settings_from, wants_json, write_line

if TYPE_CHECKING:
    from scanner.cli.publishing import Plan, Published, Told
    from scanner.core.types import Segment
    from scanner.media.inputs import Input
    from scanner.settings import Settings
    from scanner.wire import Failure

_MOST_STREAMS = 256  # a thread and a cutter's process each


def publish(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, folders, patterns, or - for stdin.")],
    speed: Annotated[
        str, typer.Option(help="Multiples of real time (1 is live), or max: as fast as the broker takes it.")
    ] = "max",
    loop: Annotated[bool, typer.Option("--loop", help="Begin again at the end, until Ctrl-C or SIGTERM.")] = False,
    stream_id: Annotated[
        str | None, typer.Option("--stream-id", help="The stream's name; the file's by default.", show_default=False)
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="Publish each file as so many streams (for load).")] = 1,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Streams side by side; 4 at maximal speed, else all.", show_default=False)
    ] = None,
    inline_limit: Annotated[
        int | None, typer.Option(min=1, help="Bytes; larger segments travel as claim checks.", show_default=False)
    ] = None,
    bootstrap: Annotated[
        str | None, typer.Option("--bootstrap", help="Brokers, host:port,…", show_default=False)
    ] = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Cut files into segments and publish them; print one line a stream when all its segments are durable."""
    import signal
    from contextlib import closing
    from threading import Event

    from scanner.assembly.bus import kafka_bus, media_store
    from scanner.cli.publishing import publish_all
    from scanner.wire import Failure

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap, claims_inline_limit_bytes=inline_limit)
    streams = streams_of(paths, stream_id, copies)
    plan = plan_of(chosen, speed, loop=loop)
    stop, failures = Event(), 0
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    side_by_side = at_once or min(len(streams), _MOST_STREAMS if loop or plan.speed else 4)
    with closing(kafka_bus(chosen).publisher()) as publisher, _shown(len(streams)) as told:
        for outcome in publish_all(
            streams, plan, publisher, media_store(chosen), stop, at_once=side_by_side, told=told
        ):
            failures += isinstance(outcome, Failure)
            _say(outcome, as_json=wants_json(as_json))
    if failures:
        raise typer.Exit(Exit.WORLD)


def streams_of(paths: list[str], stream_id: str | None, copies: int) -> list[Input]:
    from dataclasses import replace

    from scanner.core.errors import SettingsError
    from scanner.media.inputs import inputs

    found = list(inputs(paths))
    if stream_id is not None:
        if len(found) > 1:
            raise SettingsError(f"--stream-id names one stream, and {len(found)} files were given")
        found = [replace(found[0], stream_id=stream_id)]
    names = [item.stream_id for item in found]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"two files would be one stream: {', '.join(repeated)}; give their folder instead")
    if copies == 1:
        return found
    return [replace(item, stream_id=f"{item.stream_id}~{copy}") for item in found for copy in range(1, copies + 1)]


def plan_of(chosen: Settings, speed: str, *, loop: bool) -> Plan:
    from scanner.assembly.bus import topics_of
    from scanner.assembly.scan import limits_of
    from scanner.cli.publishing import Plan
    from scanner.core.errors import SettingsError
    from scanner.credentials import lifting

    try:
        factor = None if speed == "max" else float(speed)
    except ValueError:
        factor = -1.0
    if factor is not None and not 0 < factor < float("inf"):
        raise SettingsError(f"--speed is max or a number above 0, got {speed}")
    return Plan(
        topic=topics_of(chosen).segments,
        target_s=chosen.scan.segment_s,
        limits=limits_of(chosen),
        speed=factor,
        loop=loop,
        inline_limit_bytes=chosen.claims.inline_limit_bytes,
        claims_root=chosen.claims.write_to,
        lifted=lifting(chosen.provenance.c2pa_trust, chosen.provenance.c2pa_wait_s),
    )


def _say(outcome: Published | Failure, *, as_json: bool) -> None:
    import json

    from scanner.wire import Failure

    if as_json:
        write_line(json.dumps(asdict(outcome), ensure_ascii=False).encode())
    elif isinstance(outcome, Failure):
        complain(f"not published: {outcome.reason}")
    else:
        claims = f", {outcome.claims} as claims" if outcome.claims else ""
        damage = f" ({outcome.damage})" if outcome.damage else ""
        size = f"{outcome.bytes / 1e6:.1f} MB{claims}, {outcome.duration_ms / 1000:.1f} s"
        typer.echo(f"{outcome.stream_id}: {outcome.segments} segments, {size}{damage}")


@contextmanager
def _shown(streams: int) -> Iterator[Told]:
    """A line on stderr, when it is a terminal: segments, bytes, rate."""
    from threading import Lock

    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    counted = TextColumn("{task.fields[segments]} segments of {task.fields[streams]} streams")
    columns = (SpinnerColumn(), counted, TransferSpeedColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task("", total=None, segments=0, streams=streams)
        lock, segments = Lock(), count(1)

        def told(segment: Segment) -> None:
            with lock:
                bars.update(task, advance=len(segment.payload), segments=next(segments))

        yield told
