"""Scanning many paths and telling people or pipes about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scanner.assembly import Assembled, assembled, policy_of, scan_input
from scanner.cli.common import errors, write_line
from scanner.cli.progress import Progress, shown_progress
from scanner.cli.reporting import Reporter
from scanner.core.errors import MediaError
from scanner.core.summary import Summary, summarise
from scanner.core.types import Label, Verdict
from scanner.local import Refused
from scanner.media.inputs import Input, inputs
from scanner.settings import Settings
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
        columns = ("", "verdict", "score", "faces", "length", "suspicious spans", "path")
        self._table = Table(*columns, box=None, pad_edge=False)

    def verdict(self, verdict: Verdict) -> None:
        pass

    def summary(self, summary: Summary) -> None:
        style, icon = STYLE[summary.label]
        word = summary.label.value.replace("_", " ")
        spans = ", ".join(f"{_clock(span.start_ms)}–{_clock(span.end_ms)}" for span in summary.spans[:4])
        more = f" and {len(summary.spans) - 4} more" if len(summary.spans) > 4 else ""
        why = " ".join(reason.value for reason in summary.reasons) if summary.score is None else ""
        self._table.add_row(
            icon,
            f"[{style}]{word}[/]",
            "–" if summary.score is None else f"{summary.score:.2f}",
            str(summary.faces),
            _clock(summary.duration_ms),
            why or spans + more,
            escape(summary.uri),
        )

    def failure(self, failure: Failure) -> None:
        self._table.add_row("!", "[red]not scanned[/]", "–", "–", "–", escape(failure.reason), escape(failure.uri))

    def close(self) -> None:
        if self._table.row_count:
            Console().print(self._table)


@dataclass(slots=True)
class Outcome:
    """What became of all paths."""

    labels: list[Label] = field(default_factory=list)
    failures: int = 0


def scan_all(paths: list[str], settings: Settings, printer: Printer, report: Path | None) -> Outcome:
    """Scans one path after the other; one that cannot be read is told and passed over."""
    outcome = Outcome()
    reporter = Reporter(report) if report else None
    with assembled(settings, reporter and reporter.witness) as parts, shown_progress() as progress, _closing(printer):
        _tell_device(parts)
        for given in paths:
            try:
                for item in inputs([given]):
                    _scan_one(item, parts, settings, printer, outcome, progress, reporter)
            except MediaError as error:
                _failed(printer, outcome, Failure(given, error.stage.value, str(error)))
        if reporter is not None:
            reporter.write(parts)
            errors.print(f"report written to {report}", markup=False)
    return outcome


def _scan_one(
    item: Input,
    parts: Assembled,
    settings: Settings,
    printer: Printer,
    outcome: Outcome,
    progress: Progress,
    reporter: Reporter | None,
) -> None:
    uri = str(item.path)
    verdicts: list[Verdict] = []
    progress.begin(item.stream_id)
    try:
        for answer in scan_input(parts, item, settings, progress.advance):
            if isinstance(answer, Refused):
                where = f"segment {answer.segment.sequence}: {answer.error}"
                _failed(printer, outcome, Failure(uri, answer.error.stage.value, where))
                continue
            verdicts.append(answer.conclusion.verdict)
            printer.verdict(answer.conclusion.verdict)
            if reporter is not None:
                reporter.answered(answer)
    except MediaError as error:
        _failed(printer, outcome, Failure(uri, error.stage.value, str(error)))
    if not verdicts:
        return
    summary = summarise(uri, verdicts, policy_of(settings, parts.model.card))
    outcome.labels.append(summary.label)
    printer.summary(summary)
    if reporter is not None:
        reporter.summary(summary, verdicts)


def _failed(printer: Printer, outcome: Outcome, failure: Failure) -> None:
    outcome.failures += 1
    printer.failure(failure)
    said = failure.reason if failure.uri in failure.reason else f"{failure.uri}: {failure.reason}"
    errors.print(f"scanner: {said}", style="red", markup=False, soft_wrap=True)


def _tell_device(parts: Assembled) -> None:
    device = parts.device
    told = f"model {parts.model.ref.name} on {device} ({device.reason}), {parts.cell_count} decode cells"
    errors.print(told, style="dim", markup=False)


@contextmanager
def _closing(printer: Printer) -> Iterator[None]:
    try:
        yield
    finally:
        printer.close()


def _clock(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}.{rest // 100}"
