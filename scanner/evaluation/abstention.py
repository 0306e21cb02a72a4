"""Is it right to abstain where quality is poor? Risk against coverage, giving files up by measured quality alone.

Risk is told twice: as the balanced error (mean of misses and false alarms) at the line from which a face is called
suspected, and as the share of pairs in wrong order (a fake below a real file: 1 − AUC), which needs no line. Coverage
is the share of files that is still answered. Beside the curves stands chance: files given up by lot. El-Yaniv and
Wiener (2010), "On the foundations of noise-free selective classification", JMLR 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.core.types import Reason, TrackVerdict, Verdict
from scanner.evaluation.crops import Item
from scanner.evaluation.metrics import auc
from scanner.evaluation.scans import item_of

Floats = NDArray[np.float64]
MEASURES = ("face_px", "sharpness", "brightness", "frontality", "bitrate_kbps")
COVERAGES = (1.0, 0.8, 0.6, 0.4)
LEAST_FILES = 20
LEAST_OF_A_KIND = 20  # below it a curve is noise
LOTS = 200
LOT_POINTS = 24


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
    disorder: Floats
    """(n,) share of pairs of a fake and a real file among them in wrong order"""

    @property
    def area(self) -> float:
        """Mean risk over the coverages; what never changes the risk has the risk at full coverage."""
        return float(np.nanmean(self.risk))

    def at(self, coverage: float) -> float:
        """Risk at the nearest coverage."""
        return float(self.risk[self._nearest(coverage)])

    def disorder_at(self, coverage: float) -> float:
        """Disorder at the nearest coverage."""
        return float(self.disorder[self._nearest(coverage)])

    def _nearest(self, coverage: float) -> int:
        return int(np.abs(self.coverage - coverage).argmin())


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


@dataclass(frozen=True, slots=True)
class Chance:
    """Where 90 % of the curves lie when files are given up by lot: what leaves this band says something."""

    coverage: Floats
    """(n,) falling from 1"""
    risk: Floats
    """(2, n) lower and upper"""
    disorder: Floats
    """(2, n)"""


def under_chance(curve: Curve, lots: Chance) -> tuple[float, float]:
    """At what share of coverages risk and disorder lie under the band of lots; about 5 % where it says nothing."""
    risk = [curve.at(share) < low for share, low in zip(lots.coverage, lots.risk[0], strict=True)]
    disorder = [curve.disorder_at(share) < low for share, low in zip(lots.coverage, lots.disorder[0], strict=True)]
    return float(np.mean(risk)), float(np.mean(disorder))


def curves(files: Sequence[Judged], line: float) -> list[Curve]:
    """One curve a measure, down to the coverage at which too few files of a kind are left."""
    table = _Table(files, line)
    quality = np.array([file.quality for file in files])
    lot = np.random.default_rng(0).permutation(len(files))  # among equals: the files' own order may say something
    made = []
    for place, name in enumerate(MEASURES):
        order = np.lexsort((lot, -quality[:, place]))
        sizes = np.arange(len(order), table.least(order) - 1, -1)
        made.append(Curve(name, sizes / len(order), *table.risks(order, sizes)))
    return made


def chance(files: Sequence[Judged], line: float, rng: np.random.Generator) -> Chance:
    """The same for orders drawn by lot."""
    table = _Table(files, line)
    orders = [rng.permutation(len(files)) for _ in range(LOTS)]
    least = max(table.least(order) for order in orders)
    sizes = np.unique(np.linspace(len(files), least, LOT_POINTS).astype(int))[::-1]
    drawn = np.array([table.risks(order, sizes) for order in orders])
    low, high = np.quantile(drawn, (0.05, 0.95), axis=0)
    return Chance(sizes / len(files), np.stack([low[0], high[0]]), np.stack([low[1], high[1]]))


class _Table:
    """Files as columns."""

    def __init__(self, files: Sequence[Judged], line: float) -> None:
        self._fake = np.array([file.item.fake for file in files])
        self._score = np.array([file.score for file in files])
        self._wrong = (self._score >= line) != self._fake

    def least(self, order: NDArray[np.int64]) -> int:
        """How many of the first files hold enough of each kind; all, where there are not enough."""
        fakes = np.cumsum(self._fake[order])
        reals = np.arange(1, len(order) + 1) - fakes
        enough = np.flatnonzero(np.minimum(fakes, reals) >= LEAST_OF_A_KIND)
        return int(enough[0]) + 1 if len(enough) else len(order)

    def risks(self, order: NDArray[np.int64], sizes: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """(n,) balanced error and (n,) disorder of the first so many files."""
        kept = [order[:size] for size in sizes]
        risk = [balanced_error(self._wrong[files], self._fake[files]) for files in kept]
        disorder = [1 - auc(self._score[files], self._fake[files].astype(int)) for files in kept]
        return np.array(risk), np.array(disorder)


def balanced_error(wrong: NDArray[np.bool_], fake: NDArray[np.bool_]) -> float:
    """Mean of the error rates on fakes and on real files; NaN without both."""
    if fake.all() or not fake.any():
        return float("nan")
    return float(wrong[fake].mean() + wrong[~fake].mean()) / 2


def _judged(item: Item, faces: Sequence[TrackVerdict], said: Sequence[Verdict]) -> Judged:
    quality = np.mean([[getattr(face.quality, name) for name in MEASURES] for face in faces], axis=0)
    judged = any(verdict.score is not None for verdict in said)
    reasons = () if judged else tuple(dict.fromkeys(reason for verdict in said for reason in verdict.reasons))
    return Judged(item, _mean_score(faces), tuple(quality.tolist()), reasons)


def _mean_score(faces: Sequence[TrackVerdict]) -> float:
    return float(np.mean([span.score for face in faces for span in face.spans]))
