"""`scanner tail`: verdicts and alerts as they come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import AsJson, Exit, SettingsFile, complain, settings_from, wants_json, write_line
from scanner.core.types import Alert, Label, Verdict

if TYPE_CHECKING:
    from scanner.ports import Delivery, Reader
    from scanner.wire import Topics

_POLL_S = 0.25


def tail(
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="What is there already, too.")] = False,
    stream: Annotated[
        list[str] | None, typer.Option("--stream", help="Only this stream; may be repeated.", show_default=False)
    ] = None,
    label: Annotated[
        list[Label] | None, typer.Option("--label", help="Only verdicts with this label; may be repeated.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many verdicts.", show_default=False)] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.", show_default=False)] = None,
    bootstrap: Annotated[
        str | None, typer.Option("--bootstrap", help="Brokers, host:port,…", show_default=False)
    ] = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """Follow verdicts and alerts: a live table on a terminal, JSON lines in a pipe.

    Ends at Ctrl-C, after --count verdicts, or after --timeout seconds; exit code 3 when the time was up before the
    count was reached.
    """
    from contextlib import closing

    from scanner.assembly.bus import kafka_bus, topics_of

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    topics = topics_of(chosen)
    wanted = _Wanted(set(stream or ()), set(label or ()))
    reader = kafka_bus(chosen).reader([topics.verdicts, topics.alerts], from_beginning=from_beginning)
    with closing(reader):
        follow = _Follow(reader, topics, wanted, count, timeout)
        reached = follow.as_lines() if wants_json(as_json) else follow.as_table()
    if not reached:
        complain(f"{follow.verdicts} of {count} verdicts came within {timeout:g} s")
        raise typer.Exit(Exit.WORLD)


class _Wanted:
    """What was asked for."""

    def __init__(self, streams: set[str], labels: set[Label]) -> None:
        self._streams = streams
        self._labels = labels

    def __call__(self, said: Verdict | Alert) -> bool:
        of_stream = not self._streams or said.stream_id in self._streams
        return of_stream and (isinstance(said, Alert) or not self._labels or said.label in self._labels)


class _Follow:
    """Reads until enough has come or the time is up."""

    def __init__(
        self, reader: Reader, topics: Topics, wanted: _Wanted, count: int | None, timeout_s: float | None
    ) -> None:
        self.verdicts = 0
        self._reader = reader
        self._topics = topics
        self._wanted = wanted
        self._count = count
        self._until_s = None if timeout_s is None else time.monotonic() + timeout_s

    def as_lines(self) -> bool:
        from scanner.wire import json_of

        return self._run(lambda said: write_line(json_of(said)), lambda: None)

    def as_table(self) -> bool:
        from rich.live import Live

        from scanner.cli.board import Board

        board = Board()
        with Live(board, refresh_per_second=4) as live:
            try:
                return self._run(board.add, live.refresh)
            except KeyboardInterrupt:
                return True

    def _run(self, say: Callable[[Verdict | Alert], None], after_each_poll: Callable[[], None]) -> bool:
        """Whether everything that was asked for came."""
        while self._count is None or self.verdicts < self._count:
            left_s = _POLL_S if self._until_s is None else min(_POLL_S, self._until_s - time.monotonic())
            if left_s <= 0:
                return self._count is None
            limit = 500 if self._count is None else min(500, self._count - self.verdicts)
            for delivery in self._reader.poll(left_s, limit=limit):
                said = self._read(delivery)
                if said is not None and self._wanted(said):
                    say(said)
                    self.verdicts += isinstance(said, Verdict)
            after_each_poll()
        return True

    def _read(self, delivery: Delivery) -> Verdict | Alert | None:
        from scanner.core.errors import SegmentInvalidError
        from scanner.wire import alert_of, verdict_of

        read = verdict_of if delivery.record.topic == self._topics.verdicts else alert_of
        try:
            return read(delivery.record)
        except SegmentInvalidError as error:
            complain(f"{error} (partition {delivery.partition}, offset {delivery.offset})")
            return None
