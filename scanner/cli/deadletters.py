"""`scanner deadletters list|show|redrive`: segments that got no verdict, why, and another try."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scanner.cli.common import (
    AsJson,
    Bootstrap,
    Exit,
    SettingsFile,
    complain,
    settings_from,
    shown,
    wants_json,
    write_line,
)

if TYPE_CHECKING:
    from scanner.redrive import Letter, Wanted
    from scanner.settings import Settings

app = typer.Typer(help="Segments that got no verdict: list them, look at one, try them again.", no_args_is_help=True)

Where = Annotated[
    list[str] | None, typer.Argument(metavar="[PARTITION/OFFSET]…", help="As list prints them.", show_default=False)
]
OfStream = Annotated[str | None, typer.Option("--stream", help="Only of this stream.", show_default=False)]
AtStage = Annotated[
    str | None, typer.Option("--stage", help="Only from wire, claim, decode or score.", show_default=False)
]
OfKind = Annotated[
    str | None, typer.Option("--disposition", help="Only poison, timeout, systemic or policy.", show_default=False)
]
Saying = Annotated[str | None, typer.Option("--error", help="Only with this in the error.", show_default=False)]
Hours = Annotated[
    float | None, typer.Option("--hours", min=0, help="Only of the last so many hours.", show_default=False)
]


@app.command("list")
def list_(
    stream: OfStream = None,
    stage: AtStage = None,
    disposition: OfKind = None,
    error: Saying = None,
    hours: Hours = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """List dead letters: a table on a terminal, JSON lines in a pipe."""
    from scanner.redrive import Wanted

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    wanted = Wanted(stream_id=stream, stage=stage, disposition=disposition, error=error)
    found = _found(chosen, wanted, hours)
    if wants_json(as_json):
        for letter in found:
            write_line(json.dumps(_told(letter)).encode())
    else:
        _print_table(found)


@app.command()
def show(
    where: Annotated[str, typer.Argument(metavar="PARTITION/OFFSET", help="As list prints them.")],
    save: Annotated[Path | None, typer.Option(help="Write the segment's bytes there.", show_default=False)] = None,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """Show everything about one dead letter, as JSON; with --save keep the bytes that could not be scanned."""
    from scanner.assembly.bus import kafka_bus, topics_of
    from scanner.core.types import Source
    from scanner.redrive import letter_of

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    partition, offset = _spot(where)
    delivery = kafka_bus(chosen).fetch(Source(topics_of(chosen).deadletters, partition, offset))
    letter = letter_of(delivery) if delivery else None
    if letter is None:
        complain(f"no dead letter lies at {where}")
        raise typer.Exit(Exit.WORLD)
    headers = {name: value.decode(errors="backslashreplace") for name, value in letter.record.headers}
    write_line(json.dumps({**_told(letter), "headers": headers}, indent=2).encode())
    if save is not None:
        save.write_bytes(letter.record.value or b"")


@app.command()
def redrive(
    where: Where = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the options leave.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of each.")] = False,
    stream: OfStream = None,
    stage: AtStage = None,
    disposition: OfKind = None,
    error: Saying = None,
    hours: Hours = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Put the segments of dead letters on their topic again, each once however often this is run.

    What has a verdict meanwhile, or was redriven before, is left alone. A redrive ends one that is under way elsewhere
    and goes on from there. Exit code 3 when the bytes of some are nowhere any more, or another redrive took over.
    """
    from scanner.assembly.bus import kafka_bus, topics_of
    from scanner.core.errors import SettingsError
    from scanner.redrive import Fate, Wanted
    from scanner.redrive import redrive as drive

    if not (where or everything or stream or stage or disposition or error or hours):
        raise SettingsError("say which: PARTITION/OFFSET, an option that chooses, or --all")
    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    wanted = Wanted(frozenset(map(_spot, where or ())), stream, stage, disposition, error)
    fates = dict.fromkeys(Fate, 0)

    def told(letter: Letter, fate: Fate) -> None:
        fates[fate] += 1
        if wants_json(as_json):
            write_line(json.dumps({**_told(letter), "fate": fate.value, "dry_run": dry_run}).encode())
        else:
            typer.echo(f"{_where(letter)} {fate.value.replace('_', ' ')}{' (dry run)' if dry_run else ''}")

    drive(kafka_bus(chosen), topics_of(chosen), _found(chosen, wanted, hours), dry=dry_run, told=told)
    typer.echo(", ".join(f"{count} {fate.value.replace('_', ' ')}" for fate, count in fates.items()), err=True)
    if fates[Fate.GONE]:
        raise typer.Exit(Exit.WORLD)


def _found(settings: Settings, wanted: Wanted, hours: float | None) -> list[Letter]:
    import time

    from scanner.assembly.bus import kafka_bus, topics_of
    from scanner.redrive import letters

    since_ms = None if hours is None else round((time.time() - hours * 3600) * 1000)
    return list(letters(kafka_bus(settings), topics_of(settings), wanted, since_ms=since_ms))


def _spot(text: str) -> tuple[int, int]:
    from scanner.core.errors import SettingsError

    partition, _, offset = text.partition("/")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise SettingsError(f"{text!r} is not PARTITION/OFFSET")
    return int(partition), int(offset)


def _where(letter: Letter) -> str:
    return f"{letter.at.partition}/{letter.at.offset}"


def _told(letter: Letter) -> dict[str, Any]:
    from datetime import UTC, datetime

    from scanner.letters import redriven_from

    told, source = letter.rejected, letter.rejected.source
    return {
        "at": _where(letter),
        "time": datetime.fromtimestamp(letter.at_ms / 1000, UTC).isoformat(timespec="milliseconds"),
        "stream_id": letter.header("stream-id"),
        "sequence": letter.header("sequence"),
        "source": f"{source.topic}/{source.partition}/{source.offset}",
        "stage": told.stage,
        "disposition": told.disposition,
        "attempt": told.attempt,
        "error": told.error,
        "message": told.message,
        "bytes": len(letter.record.value or b"") if told.omitted_bytes is None else told.omitted_bytes,
        "redriven_from": redriven_from(letter.record),
    }


def _print_table(found: list[Letter]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("at", "time", "stream", "sequence", "stage", "disposition", "message", box=None, pad_edge=False)
    for letter in found:
        told = _told(letter)
        cells = (told[name] for name in ("at", "time", "stream_id", "sequence", "stage", "disposition", "message"))
        table.add_row(*(shown(str(cell)) for cell in cells))
    Console(markup=False, file=sys.stdout).print(table)
    typer.echo(f"{len(found)} dead letters", err=True)
