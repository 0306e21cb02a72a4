"""Is it right to abstain where quality is poor? Risk against coverage, giving files up by measured quality alone.

Risk is the balanced error (mean of misses and false alarms) at the line from which a face is called suspected; coverage
the share of files that is still answered. El-Yaniv and Wiener (2010), "On the foundations of noise-free selective
classification", JMLR 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.core.types import Reason, TrackVerdict, Verdict
from scanner.evaluation.crops import Item
from scanner.evaluation.scans import item_of

Floats = NDArray[np.float64]
MEASURES = ("face_px", "sharpness", "brightness", "frontality", "bitrate_kbps")
COVERAGES = (1.0, 0.8, 0.6, 0.4)
LEAST_FILES = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled file as the model alone sees it, whatever the policy made of it."""

    item: Item
    score: float
    """mean of the clip scores of the most suspicious face, also where the policy refused to judge"""
    quality: tuple[float, ...]
    """mean over that face's segments, in the order of MEASURES"""
    refused: tuple[Reason, ...]
    """why no segment of the file was judged; empty when one was"""


@dataclass(frozen=True, slots=True)
class Curve:
    """What giving up the files that are worst by one measure does to the rest."""

    measure: str
    coverage: Floats
    """(n,) falling from 1"""
    risk: Floats
    """(n,) balanced error of the files that are kept"""

    @property
    def area(self) -> float:
        """Mean risk over the coverages; what never changes the risk has the risk at full coverage."""
        return float(np.nanmean(self.risk))

    def at(self, coverage: float) -> float:
        """Risk at the nearest coverage."""
        return float(self.risk[int(np.abs(self.coverage - coverage).argmin())])


def judged_files(verdicts: Iterable[Verdict], items: Sequence[Item]) -> list[Judged]:
    """Labelled files in which a face was scored."""
    by_stream: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_stream.setdefault(verdict.stream_id, []).append(verdict)
    found = []
    for stream, said in by_stream.items():
        item = item_of(stream, items)
        faces: dict[str, list[TrackVerdict]] = {}
        for verdict in said:
            for face in verdict.tracks:
                if face.spans:
                    faces.setdefault(face.track_id, []).append(face)
        if item is not None and faces:
            found.append(_judged(item, max(faces.values(), key=_mean_score), said))
    return found


def curves(files: Sequence[Judged], line: float) -> list[Curve]:
    """One curve a measure, down to the coverage at which too few files of a kind are left."""
    fake = np.array([file.item.fake for file in files])
    wrong = (np.array([file.score for file in files]) >= line) != fake
    quality = np.array([file.quality for file in files])
    return [_curve(name, quality[:, place], wrong, fake) for place, name in enumerate(MEASURES)]


def balanced_error(wrong: NDArray[np.bool_], fake: NDArray[np.bool_]) -> float:
    """Mean of the error rates on fakes and on real files; NaN without both."""
    if fake.all() or not fake.any():
        return float("nan")
    return float(wrong[fake].mean() + wrong[~fake].mean()) / 2


def _curve(name: str, quality: Floats, wrong: NDArray[np.bool_], fake: NDArray[np.bool_]) -> Curve:
    order = np.argsort(-quality, kind="stable")
    sizes = np.arange(len(order), min(LEAST_FILES, len(order)) - 1, -1)
    risk = np.array([balanced_error(wrong[order[:size]], fake[order[:size]]) for size in sizes])
    return Curve(name, sizes / len(order), risk)


def _judged(item: Item, faces: Sequence[TrackVerdict], said: Sequence[Verdict]) -> Judged:
    quality = np.mean([[getattr(face.quality, name) for name in MEASURES] for face in faces], axis=0)
    judged = any(verdict.score is not None for verdict in said)
    reasons = () if judged else tuple(dict.fromkeys(reason for verdict in said for reason in verdict.reasons))
    return Judged(item, _mean_score(faces), tuple(quality.tolist()), reasons)


def _mean_score(faces: Sequence[TrackVerdict]) -> float:
    return float(np.mean([span.score for face in faces for span in face.spans]))
