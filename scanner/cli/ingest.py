"""`scanner ingest`: live sources to the segments topic, never re-encoded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import AsJson, Bootstrap, SettingsFile, errors, settings_from, wants_json, write_line

if TYPE_CHECKING:
    from scanner.ingest import Ingest, Plan, Roster
    from scanner.ports import Bus
    from scanner.settings import Settings

_LOOK_S = 3.0  # at the topic, before anything starts: streams do not wait


def ingest(
    urls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME=]URL…", help="rtmp, rtsp, srt, http(s) (HLS, DASH), udp, tcp, v4l2, files, pipes."
        ),
    ] = None,
    sources: Annotated[
        Path | None, typer.Option("--sources", help="TOML, a table a source; edits are followed.", show_default=False)
    ] = None,
    segment: Annotated[
        float | None, typer.Option("--segment", help="Seconds a segment, at a keyframe.", show_default=False)
    ] = None,
    spool: Annotated[
        Path | None, typer.Option("--spool", help="Where segments wait for the broker.", show_default=False)
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve /metrics and /livez there.", show_default=False)
    ] = None,
    api_port: Annotated[int | None, typer.Option(help="Add and remove sources there.", show_default=False)] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Pull or listen for live streams and publish their segments, until SIGTERM or Ctrl-C.

    rtmp://0.0.0.0:1935/live/key?listen=1 and srt://0.0.0.0:9000?mode=listener wait for a push. Segments wait on disk
    while the broker is away; what does not fit is lost, oldest first, and counted.
    """
    import signal
    from threading import Event

    from scanner.telemetry import serve_metrics

    flags = {"segment_s": segment, "spool_dir": spool, "api_port": api_port}
    ours = {f"ingest_{name}": value for name, value in flags.items()}
    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap, **ours)
    running = _assembled(chosen, urls or [], sources)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if metrics_port is not None:
        serve_metrics(metrics_port, running.pulse)
    with _api(running, chosen), errors.status("starting") as line:
        running.run(stop, lambda: line.update(_line(running)), lasting=chosen.ingest.api_port is not None)
    if left := len(running.spool):
        told = f"scanner: {left} segments wait in {running.spool.folder} for the next start"
        errors.print(told, style="yellow", markup=False)
    for source in running.status.sources():
        _say(source, as_json=wants_json(as_json))


def _assembled(chosen: Settings, urls: list[str], file: Path | None) -> Ingest:
    """Everything that can be refused is refused here. Raises SettingsError, TopicMissingError."""
    from scanner.assembly.bus import kafka_bus, media_store
    from scanner.ingest import Ingest, Roster, source_of
    from scanner.ingest.claims import ClaimRule
    from scanner.telemetry import IngestMetrics

    plan = _plan(chosen)
    kept = None if chosen.ingest.api_port is None else plan.spool / "sources.json"
    roster = Roster([source_of(url) for url in urls], file, kept)
    _check(roster, chosen)
    bus = kafka_bus(chosen)
    _find_topic(kafka_bus(chosen, deadline_s=_LOOK_S), plan.topic)
    claims = ClaimRule(media_store(chosen), chosen.claims.inline_limit_bytes, chosen.claims.write_to)
    return Ingest(bus, plan, roster, claims, IngestMetrics())


def _check(roster: Roster, chosen: Settings) -> None:
    """Raises SettingsError; before anybody is waited for."""
    from scanner.core.errors import SettingsError
    from scanner.ingest import address_of

    if chosen.ingest.api_port is None and roster.file is None and not roster.sources():
        raise SettingsError("nothing to ingest: give [NAME=]URL…, --sources FILE or --api-port PORT")
    for source in roster.sources():
        address_of(source)
    if chosen.ingest.api_port is not None and chosen.ingest.api_token is None:
        raise SettingsError("ingest.api_port needs ingest.api_token (SCANNER_INGEST__API_TOKEN), 16 characters or more")


@contextmanager
def _api(running: Ingest, chosen: Settings) -> Iterator[None]:
    """While it is entered, sources are added and removed by HTTP, where that was asked for."""
    from scanner.ingest.api import Api

    ours = chosen.ingest
    if ours.api_port is None or ours.api_token is None:
        yield
        return
    with Api(running, ours.api_host, ours.api_port, ours.api_token.get_secret_value()) as api:
        errors.print(f"scanner: sources at {api.address}/sources", markup=False, highlight=False)
        yield


def _find_topic(bus: Bus, topic: str) -> None:
    """Raises TopicMissingError; a broker that is away is waited for."""
    from scanner.core.errors import BrokerUnavailableError

    try:
        bus.reader([topic], from_beginning=False).close()
    except BrokerUnavailableError as error:
        errors.print(f"scanner: {error}; segments wait on disk until it is there", style="yellow", markup=False)


def _line(running: Ingest) -> str:
    """The line on a terminal: what is live, what waits, what was lost."""
    from rich.markup import escape

    from scanner.ingest.status import State

    sources = running.status.sources()
    live = sum(source["state"] == State.LIVE for source in sources)
    cut, lost = (sum(int(str(source[name])) for source in sources) for name in ("segments", "lost"))
    waiting = f"{len(running.spool)} waiting ({running.spool.bytes / 1e6:.1f} MB)"
    return escape(
        f"{live} of {len(sources)} live, {cut} segments cut, {waiting}, {lost} lost, broker {running.status.broker}"
    )


def _say(source: dict[str, object], *, as_json: bool) -> None:
    import json

    if as_json:
        write_line(json.dumps({"type": "ingested", **source}, ensure_ascii=False).encode())
        return
    counts = ", ".join(f"{source[name]} {name}" for name in ("segments", "published", "lost", "reconnects"))
    why = f" (last: {source['last_error']})" if source["last_error"] else ""
    typer.echo(f"{source['name']}: {counts}{why}")


def _plan(chosen: Settings) -> Plan:
    from scanner.assembly.bus import topics_of
    from scanner.assembly.scan import limits_of
    from scanner.credentials import lifting
    from scanner.ingest import Plan
    from scanner.ingest.feed import Rules

    ours = chosen.ingest
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Plan(
        topic=topics_of(chosen).segments,
        spool=ours.spool_dir or Path(state, "scanner", "ingest"),
        spool_bytes=ours.spool_mib * 1024 * 1024,
        drain_s=ours.drain_s,
        rules=Rules(
            ours.segment_s,
            ours.stall_s,
            ours.longest_pause_s,
            ours.end_after_s,
            limits_of(chosen),
            lifting(chosen.provenance.c2pa_trust, chosen.provenance.c2pa_wait_s),
        ),
    )
