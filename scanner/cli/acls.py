"""`scanner topics acls`: the least that each role needs on the bus, ready to be given."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from scanner.cli.common import Bootstrap, SettingsFile, settings_from, write_line
from scanner.core.errors import SettingsError


def acls(
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="worker, publisher, replayer, ingest, dashboard, tail, redrive or auditor; all."),
    ] = None,
    prefix: Annotated[str, typer.Option(help="The user of a role is named PREFIX and the role.")] = "scanner-",
    command_config: Annotated[
        str, typer.Option(help="Properties by which kafka-acls.sh signs in as an administrator.")
    ] = "admin.properties",
    bootstrap: Bootstrap = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, one a right.")] = False,
    settings: SettingsFile = None,
) -> None:
    """Print the least rights of each role as kafka-acls.sh commands, for the topics and the group of the settings.

    Asks no broker. Rights that are not listed are to be refused: set allow.everyone.if.no.acl.found=false there.
    """
    from scanner.assembly.bus import topics_of
    from scanner.bus.acls import ROLES, commands, grants

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    for name in role or ():
        if name not in ROLES:
            raise SettingsError(f"no such role: {name}; there are {', '.join(ROLES)}")
    wanted = [grant for grant in grants(topics_of(chosen), chosen.kafka.group) if not role or grant.role in role]
    if as_json:
        for grant in wanted:
            write_line(json.dumps({"principal": f"User:{prefix}{grant.role}", **asdict(grant)}).encode())
        return
    servers = ",".join(chosen.kafka.bootstrap_servers)
    for line in commands(wanted, bootstrap=servers, prefix=prefix, command_config=command_config):
        write_line(line.encode())
