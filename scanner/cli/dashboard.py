"""`scanner dashboard`: the page that people keep open, and who may sign in to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import Bootstrap, Exit, SettingsFile, complain, errors, settings_from

if TYPE_CHECKING:
    from scanner.dashboard.accounts import Accounts

app = typer.Typer(help="Watch streams, review alerts and see the scanner's health in a browser.")
users = typer.Typer(help="Who may sign in.", no_args_is_help=True)
app.add_typer(users, name="users")
Name = Annotated[str, typer.Argument(help="The name to sign in with.")]


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", show_default=False)] = None,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """Serve the dashboard until SIGTERM or Ctrl-C. It reads the answer topics, and joins no group."""
    if context.invoked_subcommand:
        context.obj = settings
        return
    import signal
    import threading

    from scanner.assembly.bus import kafka_bus

    check_extra()
    from scanner.dashboard.serve import serving, site_for

    chosen = settings_from(settings, dashboard_host=host, dashboard_port=port, kafka_bootstrap_servers=bootstrap)
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    with serving(chosen, site_for(chosen, kafka_bus(chosen))) as address:
        errors.print(f"dashboard on {address}", style="bold")
        stop.wait()


@users.command()
def add(
    context: typer.Context,
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, reviewer or admin.")] = "viewer",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Add somebody, or give them a new role and password. The password is asked for, never an argument."""
    accounts = _accounts(context)
    from scanner.dashboard.accounts import Role

    try:
        chosen = Role(role)
    except ValueError:
        complain(f"a role is {', '.join(Role)}, not {role!r}")
        raise typer.Exit(Exit.USAGE) from None
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    new = accounts.add(name, chosen, password)
    errors.print(f"{name} {'added' if new else 'changed'}: {chosen.value}", markup=False)


@users.command("list")
def list_users(context: typer.Context) -> None:
    """Names and roles."""
    for user in _accounts(context).users().values():
        typer.echo(f"{user.name}\t{user.role.value}")


@users.command()
def remove(context: typer.Context, name: Name) -> None:
    """Remove somebody; their sessions end at once."""
    _accounts(context).remove(name)
    errors.print(f"{name} removed", markup=False)


def _accounts(context: typer.Context) -> Accounts:
    check_extra()
    from scanner.dashboard.accounts import Accounts

    file: Path | None = context.obj
    return Accounts(settings_from(file).dashboard.users_file)


def check_extra() -> None:
    """The extra, or one line that says how to get it."""
    from importlib.util import find_spec

    missing = [
        name for name in ("starlette", "uvicorn", "argon2", "itsdangerous", "python_multipart") if not find_spec(name)
    ]
    if missing:
        complain(f"the dashboard needs {', '.join(missing)}: pip install 'scanner[dashboard]'")
        raise typer.Exit(Exit.USAGE)
