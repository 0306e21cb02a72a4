"""`scanner topics create|lag|verify`: the topics the scanner needs, the lag of a group, the proof of its answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.acls import acls
from scanner.cli.common import AsJson, Exit, SettingsFile, settings_from, shown, wants_json, write_line

if TYPE_CHECKING:
    from scanner.core.answers import Proof

app = typer.Typer(
    help="Create topics; see how far workers are behind; prove that every segment was answered.", no_args_is_help=True
)

app.command()(acls)

Bootstrap = Annotated[str | None, typer.Option("--bootstrap", help="Brokers, host:port,…", show_default=False)]


@app.command()
def create(
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Partitions of each topic: the most workers that share one.")
    ] = None,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """Create the topics that are missing and print their names. Those that exist stay as they are."""
    from scanner.assembly.bus import kafka_bus, topic_plans

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap, topics_partitions=partitions)
    plans = topic_plans(chosen)
    created = kafka_bus(chosen).create(plans)
    for name in created:
        typer.echo(name)
    typer.echo(f"{len(created)} created, {len(plans) - len(created)} there already", err=True)


@app.command()
def lag(
    group: Annotated[str | None, typer.Option(help="Consumer group; the workers' by default.")] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Print, for each partition of the topics of segments, how many segments the group has not answered."""
    from scanner.assembly.bus import kafka_bus, topics_of

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap, kafka_group=group)
    bus = kafka_bus(chosen)
    behind = {
        place: count for asked in topics_of(chosen).asked for place, count in bus.lag(asked, chosen.kafka.group).items()
    }
    if wants_json(as_json):
        for (topic, partition), count in sorted(behind.items()):
            line = {"topic": topic, "partition": partition, "group": chosen.kafka.group, "lag": count}
            write_line(json.dumps(line).encode())
    else:
        _print_table(behind, chosen.kafka.group)


@app.command()
def verify(
    group: Annotated[str | None, typer.Option(help="Consumer group; the workers' by default.")] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for a transaction that stays open.")] = 45.0,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Prove that every segment up to the group's offsets has one verdict or one dead letter, and nothing else is said.

    Workers may be at work meanwhile. Losses upstream (gaps in a stream's sequence) are listed and are no fault. Exit
    code 0 when the proof holds, 1 when it does not.
    """
    from scanner.assembly.bus import kafka_bus, topics_of
    from scanner.cli.progress import counting
    from scanner.verify import verify as prove

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap, kafka_group=group)
    with counting("records read") as told:
        proof = prove(kafka_bus(chosen), topics_of(chosen), chosen.kafka.group, patience_s=patience, told=told)
    if wants_json(as_json):
        _write_proof(proof)
    else:
        _print_proof(proof)
    if not proof.holds:
        raise typer.Exit(Exit.FOUND)


def _write_proof(proof: Proof) -> None:
    from dataclasses import asdict

    for finding in proof.findings:
        write_line(json.dumps({"type": "finding", **asdict(finding)}).encode())
    totals = {name: value for name, value in asdict(proof).items() if name != "findings"}
    write_line(json.dumps({"type": "proof", "holds": proof.holds, **totals, **proof.counts()}).encode())


def _print_proof(proof: Proof) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for name in ("segments", "verdicts", "dead_letters", "pending", "expired"):
        table.add_row(name.replace("_", " "), str(getattr(proof, name)))
    for name, count in proof.counts().items():
        table.add_row(name.replace("_", " "), f"[yellow]{count}[/]" if count else "0")
    console = Console()
    for finding in proof.findings:
        where = (
            ""
            if finding.offset is None
            else f" ({finding.topic}, partition {finding.partition}, offset {finding.offset})"
        )
        console.print(shown(f"{finding.kind.value}: {finding.what}{where}"), markup=False, soft_wrap=True)
    console.print(table)
    console.print(
        "[green]every segment has exactly one answer[/]" if proof.holds else "[red]the proof does not hold[/]"
    )


def _print_table(behind: dict[tuple[str, int], int], group: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("topic", "partition", "lag", box=None, pad_edge=False, title=f"group {group}", title_justify="left")
    for (topic, partition), count in sorted(behind.items()):
        table.add_row(topic, str(partition), f"[yellow]{count}[/]" if count else "0")
    table.add_row("", "[bold]all[/]", f"[bold]{sum(behind.values())}[/]")
    Console().print(table)
