"""`scanner tail`: verdicts and alerts as they come; a live table on a terminal, JSON lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import AsJson, Bootstrap, Exit, SettingsFile, complain, settings_from, wants_json, write_line

if TYPE_CHECKING:
    from scanner.cli.board import Board
    from scanner.core.types import Alert, Verdict
    from scanner.settings import Settings


def tail(
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Begin with the oldest verdict.")] = False,
    stream: Annotated[str | None, typer.Option(help="Only this stream.", show_default=False)] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only these labels.", show_default=False)] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many verdicts.", show_default=False)] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Stop after so many seconds; exit 3 when --count was not met.")
    ] = None,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """Follow the verdict and alert topics."""
    from scanner.core.types import Label, Verdict
    from scanner.wire import json_of

    if unknown := sorted(set(label or ()) - set(Label)):
        raise typer.BadParameter(f"no such label: {', '.join(unknown)}; there are {', '.join(Label)}")
    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    deadline = None if timeout is None else time.monotonic() + timeout
    seen = 0
    with _shown(wants_json(as_json)) as board:
        for value in _followed(chosen, from_beginning, deadline):
            if value is None:
                continue
            if stream is not None and value.stream_id != stream:
                continue
            if isinstance(value, Verdict):
                if label and value.label not in label:
                    continue
                seen += 1
            if board is None:
                write_line(json_of(value))
            else:
                board.show(value)
            if count is not None and seen >= count:
                return
    if count is not None:
        complain(f"{seen} of {count} verdicts within {timeout:g} s")
        raise typer.Exit(Exit.WORLD)


def _followed(settings: Settings, from_beginning: bool, deadline: float | None) -> Iterator[Verdict | Alert | None]:
    """Values as they come, and None now and then so that time is noticed."""
    from scanner.assembly import kafka_bus
    from scanner.core.errors import SegmentInvalidError
    from scanner.wire import alert_of, verdict_of

    topics = settings.topics
    reader = kafka_bus(settings).reader([topics.verdicts, topics.alerts], from_beginning=from_beginning)
    try:
        while deadline is None or time.monotonic() < deadline:
            for delivery in reader.poll(0.5, limit=500):
                read = verdict_of if delivery.record.topic == topics.verdicts else alert_of
                try:
                    yield read(delivery.record)
                except SegmentInvalidError as error:
                    complain(f"passed over offset {delivery.offset}: {error}")
            yield None
    except KeyboardInterrupt:
        return
    finally:
        reader.close()


def _shown(as_json: bool) -> AbstractContextManager[Board | None]:
    from scanner.cli.board import Board

    return nullcontext() if as_json else Board()
