"""`scanner topics create|lag`: the topics the scanner needs, and how far a group is behind."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from scanner.cli.common import AsJson, SettingsFile, settings_from, wants_json, write_line

app = typer.Typer(help="Create topics; see how far workers are behind.", no_args_is_help=True)

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
    """Print, for each partition of the segments topic, how many segments the group has not answered."""
    from scanner.assembly.bus import kafka_bus, topics_of

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap, kafka_group=group)
    behind = kafka_bus(chosen).lag(topics_of(chosen).segments, chosen.kafka.group)
    if wants_json(as_json):
        for (topic, partition), count in sorted(behind.items()):
            line = {"topic": topic, "partition": partition, "group": chosen.kafka.group, "lag": count}
            write_line(json.dumps(line).encode())
    else:
        _print_table(behind, chosen.kafka.group)


def _print_table(behind: dict[tuple[str, int], int], group: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("topic", "partition", "lag", box=None, pad_edge=False, title=f"group {group}", title_justify="left")
    for (topic, partition), count in sorted(behind.items()):
        table.add_row(topic, str(partition), f"[yellow]{count}[/]" if count else "0")
    table.add_row("", "[bold]all[/]", f"[bold]{sum(behind.values())}[/]")
    Console().print(table)
