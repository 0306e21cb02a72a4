"""`scanner demo`: a drawn talking head and its forged twin through bus, worker and back; nothing to install."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import AsJson, DeviceName, ModelName, SettingsFile, settings_from, wants_json

if TYPE_CHECKING:
    from scanner.assembly.scan import Assembled
    from scanner.settings import Settings


def demo(
    folder: Annotated[
        Path | None, typer.Option("--keep", help="Keep the drawn clips in this folder.", show_default="not kept")
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Play both without an end, and serve the dashboard over them.")
    ] = False,
    open_browser: Annotated[bool, typer.Option("--open", help="With --dashboard: open it in a browser.")] = False,
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

    chosen = settings_from(settings, scan_device=device, scan_model=model, scan_coverage="full", worker_drain_s=2)
    set_up_logs("warning", chosen.log.format)  # a line a segment would drown the table
    printer = LinePrinter() if wants_json(as_json) else TablePrinter()
    with tempfile.TemporaryDirectory(prefix="scanner-demo-") as scratch, assembled(chosen) as parts:
        target = folder or Path(scratch)
        target.mkdir(parents=True, exist_ok=True)
        errors.print("drawing a portrait that talks, and a forged twin (forged from second 2 on)", style="dim")
        clips = drawn(target)
        errors.print(f"scanning both with {parts.model.ref.name} on {parts.device}", style="dim")
        if dashboard or open_browser:
            _watched(clips, parts, chosen, open_browser=open_browser)
            return
        found: dict[str, list[Verdict]] = {name: [] for name in clips}
        for verdict in verdicts_of(clips, parts, chosen, Metrics(CollectorRegistry())):
            found[verdict.stream_id].append(verdict)
            printer.verdict(verdict)
        policy = policy_of(chosen, parts.model.card)
        for name, verdicts in found.items():
            printer.summary(summarise(name, verdicts, policy))
        printer.close()


def _watched(clips: dict[str, Path], parts: Assembled, settings: Settings, *, open_browser: bool) -> None:
    """Until SIGTERM or Ctrl-C."""
    import secrets
    import signal
    import tempfile
    import threading
    import webbrowser

    from prometheus_client import CollectorRegistry

    from scanner.assembly.bus import topic_plans
    from scanner.bus.memory import MemoryBus
    from scanner.cli.common import errors
    from scanner.cli.dashboard import check_extra
    from scanner.demo import play, working
    from scanner.telemetry import Metrics

    check_extra()
    from scanner.dashboard.accounts import Accounts, Role
    from scanner.dashboard.serve import serving, site_for

    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    bus = MemoryBus()
    bus.create(topic_plans(settings))
    password, ticket = secrets.token_urlsafe(12), secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="scanner-demo-") as scratch:
        accounts = Accounts(Path(scratch) / "users.json")
        accounts.add("demo", Role.ADMIN, password)
        site = site_for(settings, bus, accounts)
        site.ticket = ticket
        with working(settings, bus, parts, Metrics(CollectorRegistry())) as failed, serving(settings, site) as address:
            entrance = f"{address}/sign-in?ticket={ticket}"
            errors.print(f"dashboard: {entrance}  (once; or {address} as demo, {password})", soft_wrap=True)
            if open_browser:
                webbrowser.open(entrance)
            player = threading.Thread(target=play, args=(clips, bus, settings, stop), name="player")
            player.start()
            while not stop.wait(0.2) and not failed:
                pass
            stop.set()
            player.join()
        if failed:
            raise failed[0]
