"""`scanner kafka up|down|status`: an Apache Kafka on this machine, without Docker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scanner.bus.broker import LocalBroker

app = typer.Typer(help="Start and stop a local Apache Kafka (Java; no Docker).", no_args_is_help=True)

Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Where the broker keeps its data, log and ports.", show_default="state folder"),
]


@app.command()
def up(
    folder: Folder = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port for clients; 0 takes a free one.", show_default="9092")
    ] = None,
) -> None:
    """Start the broker, fetching it first where needed, and print its address."""
    new = not _place(folder).exists()
    broker = _broker(folder, 9092 if new and port is None else port or 0)
    broker.start()
    typer.echo(broker.bootstrap)
    typer.echo(f"log and data in {broker.folder}; stop it with `scanner kafka down`", err=True)


@app.command()
def down(
    folder: Folder = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete topics and data as well.")] = False,
) -> None:
    """Stop the broker."""
    import shutil

    place = _place(folder)
    if not place.exists():
        typer.echo(f"no broker was started in {place}", err=True)
        return
    broker = _broker(folder)
    broker.stop()
    if delete:
        shutil.rmtree(broker.folder)
    typer.echo("stopped, data deleted" if delete else "stopped, data kept", err=True)


@app.command()
def status(folder: Folder = None) -> None:
    """Print the broker's address; exit code 3 when it does not run."""
    place = _place(folder)
    if not place.exists() or not (broker := _broker(folder)).running:
        typer.echo(f"not running in {place}; start it with `scanner kafka up`", err=True)
        raise typer.Exit(3)
    typer.echo(broker.bootstrap)


def _broker(folder: Path | None, port: int = 0) -> LocalBroker:
    from scanner.bus.broker import LocalBroker

    return LocalBroker(_place(folder), port=port, announce=lambda line: typer.echo(line, err=True))


def _place(folder: Path | None) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return folder or Path(state, "scanner", "kafka")
