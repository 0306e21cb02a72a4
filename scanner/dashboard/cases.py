"""The review queue: suspicious stretches of streams, and what people said of them. Pure.

A case is a run of suspicious segments of one stream. People answer its most suspicious verdict; from the first answer
on that verdict stays, and what follows of the same run adds to the case instead of asking again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from scanner.core.review import Decision, Review, standings
from scanner.dashboard.streams import Point

CALM = 5  # segments without suspicion end a run
CASES_KEPT = 2000


@dataclass(slots=True)
class Case:
    """One stretch that somebody should look at."""

    case_id: str
    """its first verdict"""
    stream_id: str
    start_ms: int
    end_ms: int
    worst: Point
    opened_ms: int
    """wall clock"""
    segments: int = 1
    calm: int = 0
    alerted: bool = False
    reviews: list[Review] = field(default_factory=list)

    @property
    def latest(self) -> dict[str, Review]:
        """The standing word of each person; taken back words are none."""
        if not self.reviews:
            return {}
        said = [review for standing in standings(self.reviews) for review in standing.reviews if not took_back(review)]
        return {review.reviewer: review for review in sorted(said, key=lambda review: review.reviewed_at_ms)}

    def done(self, needed: int) -> bool:
        """Whether enough people were sure, and more of them say one thing than the other."""
        if not self.reviews:
            return False
        sure = [review.decision for review in self.latest.values() if review.decision is not Decision.UNSURE]
        return len(sure) >= needed and sure.count(Decision.CONFIRM) * 2 != len(sure)

    @property
    def rank(self) -> tuple[bool, float, int]:
        """The most pressing first, when sorted."""
        return not self.alerted, -(self.worst.score or 0.0), self.opened_ms


def took_back(review: Review) -> bool:
    """Whether this says no more than that an earlier word does not count."""
    return review.decision is Decision.UNSURE and review.supersedes is not None


class Cases:
    """All cases; the least pressing are forgotten first when there are too many."""

    def __init__(self, kept: int = CASES_KEPT) -> None:
        self._kept = kept
        self._cases: dict[str, Case] = {}
        self._running: dict[str, Case] = {}
        self._of_verdict: dict[str, Case] = {}
        self._early: dict[str, list[Review]] = {}
        """reviews whose verdict has not come by yet"""
        self._alerted: set[str] = set()
        """verdicts that raised an alert and have not come by yet"""

    def judged(self, stream_id: str, point: Point, at_ms: int) -> None:
        case = self._running.get(stream_id)
        alerted = point.verdict_id in self._alerted
        if not point.suspicious and not alerted:
            self._calm(case)
            return
        self._add(case, stream_id, point, at_ms).alerted |= alerted
        for review in self._early.pop(point.verdict_id, ()):
            self.reviewed(review)

    def alerted(self, stream_id: str, verdict_id: str, point: Point | None, at_ms: int) -> None:
        """An alert was raised with this verdict, whatever its label is; it may come before the verdict does."""
        case = self._of_verdict.get(verdict_id)
        if case is None and point is not None:
            case = self._add(self._running.get(stream_id), stream_id, point, at_ms)
        if case is not None:
            case.alerted = True
        elif len(self._alerted) < self._kept:
            self._alerted.add(verdict_id)

    def _calm(self, case: Case | None) -> None:
        if case is not None:
            case.calm += 1
            if case.calm >= CALM:
                del self._running[case.stream_id]

    def _add(self, case: Case | None, stream_id: str, point: Point, at_ms: int) -> Case:
        if case is None:
            case = Case(point.verdict_id, stream_id, point.start_ms, point.end_ms, point, at_ms)
            self._cases[case.case_id] = self._running[stream_id] = case
            self._forget()
        else:
            case.segments += 1
            case.calm = 0
            case.end_ms = max(case.end_ms, point.end_ms)
            if not case.reviews and (point.score or 0) > (case.worst.score or 0):
                case.worst = point
        self._of_verdict[point.verdict_id] = case
        self._alerted.discard(point.verdict_id)
        return case

    def reviewed(self, review: Review) -> None:
        case = self._of_verdict.get(review.verdict_id)
        if case is None:
            if len(self._early) < self._kept:
                self._early.setdefault(review.verdict_id, []).append(review)
            return
        if all(known.review_id != review.review_id for known in case.reviews):
            case.reviews.append(review)

    def __getitem__(self, case_id: str) -> Case:
        return self._cases[case_id]

    def __iter__(self) -> Iterator[Case]:
        return iter(self._cases.values())

    def __len__(self) -> int:
        return len(self._cases)

    def count(self, needed: int) -> int:
        """Cases that are not done."""
        return sum(not case.done(needed) for case in self._cases.values())

    def waiting(self, needed: int, reviewer: str | None = None) -> list[Case]:
        """Cases that are not done, most pressing first; for a person, those they have not answered."""
        open_ = [case for case in self._cases.values() if not case.done(needed)]
        return sorted((case for case in open_ if reviewer not in case.latest), key=lambda case: case.rank)

    def answered(self, limit: int = 50) -> list[Case]:
        """Cases that somebody answered, the latest answer first."""
        said = [case for case in self._cases.values() if case.latest]
        newest = sorted(said, key=lambda case: max(review.reviewed_at_ms for review in case.reviews), reverse=True)
        return newest[:limit]

    def _forget(self) -> None:
        if len(self._cases) <= self._kept:
            return
        keep = sorted(self._cases.values(), key=lambda case: (bool(case.latest), *case.rank))[: self._kept * 9 // 10]
        self._cases = {case.case_id: case for case in sorted(keep, key=lambda case: case.opened_ms)}
        self._of_verdict = {key: case for key, case in self._of_verdict.items() if case.case_id in self._cases}
        self._running = {key: case for key, case in self._running.items() if case.case_id in self._cases}
