"""What people say of verdicts: records that are added, never changed, and what stands in the end."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scanner.core.types import Label, Verdict

LONGEST_NOTE = 4000  # characters
LONGEST_REVIEWER = 200


class Decision(StrEnum):
    """A person's answer to a verdict."""

    CONFIRM = "confirm"  # the verdict is right
    REJECT = "reject"  # it is wrong
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Review:
    """One decision of one person on one verdict."""

    verdict_id: str
    stream_id: str
    sequence: int
    decision: Decision
    reviewer: str
    """who, as the platform names its people"""
    note: str
    """why; may be empty"""
    reviewed_at_ms: int
    """wall clock, ms since the epoch, UTC"""
    supersedes: str | None = None
    """the review that this one takes back, by its `review_id`"""

    def __post_init__(self) -> None:
        if not self.verdict_id or not self.stream_id:
            raise ValueError("a review names its verdict_id and stream_id")
        if not self.reviewer.strip() or len(self.reviewer) > LONGEST_REVIEWER:
            raise ValueError(f"reviewer must be 1 to {LONGEST_REVIEWER} characters, got {len(self.reviewer)}")
        if len(self.note) > LONGEST_NOTE:
            raise ValueError(f"note must be at most {LONGEST_NOTE} characters, got {len(self.note)}")
        if self.sequence < 0 or self.reviewed_at_ms < 0:
            raise ValueError(f"sequence and reviewed_at_ms must be ≥ 0, got {self.sequence} and {self.reviewed_at_ms}")

    @property
    def review_id(self) -> str:
        """32 hex digits: the same person deciding the same at the same time is the same review."""
        facts = (self.verdict_id, self.reviewer, self.decision.value, str(self.reviewed_at_ms), self.note)
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Standing:
    """What people made of one verdict, the latest decision of each."""

    verdict_id: str
    stream_id: str
    sequence: int
    decision: Decision
    """of the majority of those who were sure; UNSURE when they are even or nobody was sure"""
    reviews: tuple[Review, ...]
    """those that still stand, oldest first; the others stay in the record"""

    @property
    def divided(self) -> bool:
        """Whether people contradict each other."""
        sure = {review.decision for review in self.reviews} - {Decision.UNSURE}
        return len(sure) > 1


def standings(reviews: Iterable[Review]) -> tuple[Standing, ...]:
    """One standing a verdict, in the order in which verdicts were first reviewed.

    A review that another one supersedes does not count, nor does a person's earlier review of the same verdict.
    A supersession counts only among reviews of the same verdict, so nobody takes back what was said of another one.
    """
    by_verdict: dict[str, dict[str, Review]] = {}
    for review in reviews:
        by_verdict.setdefault(review.verdict_id, {})[review.review_id] = review
    return tuple(_standing(list(found.values())) for found in by_verdict.values())


def _standing(reviews: list[Review]) -> Standing:
    taken_back = {review.supersedes for review in reviews}
    ordered = sorted(
        (review for review in reviews if review.review_id not in taken_back),
        key=lambda review: (review.reviewed_at_ms, review.review_id),
    )
    latest = {review.reviewer: review for review in ordered}
    standing = tuple(review for review in ordered if latest[review.reviewer] is review)
    first = reviews[0]
    return Standing(first.verdict_id, first.stream_id, first.sequence, _majority(standing), standing)


def _majority(reviews: tuple[Review, ...]) -> Decision:
    sure = [review.decision for review in reviews if review.decision is not Decision.UNSURE]
    confirmed = sure.count(Decision.CONFIRM)
    rejected = len(sure) - confirmed
    if confirmed == rejected:
        return Decision.UNSURE
    return Decision.CONFIRM if confirmed > rejected else Decision.REJECT


class Truth(StrEnum):
    """What people hold a segment to be."""

    REAL = "real"
    FAKE = "fake"


_FOUND = {Label.MANIPULATED, Label.SUSPECTED}


def truth_of(verdict: Verdict, standing: Standing) -> Truth | None:
    """What the segment is, by those who reviewed it; None when they do not know or the scanner did not judge."""
    if standing.decision is Decision.UNSURE or verdict.label is Label.INSUFFICIENT_EVIDENCE:
        return None
    fake = (verdict.label in _FOUND) is (standing.decision is Decision.CONFIRM)
    return Truth.FAKE if fake else Truth.REAL


def last_word(verdict: Verdict, standing: Standing | None) -> Label:
    """What holds in the end: people's word where most of those who were sure agree, else the scanner's.

    Rejecting a verdict that did not judge says nothing of the video, so it stays.
    """
    if standing is None or standing.decision is not Decision.REJECT or verdict.label is Label.INSUFFICIENT_EVIDENCE:
        return verdict.label
    return Label.NO_MANIPULATION_FOUND if verdict.label in _FOUND else Label.MANIPULATED


@dataclass(frozen=True, slots=True)
class Agreement:
    """How people and the scanner get on, counted over verdicts."""

    reviewed: int
    confirmed: int
    rejected: int
    unsure: int
    divided: int
    false_alarms: int
    """called manipulated or suspected, and rejected"""
    misses: int
    """nothing found, and rejected"""


def agreement(pairs: Iterable[tuple[Verdict, Standing]]) -> Agreement:
    """Counts over reviewed verdicts."""
    met = list(pairs)
    decisions = [standing.decision for _, standing in met]
    rejected = [verdict.label for verdict, standing in met if standing.decision is Decision.REJECT]
    return Agreement(
        reviewed=len(met),
        confirmed=decisions.count(Decision.CONFIRM),
        rejected=len(rejected),
        unsure=decisions.count(Decision.UNSURE),
        divided=sum(standing.divided for _, standing in met),
        false_alarms=sum(label in _FOUND for label in rejected),
        misses=rejected.count(Label.NO_MANIPULATION_FOUND),
    )
