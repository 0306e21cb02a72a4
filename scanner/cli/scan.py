"""`scanner scan`: verdicts on files, folders, patterns or standard input, without a broker."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scanner.cli.common import AsJson, DeviceName, Exit, ModelName, SettingsFile, settings_from, wants_json
from scanner.core.errors import SettingsError


class FailOn(StrEnum):
    MANIPULATED = "manipulated"
    SUSPECTED = "suspected"  # or worse
    INSUFFICIENT = "insufficient_evidence"


class CoverageChoice(StrEnum):
    FULL = "full"
    INSPECT = "inspect"
    PATROL = "patrol"


def scan(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", help="Files, folders, patterns, or - for stdin.")],
    as_json: AsJson = False,
    report: Annotated[Path | None, typer.Option("--report", help="Write a self-contained HTML page.")] = None,
    fail_on: Annotated[
        list[FailOn] | None, typer.Option("--fail-on", help="Exit 1 when a path gets this label (suspected: or worse).")
    ] = None,
    coverage: Annotated[CoverageChoice | None, typer.Option(help="How much is decoded and scored.")] = None,
    device: DeviceName = None,
    model: ModelName = None,
    settings: SettingsFile = None,
) -> None:
    """Scan video and print a verdict a segment and a summary a path."""
    from scanner.cli.printing import LinePrinter, TablePrinter
    from scanner.cli.scanning import scan_all

    chosen = settings_from(settings, scan_device=device, scan_model=model, scan_coverage=coverage and coverage.value)
    if report is not None and not (report.parent.is_dir() and os.access(report.parent, os.W_OK)):
        raise SettingsError(f"--report {report}: no folder {report.parent} to write to")
    printer = LinePrinter() if wants_json(as_json) else TablePrinter()
    outcome = scan_all(paths, chosen, printer, report)
    met = set(fail_on or ())
    if FailOn.SUSPECTED in met:
        met.add(FailOn.MANIPULATED)
    if {label.value for label in outcome.labels} & {wish.value for wish in met}:
        raise typer.Exit(Exit.FOUND)
    if outcome.failures:
        raise typer.Exit(Exit.WORLD)
