"""Scanning many paths and telling people or pipes about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scanner.assembly.scan import Assembled, assembled, policy_of, scan_input
from scanner.cli.common import complain, errors
from scanner.cli.printing import Printer
from scanner.cli.progress import Progress, shown_progress
from scanner.cli.reporting import Reporter
from scanner.core.errors import MediaError
from scanner.core.summary import summarise
from scanner.core.types import Label, Verdict
from scanner.local import Refused
from scanner.media.inputs import Input, inputs
from scanner.settings import Settings
from scanner.wire import Failure


@dataclass(slots=True)
class Outcome:
    """What became of all paths."""

    labels: list[Label] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def scan_all(paths: list[str], settings: Settings, printer: Printer, report: Path | None) -> Outcome:
    """Scans one path after the other; one that cannot be read is told and passed over."""
    outcome = Outcome()
    names: Counter[str] = Counter()
    reporter = Reporter(report, settings) if report else None
    with (
        assembled(settings, reporter.witness if reporter else None) as parts,
        _closing(printer),
        shown_progress() as progress,
    ):
        _tell_device(parts)
        for given in paths:
            try:
                for item in inputs([given]):
                    _scan_one(_named_apart(item, names), parts, settings, printer, outcome, progress, reporter)
            except MediaError as error:
                _failed(printer, outcome, Failure(given, error.stage.value, str(error)))
        if reporter is not None:
            reporter.write(parts, outcome.failures)
            errors.print(f"report written to {report}", markup=False)
    return outcome


def _named_apart(item: Input, names: Counter[str]) -> Input:
    """Two files of one name are two streams."""
    names[item.stream_id] += 1
    count = names[item.stream_id]
    return item if count == 1 else replace(item, stream_id=f"{item.stream_id}~{count}")


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
            if reporter is not None:
                reporter.answered(answer)
            if isinstance(answer, Refused):
                where = f"segment {answer.segment.sequence}: {answer.error}"
                _failed(printer, outcome, Failure(uri, answer.error.stage.value, where))
                continue
            verdicts.append(answer.conclusion.verdict)
            printer.verdict(answer.conclusion.verdict)
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
    outcome.failures.append(failure)
    printer.failure(failure)
    said = failure.reason if failure.uri in failure.reason else f"{failure.uri}: {failure.reason}"
    complain(said)


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
