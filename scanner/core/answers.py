"""Proof that every segment has exactly one answer: what was asked against what was answered. Pure bookkeeping.

offset          7        8        9       10  ┆   11       12
answers      verdict    none   verdict×2  dead ┆ verdict   none
                        MISSING DOUBLE         ┆ TORN      pending
                                               └─ the group's committed offset
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from scanner.core.identity import identity
from scanner.core.types import Mode

Spot = tuple[int, int]
"""partition and offset on the segments topic"""


class Kind(StrEnum):
    """What can be wrong, or worth knowing."""

    MISSING = "missing"  # committed, and no answer
    DOUBLE = "double"  # more than one answer
    TORN = "torn"  # answered, and not committed: the halves of a transaction came apart
    STRANGER = "stranger"  # an answer to a segment that never was
    MISMATCH = "mismatch"  # the answer names another stream, sequence or id than its segment
    OPEN = "open"  # a transaction that nobody ends holds up the readers
    UNREADABLE = "unreadable"  # a record among the answers that is none
    LOST = "lost_upstream"  # sequence numbers that never came
    REPEATED = "repeated_upstream"  # a sequence number that came more than once


UPSTREAM = frozenset({Kind.LOST, Kind.REPEATED})
"""not the scanner's doing: reported, and no fault of the delivery"""


@dataclass(frozen=True, slots=True)
class Question:
    """A record on the segments topic."""

    spot: Spot
    stream_id: str | None = None
    """None: not readable as a segment"""
    sequence: int = 0
    sha256: str = ""
    end_of_stream: bool = False
    redriven: bool = False
    """put there again from a dead letter, out of its stream's order"""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verdict says it answers."""

    verdict_id: str
    stream_id: str
    sequence: int
    mode: Mode
    model_sha256: str
    policy_sha256: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, or a dead letter (without identity)."""

    spot: Spot
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    what: str
    partition: int | None = None
    offset: int | None = None
    topic: str | None = None
    """the one that was asked on, where it matters"""

    @property
    def fault(self) -> bool:
        return self.kind not in UPSTREAM


@dataclass(frozen=True, slots=True)
class Proof:
    """The counts, and everything that is not as it should be."""

    segments: int
    verdicts: int
    dead_letters: int
    pending: int
    """not yet committed, nothing said yet"""
    expired: int
    """answers to segments that retention has taken since"""
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        return not any(finding.fault for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """How often each kind was found, zeroes included."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind.value: found[kind] for kind in Kind}

    @classmethod
    def of_all(cls, proofs: Mapping[str, Proof]) -> Proof:
        """One proof for several topics that were asked on, by name."""
        told = [replace(finding, topic=topic) for topic, proof in proofs.items() for finding in proof.findings]
        counts = {
            name: sum(getattr(proof, name) for proof in proofs.values())
            for name in ("segments", "verdicts", "dead_letters", "pending", "expired")
        }
        return cls(**counts, findings=tuple(told))


class Proving:
    """Feed questions and answers; then `proof`."""

    def __init__(self) -> None:
        self._questions: dict[Spot, Question] = {}
        self._answers: dict[Spot, list[Answer]] = defaultdict(list)
        self._first: dict[int, int] = {}
        self._findings: list[Finding] = []

    def asked(self, question: Question) -> None:
        """In the order of each partition."""
        self._questions[question.spot] = question
        self._first.setdefault(question.spot[0], question.spot[1])

    def answered(self, answer: Answer) -> None:
        self._answers[answer.spot].append(answer)

    def found(self, finding: Finding) -> None:
        """Something that was met while reading."""
        self._findings.append(finding)

    def proof(self, before: Mapping[int, int], after: Mapping[int, int]) -> Proof:
        """
        Args:
            before: the group's next offset, a partition, read before the answers: all below must be answered.
            after: the same, read after the answers: nothing from there on may be answered.
        """
        findings = [*self._findings]
        pending = 0
        for spot, question in self._questions.items():
            said = self._answers.get(spot, [])
            findings += _faults(question, said, before.get(spot[0], 0), after.get(spot[0], 0))
            pending += not said and spot[1] >= before.get(spot[0], 0)
        expired = 0
        for spot, said in self._answers.items():
            if spot in self._questions:
                continue
            if spot[1] < self._first.get(spot[0], before.get(spot[0], 0)):
                expired += len(said)
            else:
                findings.append(Finding(Kind.STRANGER, "answers a segment that is not there", *spot))
        everything = [answer for said in self._answers.values() for answer in said]
        verdicts = sum(answer.identity is not None for answer in everything)
        findings += _upstream(self._questions.values())
        return Proof(len(self._questions), verdicts, len(everything) - verdicts, pending, expired, tuple(findings))


def _faults(question: Question, said: list[Answer], before: int, after: int) -> Iterator[Finding]:
    spot = question.spot
    if not said and spot[1] < before:
        yield Finding(Kind.MISSING, f"{_name(question)} has no answer", *spot)
    if len(said) > 1:
        yield Finding(Kind.DOUBLE, f"{_name(question)} has {len(said)} answers", *spot)
    if said and spot[1] >= after:
        yield Finding(Kind.TORN, f"{_name(question)} is answered, and its offset is not committed", *spot)
    for identity_ in (answer.identity for answer in said if answer.identity):
        if problem := _mismatch(question, identity_):
            yield Finding(Kind.MISMATCH, problem, *spot)


def _mismatch(question: Question, said: Identity) -> str | None:
    if question.stream_id is None:
        return "a verdict on a record that is not a segment"
    if (said.stream_id, said.sequence) != (question.stream_id, question.sequence):
        return f"the verdict speaks of {said.stream_id}/{said.sequence}, the segment is {_name(question)}"
    expected = identity(
        question.stream_id, question.sequence, question.sha256, said.mode, said.model_sha256, said.policy_sha256
    )
    return None if said.verdict_id == expected else f"{_name(question)}: verdict_id {said.verdict_id} is not {expected}"


def _upstream(questions: Iterable[Question]) -> Iterator[Finding]:
    """Gaps and repeats of sequence numbers inside streams; a stream that ended may begin again."""
    ahead: dict[str, int] = {}
    for question in questions:
        if question.stream_id is None or question.redriven:
            continue
        expected = ahead.get(question.stream_id)
        if expected is not None and question.sequence > expected:
            lost = question.sequence - expected
            yield Finding(Kind.LOST, f"{question.stream_id}: {lost} from sequence {expected} on", *question.spot)
        if expected is not None and question.sequence < expected:
            yield Finding(Kind.REPEATED, f"{question.stream_id}: sequence {question.sequence} again", *question.spot)
        if question.end_of_stream:
            ahead.pop(question.stream_id, None)
        else:
            ahead[question.stream_id] = max(question.sequence + 1, expected or 0)


def _name(question: Question) -> str:
    return (
        "a record that is not a segment" if question.stream_id is None else f"{question.stream_id}/{question.sequence}"
    )
