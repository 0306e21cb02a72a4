"""Saying results on stdout: a table for people, JSON lines for pipes."""

from __future__ import annotations

from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scanner.cli.common import shown, write_line
from scanner.core.summary import Summary
from scanner.core.types import Label, Verdict
from scanner.wire import Failure, json_of

STYLE = {
    Label.MANIPULATED: ("bold white on red", "✖"),
    Label.SUSPECTED: ("bold yellow", "▲"),
    Label.NO_MANIPULATION_FOUND: ("green", "○"),
    Label.INSUFFICIENT_EVIDENCE: ("dim", "?"),
}


class Printer(Protocol):
    """Says results on stdout as they come."""

    def verdict(self, verdict: Verdict) -> None: ...

    def summary(self, summary: Summary) -> None: ...

    def failure(self, failure: Failure) -> None: ...

    def close(self) -> None: ...


class LinePrinter:
    """JSON lines."""

    def verdict(self, verdict: Verdict) -> None:
        write_line(json_of(verdict))

    def summary(self, summary: Summary) -> None:
        write_line(json_of(summary))

    def failure(self, failure: Failure) -> None:
        write_line(json_of(failure))

    def close(self) -> None:
        pass


class TablePrinter:
    """One row a path, for people."""

    def __init__(self) -> None:
        self._table = Table("", "verdict", "score", "faces", "length", box=None, pad_edge=False)
        self._table.add_column("path", overflow="fold")
        self._table.add_column("suspicious spans, or why not")

    def verdict(self, verdict: Verdict) -> None:
        pass

    def summary(self, summary: Summary) -> None:
        style, icon = STYLE[summary.label]
        word = summary.label.value.replace("_", " ")
        spans = ", ".join(f"{clock(span.start_ms)}–{clock(span.end_ms)}" for span in summary.spans[:4])
        more = f" and {len(summary.spans) - 4} more" if len(summary.spans) > 4 else ""
        why = " ".join(reason.value for reason in summary.reasons) if summary.score is None else ""
        self._table.add_row(
            icon,
            f"[{style}]{word}[/]",
            "–" if summary.score is None else f"{summary.score:.2f}",
            str(summary.faces),
            clock(summary.duration_ms),
            escape(shown(summary.uri)),
            why or spans + more,
        )

    def failure(self, failure: Failure) -> None:
        reason = failure.reason.removeprefix(f"{failure.uri}: ")
        where, why = escape(shown(failure.uri)), escape(shown(reason))
        self._table.add_row("!", "[red]not scanned[/]", "–", "–", "–", where, why)

    def close(self) -> None:
        if self._table.row_count:
            Console().print(self._table)


def clock(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}.{rest // 100}"
