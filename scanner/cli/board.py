"""The live table of `scanner tail`: one row a stream, the latest first; the last alerts below."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.markup import escape
from rich.table import Table

from scanner.cli.common import shown
from scanner.cli.printing import STYLE, clock
from scanner.core.types import Alert, Edge, Verdict

_STREAMS = 1000  # rows remembered; a terminal shows fewer
_ALERTS = 5
_RATE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Row:
    verdict: Verdict
    segments: int


class Board:
    """What is known of each stream; memory does not grow with time."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._alerts: deque[Alert] = deque(maxlen=_ALERTS)
        self._recent: deque[float] = deque(maxlen=10_000)
        self._verdicts = 0

    def add(self, said: Verdict | Alert) -> None:
        if isinstance(said, Alert):
            self._alerts.append(said)
            return
        before = self._rows.pop(said.stream_id, None)
        self._rows[said.stream_id] = _Row(said, before.segments + 1 if before else 1)
        if len(self._rows) > _STREAMS:
            del self._rows[next(iter(self._rows))]
        self._verdicts += 1
        self._recent.append(time.monotonic())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(3, (options.max_height or 24) - len(self._alerts) - 5)
        yield Group(self._streams(room), *map(_alert_line, self._alerts))

    def _streams(self, room: int) -> Table:
        now = time.monotonic()
        rate = sum(1 for at in self._recent if now - at < _RATE_S) / _RATE_S
        hidden = len(self._rows) - room
        more = f", {hidden} not shown" if hidden > 0 else ""
        table = Table(
            "", "verdict", "score", "evidence", "faces", "time", "segments", "stream", box=None, pad_edge=False,
            caption=f"{self._verdicts} verdicts, {rate:.1f}/s, {len(self._rows)} streams{more}", caption_justify="left",
        )  # fmt: skip
        for row in list(reversed(self._rows.values()))[:room]:
            table.add_row(*_cells(row))
        return table


def _cells(row: _Row) -> tuple[str, ...]:
    verdict = row.verdict
    style, icon = STYLE[verdict.label]
    evidence = max((track.evidence for track in verdict.tracks), default=0.0)
    why = f" [dim]{' '.join(reason.value for reason in verdict.reasons)}[/]" if verdict.reasons else ""
    return (
        icon,
        f"[{style}]{verdict.label.value.replace('_', ' ')}[/]{why}",
        "–" if verdict.score is None else f"{verdict.score:.2f}",
        f"{evidence:.1f}",
        str(len(verdict.tracks)),
        clock(verdict.end_ms),
        str(row.segments),
        escape(shown(verdict.stream_id)),
    )


def _alert_line(alert: Alert) -> str:
    word = "[bold red]raised[/] " if alert.edge is Edge.RAISED else "[green]cleared[/]"
    whom = f" face {escape(shown(alert.track_id))}" if alert.track_id else ""
    return f"{word} {clock(alert.at_ms)} {escape(shown(alert.stream_id))}{whom} evidence {alert.evidence:.1f}"
