"""What looking at less costs and saves: the same files scanned with two coverages, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scanner.core.policy import Policy
from scanner.core.summary import summarise
from scanner.core.types import Verdict
from scanner.evaluation.crops import Item
from scanner.evaluation.metrics import auc
from scanner.evaluation.scans import item_of


@dataclass(frozen=True, slots=True)
class Looked:
    """Figures of one scan of labelled files."""

    modes: tuple[str, ...]
    files: int
    """that were judged and are labelled"""
    frames_decoded: float
    """share of all frames"""
    frames_scored: float
    ms_per_s: float
    """milliseconds of observing and scoring a second of video, as the verdicts tell it"""
    auc: float
    recall: float
    """share of fakes called suspected or worse; one that was not judged is missed"""
    real_flagged: float


def looked(verdicts: Sequence[Verdict], items: Sequence[Item], policy: Policy) -> Looked:
    """Raises ValueError when no labelled file is among the verdicts."""
    by_stream: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_stream.setdefault(verdict.stream_id, []).append(verdict)
    pairs = [(item, said) for stream, said in by_stream.items() if (item := item_of(stream, items)) is not None]
    if not pairs:
        raise ValueError("none of the verdicts is on a labelled file")
    scores = {item: summarise(item.file, said, policy).score for item, said in pairs}
    judged = {item: score for item, score in scores.items() if score is not None}
    flagged = {item for item, score in judged.items() if score >= policy.suspected_from}
    fakes = [item for item in scores if item.fake]
    reals = [item for item in scores if not item.fake]
    everything = [verdict for _, said in pairs for verdict in said]
    total = max(1, sum(verdict.coverage.frames_total for verdict in everything))
    seconds = max(1e-3, sum(verdict.end_ms - verdict.start_ms for verdict in everything) / 1000)
    spent = sum(verdict.timing_ms.observe + verdict.timing_ms.score for verdict in everything)
    return Looked(
        modes=tuple(sorted({verdict.coverage.mode.value for verdict in everything})),
        files=len(judged),
        frames_decoded=sum(verdict.coverage.frames_decoded for verdict in everything) / total,
        frames_scored=sum(verdict.coverage.frames_scored for verdict in everything) / total,
        ms_per_s=spent / seconds,
        auc=auc(np.array(list(judged.values())), np.array([int(item.fake) for item in judged])),
        recall=sum(item in flagged for item in fakes) / max(1, len(fakes)),
        real_flagged=sum(item in flagged for item in reals) / max(1, len(reals)),
    )
