"""`scanner replay`: archives, scanned here on all cores or published to the topic; and two results compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from scanner.cli.common import (
    AsJson,
    Bootstrap,
    DeviceName,
    Exit,
    ModelName,
    SettingsFile,
    errors,
    settings_from,
    wants_json,
    write_line,
)

if TYPE_CHECKING:
    from scanner.replay.diff import Difference
    from scanner.replay.results import FileResult


class _RunByDefault(TyperGroup):
    """`replay PATH…` is `replay run PATH…`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    help="Scan archives, resumable; compare two results. `replay PATH…` runs.", no_args_is_help=True, cls=_RunByDefault
)


@app.command()
def run(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]…", help="Files, folders, patterns, s3://bucket/prefix.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="CSV or JSON lines: path, stream_id.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of results and journal; run again to go on.")] = Path(
        "replay"
    ),
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Results by content; default: the cache folder.", show_default=False)
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")] = False,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Files side by side.")] = 2,
    bandwidth: Annotated[
        float | None, typer.Option(min=0.001, help="Most megabytes a second read.", show_default=False)
    ] = None,
    room: Annotated[float, typer.Option(min=0.001, help="Most GB that objects fetched from s3:// take here.")] = 8.0,
    parquet: Annotated[bool, typer.Option("--parquet", help="Also write results.parquet.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    to: Annotated[
        str | None, typer.Option("--to", help="kafka: publish the segments for the workers.", show_default=False)
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", help="With --to kafka: not that of archives.", show_default=False)
    ] = None,
    speed: Annotated[str, typer.Option(help="With --to kafka: multiples of real time, or max.")] = "max",
    from_topic: Annotated[bool, typer.Option("--from-topic", help="Scan the segments topic, here.")] = False,
    since: Annotated[str, typer.Option(help="With --from-topic: 90m, 2h or 7d ago, or a time.")] = "1h",
    until: Annotated[str | None, typer.Option(help="Likewise.", show_default=False)] = None,
    bootstrap: Bootstrap = None,
    coverage: Annotated[str | None, typer.Option(help="full, inspect or patrol.", show_default=False)] = None,
    device: DeviceName = None,
    model: ModelName = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Scan an archive. What is done is not done again, also after kill -9; unchanged files come from the cache."""
    from scanner.cli.replay_topic import archive_topic, publish_archive, scan_topic
    from scanner.cli.replaying import Order, dry, run_all
    from scanner.core.errors import SettingsError
    from scanner.replay.items import items_of
    from scanner.replay.journal import RESULTS
    from scanner.replay.results import write_parquet

    flags = {"scan_device": device, "scan_model": model, "scan_coverage": coverage}
    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap, **flags)
    if from_topic:
        if to is not None or paths or manifest:
            raise SettingsError(
                "--from-topic scans what lies on the topic, here: it takes no --to, PATH or --manifest. Workers need no"
                " copy of it: those of another kafka.group, with answer topics of their own, begin where it begins"
            )
        told = scan_topic(chosen, out, since, until)
        if parquet:
            write_parquet(out / RESULTS, out / "results.parquet")
        _end(told, as_json=wants_json(as_json))
        return
    items = items_of(paths or (), manifest, chosen.claims.s3_endpoint)
    order = Order(
        out, None if no_cache else cache or _cache_folder(), at_once, bandwidth, parquet, room_bytes=round(room * 1e9)
    )
    if to is not None and not dry_run:
        if to != "kafka":
            raise SettingsError(f"--to {to}: only kafka is known")
        told = publish_archive(items, chosen, order, speed, topic or archive_topic(chosen))
        _end(told, as_json=wants_json(as_json))
        return
    if dry_run:
        for line in dry(items, chosen, order):
            _line(line, as_json=wants_json(as_json))
        return
    _end(run_all(items, chosen, order), as_json=wants_json(as_json))


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A replay's folder, JSON lines, Parquet, or topic:NAME.")],
    after: Annotated[str, typer.Argument(help="The other one.")],
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with a plot.", show_default=False)] = None,
    since: Annotated[str, typer.Option(help="Of topics: 90m, 2h or 7d ago, or a time.")] = "1h",
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Compare two results of one archive, or two topics of verdicts: changed labels, moved scores, agreement."""
    import json
    from dataclasses import asdict

    from scanner.replay.diff import compare
    from scanner.replay.page import write_page
    from scanner.replay.results import read_results

    def results(given: str) -> dict[str, FileResult]:
        topic = given.removeprefix("topic:")
        if topic == given:
            return read_results(Path(given))
        from scanner.cli.replay_topic import said_on

        return said_on(settings_from(settings, kafka_bootstrap_servers=bootstrap), topic, since)

    found = compare(results(before), results(after))
    if html is not None:
        write_page(html, found, before, after)
    if wants_json(as_json):
        told: dict[str, Any] = asdict(found)
        del told["pairs"]
        write_line(json.dumps({"type": "difference", **told}, ensure_ascii=False).encode())
    else:
        _table(found)


def _cache_folder() -> Path:
    import os

    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "scanner", "replay")


def _end(told: dict[str, Any], *, as_json: bool) -> None:
    _line(told, as_json=as_json)
    if told["stopped"] or told["failed"]:
        raise typer.Exit(Exit.WORLD)


def _line(told: dict[str, Any], *, as_json: bool) -> None:
    import json

    if as_json:
        write_line(json.dumps(told, ensure_ascii=False).encode())
        return
    for name, value in told.items():
        if name != "type":
            shown = ", ".join(f"{key} {count}" for key, count in value.items()) if isinstance(value, dict) else value
            typer.echo(f"{name.replace('_', ' ')}: {shown}")


def _table(found: Difference) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    moves = Table("before", "after", "count", box=None, pad_edge=False)
    for old, new, count in found.labels:
        moves.add_row(old, new if new != old else f"[dim]{new}[/]", str(count))
    console = Console()
    console.print(moves)
    if found.changed:
        changed = Table("stream", "before", "after", "score", "", box=None, pad_edge=False)
        for change in found.changed[:50]:
            scores = ["–" if score is None else f"{score:.2f}" for score in (change.score_before, change.score_after)]
            changed.add_row(escape(change.stream_id), change.before, change.after, *scores)
        console.print(changed)
    shift = found.shift
    if shift is not None:
        console.print(
            f"score moved by {shift.mean:+.3f} on average, median {shift.median:+.3f},"
            f" 95 % within ±{shift.p95_absolute:.3f}, at most {shift.largest_absolute:.3f} ({shift.count} scored)"
        )
    kappa = "–" if found.kappa is None else f"{found.kappa:.3f}"
    segments = f"{found.segments_changed} of {found.segments_compared} segments changed label"
    console.print(f"Cohen's kappa {kappa}; {segments}")
    for name, missing in (("first", found.only_before), ("second", found.only_after)):
        if missing:
            errors.print(f"only in the {name}: {len(missing)}, e.g. {missing[0]}", markup=False)
