"""What the report shows, gathered while a scan runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from scanner.assembly import Assembled
from scanner.core.summary import Summary
from scanner.core.types import Clip, Segment, Verdict
from scanner.inference.card import find_model, read_card
from scanner.local import Answered, Refused
from scanner.report import Gallery, ModelFacts, PathReport, Thresholds, write_report
from scanner.settings import Settings


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

    def write(self, parts: Assembled) -> None:
        policy = parts.pipeline.judge.policy
        write_report(
            self._path,
            self._reports,
            model_facts=_facts(parts),
            thresholds=Thresholds(policy.suspected_from, policy.manipulated_from),
            written_at=datetime.now(UTC),
        )


def _facts(parts: Assembled) -> ModelFacts:
    """The card's promises; a line that the operator moved carries none."""
    card, policy = parts.model.card, parts.pipeline.judge.policy
    promised = card.calibration
    return ModelFacts(
        name=card.name,
        sha256=card.sha256,
        description=card.description,
        fpr_suspected=0.05 if policy.suspected_from == promised.suspected_from else None,
        fpr_manipulated=0.01 if policy.manipulated_from == promised.manipulated_from else None,
        real_videos=promised.real_clips or None,
        measured=tuple((name, str(value)) for name, value in card.measured.items() if not isinstance(value, dict)),
    )
