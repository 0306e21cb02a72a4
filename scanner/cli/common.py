"""What the verbs share: results on stdout, everything else on stderr, exit codes, settings from flags."""

from __future__ import annotations

import os
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from scanner.core.text import visible

if TYPE_CHECKING:
    from scanner.settings import Settings

shown = visible  # text from outside, fit for a terminal
errors = Console(stderr=True, highlight=False)


class Exit(IntEnum):
    """What the shell is told."""

    DONE = 0
    FOUND = 1  # --fail-on was met
    USAGE = 2  # usage or settings
    WORLD = 3  # a file, the broker, the device: the world failed


SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML file with settings; ./scanner.toml by default.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON lines, as in a pipe.")]
ModelName = Annotated[str | None, typer.Option("--model", help="Model name or folder.", show_default=False)]
Coverage = Annotated[str | None, typer.Option(help="auto, full, inspect or patrol.", show_default=False)]
Bootstrap = Annotated[str | None, typer.Option("--bootstrap", help="Brokers, host:port,…", show_default=False)]
DeviceName = Annotated[
    str | None, typer.Option("--device", help="auto, cpu or cuda:N; one asked for and missing is an error.")
]

PatrolClips = Annotated[
    int | None, typer.Option("--patrol-clips", help="Clips back to back in each look of a patrol.", show_default=False)
]
PatrolEvery = Annotated[
    float | None,
    typer.Option("--patrol-every", help="Seconds of video between two looks; 0: one a segment.", show_default=False),
]


def settings_from(file: Path | None, **flags: Any) -> Settings:
    """Settings with flags on top; `scan_model="x"` speaks of scan.model."""
    from scanner.settings import load
    from scanner.telemetry import set_up_logs

    settings = load(file, {name.replace("_", ".", 1): value for name, value in flags.items()})
    set_up_logs(settings.log.level, settings.log.format)
    return settings


def complain(message: str) -> None:
    """One line on stderr."""
    errors.print(f"scanner: {shown(message)}", style="red", markup=False, soft_wrap=True)


def wants_json(as_json: bool) -> bool:
    return as_json or not sys.stdout.isatty()


def write_line(line: bytes) -> None:
    """A JSON line on stdout, at once: somebody may be reading along. Ends the verb when nobody is."""
    try:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        quit_quietly()
        raise typer.Exit(Exit.DONE) from None


def quit_quietly() -> None:
    """After the reader of our pipe left: no traceback at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
