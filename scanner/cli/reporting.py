"""What the report shows, gathered while a scan runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from scanner.assembly.scan import Assembled
from scanner.core.summary import Summary
from scanner.core.types import Clip, Segment, Verdict
from scanner.inference.card import find_model, read_card
from scanner.local import Answered, Refused
from scanner.report import Gallery, PathReport, Thresholds, facts_of, write_report
from scanner.settings import Settings
from scanner.wire import Failure


class Reporter:
    """Sees clips on the threads that cut them, answers on the one that scans; writes the page at the end."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._gallery = Gallery(read_card(find_model(settings.scan.model)).calibrated.score)
        self._reports: list[PathReport] = []
        self._refused: list[str] = []

    def witness(self, segment: Segment, clip: Clip) -> None:
        self._gallery.witness(segment, clip)

    def answered(self, answer: Answered | Refused) -> None:
        if isinstance(answer, Refused):
            self._gallery.forget(answer.segment)
            self._refused.append(f"segment {answer.segment.sequence}: {answer.error}")
        else:
            self._gallery.judged(answer.look, answer.conclusion.verdict)

    def summary(self, summary: Summary, verdicts: list[Verdict]) -> None:
        """One path is done."""
        looks = self._gallery.looks(verdicts[0].stream_id)
        self._reports.append(PathReport(summary, tuple(verdicts), looks, tuple(self._refused)))
        self._refused = []

    def write(self, parts: Assembled, failures: list[Failure]) -> None:
        policy = parts.pipeline.judge.policy
        thresholds = Thresholds.of(policy)
        facts = facts_of(parts.model.card, thresholds)
        write_report(
            self._path,
            self._reports,
            model_facts=facts,
            thresholds=thresholds,
            written_at=datetime.now(UTC),
            failures=[(failure.uri, failure.reason.removeprefix(f"{failure.uri}: ")) for failure in failures],
        )
