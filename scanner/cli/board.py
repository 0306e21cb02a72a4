"""A live table of streams on a terminal: the last verdict of each, the most suspicious first."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from scanner.cli.printing import STYLE, clock
from scanner.core.types import Alert, Verdict

BARS = "▁▂▃▄▅▆▇█"
SHOWN_SCORES = 24  # of a stream's past
SHOWN_ALERTS = 5


class Board:
    """Feed `show`; the terminal follows at most four times a second."""

    def __init__(self) -> None:
        self._last: dict[str, Verdict] = {}
        self._scores: dict[str, list[float | None]] = {}
        self._alerts: list[Alert] = []
        self._live = Live(get_renderable=self._table, console=Console(), refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.__exit__(kind, error, at)

    def show(self, value: Verdict | Alert) -> None:
        if isinstance(value, Alert):
            self._alerts = [value, *self._alerts][:SHOWN_ALERTS]
            return
        self._last[value.stream_id] = value
        self._scores[value.stream_id] = [*self._scores.get(value.stream_id, []), value.score][-SHOWN_SCORES:]

    def _table(self) -> Table:
        table = Table("", "stream", "at", "verdict", "score", "past", "faces", "mode", box=None, pad_edge=False)
        rows = sorted(self._last.values(), key=lambda v: (-(v.score if v.score is not None else -1.0), v.stream_id))
        for verdict in rows[: max(5, self._live.console.height - 4 - len(self._alerts))]:
            style, icon = STYLE[verdict.label]
            table.add_row(
                icon,
                escape(verdict.stream_id),
                clock(verdict.end_ms),
                f"[{style}]{verdict.label.value.replace('_', ' ')}[/]",
                "–" if verdict.score is None else f"{verdict.score:.2f}",
                sparkline(self._scores[verdict.stream_id]),
                str(len(verdict.tracks)),
                verdict.coverage.mode.value,
            )
        for alert in self._alerts:
            told = f"{alert.edge.value} {alert.track_id or 'stream'} evidence {alert.evidence:.1f}"
            table.add_row("⚑", escape(alert.stream_id), clock(alert.at_ms), f"[bold]{escape(told)}[/]")
        return table


def sparkline(scores: list[float | None]) -> str:
    """Scores in [0, 1] as a row of bars; a dot where nobody could judge.

    >>> sparkline([0.0, 0.5, 1.0, None])
    '▁▅█·'
    """
    return "".join("·" if score is None else BARS[min(7, int(score * 8))] for score in scores)
