"""Two results of the same archive: who changed label, how scores moved, how far the two agree. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanner.replay.results import FileResult

_NONE = "no_verdict"


@dataclass(frozen=True, slots=True)
class Change:
    """A stream whose label or score is not the same in both."""

    stream_id: str
    before: str
    after: str
    score_before: float | None
    score_after: float | None

    @property
    def shift(self) -> float | None:
        """Growth of the score; None where one run abstained."""
        if self.score_before is None or self.score_after is None:
            return None
        return self.score_after - self.score_before


@dataclass(frozen=True, slots=True)
class Shift:
    """How scores moved, from the first result to the second."""

    count: int
    mean: float
    median: float
    p95_absolute: float
    largest_absolute: float


@dataclass(frozen=True, slots=True)
class Difference:
    """All there is to tell."""

    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    labels: tuple[tuple[str, str, int], ...]
    """label before, label after, streams; most frequent first"""
    changed: tuple[Change, ...]
    """label changed; largest move of the score first"""
    pairs: tuple[Change, ...]
    """every stream in both"""
    shift: Shift | None
    """of streams scored in both"""
    kappa: float | None
    """Cohen's kappa over the streams' labels (Cohen 1960); None where chance alone would agree"""
    segments_compared: int
    segments_changed: int
    """segments with another label"""


def compare(before: Mapping[str, FileResult], after: Mapping[str, FileResult]) -> Difference:
    """Streams by name, segments by sequence."""
    both = [stream for stream in before if stream in after]
    pairs = tuple(_pair(before[stream], after[stream]) for stream in both)
    moves = Counter((pair.before, pair.after) for pair in pairs)
    changed = sorted((pair for pair in pairs if pair.before != pair.after), key=lambda pair: -abs(pair.shift or 0))
    segments = [
        (before[stream].segments[number][0], after[stream].segments[number][0])
        for stream in both
        for number in before[stream].segments
        if number in after[stream].segments
    ]
    return Difference(
        only_before=tuple(stream for stream in before if stream not in after),
        only_after=tuple(stream for stream in after if stream not in before),
        labels=tuple((old, new, count) for (old, new), count in moves.most_common()),
        changed=tuple(changed),
        pairs=pairs,
        shift=_shift([pair.shift for pair in pairs if pair.shift is not None]),
        kappa=cohen_kappa([(pair.before, pair.after) for pair in pairs]),
        segments_compared=len(segments),
        segments_changed=sum(old != new for old, new in segments),
    )


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement beyond chance, in [-1, 1]: (observed - expected) / (1 - expected). Cohen 1960.

    None without pairs, or where both say one and the same label of everything: chance would do no worse.
    """
    if not pairs:
        return None
    total = len(pairs)
    observed = sum(old == new for old, new in pairs) / total
    first, second = Counter(old for old, _ in pairs), Counter(new for _, new in pairs)
    expected = sum(first[label] * second[label] for label in first) / total**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def _pair(before: FileResult, after: FileResult) -> Change:
    return Change(before.stream_id, before.label or _NONE, after.label or _NONE, before.score, after.score)


def _shift(shifts: Sequence[float]) -> Shift | None:
    if not shifts:
        return None
    absolute = sorted(abs(shift) for shift in shifts)
    return Shift(
        count=len(shifts),
        mean=statistics.fmean(shifts),
        median=statistics.median(shifts),
        p95_absolute=absolute[min(len(absolute) - 1, int(0.95 * len(absolute)))],
        largest_absolute=absolute[-1],
    )
