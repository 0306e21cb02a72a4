"""`scanner demo`: a drawn talking head and its forged twin through bus, worker and back; nothing to install."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scanner.cli.common import AsJson, DeviceName, ModelName, SettingsFile, settings_from, wants_json


def demo(
    folder: Annotated[
        Path | None, typer.Option("--keep", help="Keep the drawn clips in this folder.", show_default="not kept")
    ] = None,
    as_json: AsJson = False,
    device: DeviceName = None,
    model: ModelName = None,
    settings: SettingsFile = None,
) -> None:
    """Draw a sample and its forged twin, scan both on the in-memory bus, and print the verdicts."""
    import tempfile

    from prometheus_client import CollectorRegistry

    from scanner.assembly.scan import assembled, policy_of
    from scanner.cli.common import errors
    from scanner.cli.printing import LinePrinter, TablePrinter
    from scanner.core.summary import summarise
    from scanner.core.types import Verdict
    from scanner.demo import drawn, verdicts_of
    from scanner.telemetry import Metrics, set_up_logs

    chosen = settings_from(settings, scan_device=device, scan_model=model, scan_coverage="full")
    set_up_logs("warning", chosen.log.format)  # a line a segment would drown the table
    printer = LinePrinter() if wants_json(as_json) else TablePrinter()
    with tempfile.TemporaryDirectory(prefix="scanner-demo-") as scratch, assembled(chosen) as parts:
        target = folder or Path(scratch)
        target.mkdir(parents=True, exist_ok=True)
        errors.print("drawing a portrait that talks, and a forged twin (forged from second 2 on)", style="dim")
        clips = drawn(target)
        errors.print(f"scanning both with {parts.model.ref.name} on {parts.device}", style="dim")
        found: dict[str, list[Verdict]] = {name: [] for name in clips}
        for verdict in verdicts_of(clips, parts, chosen, Metrics(CollectorRegistry())):
            found[verdict.stream_id].append(verdict)
            printer.verdict(verdict)
        policy = policy_of(chosen, parts.model.card)
        for name, verdicts in found.items():
            printer.summary(summarise(name, verdicts, policy))
        printer.close()
