"""`scanner config show`: every setting, its value, and where the value came from."""

from __future__ import annotations

import typer

from scanner.cli.common import AsJson, SettingsFile, settings_from, wants_json, write_line

app = typer.Typer(help="Settings: flags over environment over TOML over defaults.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Settings: flags over environment over TOML over defaults."""


@app.command()
def show(settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Print every setting with its value and origin."""
    import json

    from rich.console import Console
    from rich.table import Table

    from scanner.settings import origins

    rows = list(origins(settings_from(settings), settings))
    if wants_json(as_json):
        for name, value, origin, meaning in rows:
            line = {"setting": name, "value": value, "origin": origin, "meaning": meaning}
            write_line(json.dumps(line, default=str, ensure_ascii=False).encode())
        return
    table = Table("setting", "value", "from", "meaning")
    for name, value, origin, meaning in rows:
        table.add_row(name, "" if value is None else str(value), origin, meaning)
    Console().print(table)
