"""Reads what was asked and what was answered off a bus, and proves one answer an offset (scanner.core.answers)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from scanner import letters, wire
from scanner.core.answers import Answer, Finding, Identity, Kind, Proof, Proving, Question
from scanner.core.errors import SegmentInvalidError
from scanner.core.types import Source, Verdict
from scanner.ports import Bus, Delivery

PATIENCE_S = 45.0
"""an open transaction is ended by the broker before that"""
_POLL_S = 0.25

Told = Callable[[int], None]
"""told how many records have been read"""


def verify(
    bus: Bus, topics: wire.Topics, group: str, *, patience_s: float = PATIENCE_S, told: Told = lambda _: None
) -> Proof:
    """Every committed segment against its answers, as readers with `read_committed` see them.

    Workers may be at work meanwhile. Payloads are read and not kept.

    Args:
        patience_s: how long one silent open transaction is waited for.
    """
    proving = Proving()
    count = 0

    def read(topic: str) -> None:
        nonlocal count
        for delivery in _everything(bus, topic, proving, patience_s):
            _take(proving, delivery, topics)
            count += 1
            told(count)

    # Step 1. What is committed now must have answers by the time they are read.
    before = _committed(bus, topics, group)
    read(topics.verdicts)
    read(topics.deadletters)
    # Step 2. What has answers now must be committed, and asked, by the time that is read.
    after = _committed(bus, topics, group)
    read(topics.segments)
    return proving.proof(before, after)


def _committed(bus: Bus, topics: wire.Topics, group: str) -> dict[int, int]:
    return {partition: offset for (_, partition), offset in bus.committed(topics.segments, group).items()}


def _everything(bus: Bus, topic: str, proving: Proving, patience_s: float) -> Iterator[Delivery]:
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        heard = time.monotonic()
        while not reader.at_end():
            for delivery in reader.poll(_POLL_S, limit=1000):
                heard = time.monotonic()
                yield delivery
            if time.monotonic() - heard > patience_s:
                proving.found(Finding(Kind.OPEN, f"{topic}: a transaction has been open for {patience_s:.0f} s"))
                return


def _take(proving: Proving, delivery: Delivery, topics: wire.Topics) -> None:
    topic = delivery.record.topic
    try:
        if topic == topics.segments:
            proving.asked(_question(delivery))
        elif topic == topics.verdicts:
            verdict = wire.verdict_of(delivery.record)
            proving.answered(Answer(_spot(verdict.source, topics), _identity(verdict)))
        else:
            proving.answered(Answer(_spot(letters.rejected_of(delivery.record).source, topics)))
    except SegmentInvalidError as error:
        proving.found(Finding(Kind.UNREADABLE, f"{topic}/{delivery.partition}/{delivery.offset}: {error}"))


def _question(delivery: Delivery) -> Question:
    spot = (delivery.partition, delivery.offset)
    try:
        segment = wire.segment_of(delivery)
    except SegmentInvalidError:
        return Question(spot)  # it is to become a dead letter
    redriven = letters.redriven_from(delivery.record) is not None
    return Question(spot, segment.stream_id, segment.sequence, segment.sha256, segment.end_of_stream, redriven)


def _identity(verdict: Verdict) -> Identity:
    return Identity(
        verdict.verdict_id,
        verdict.stream_id,
        verdict.sequence,
        verdict.coverage.mode,
        verdict.model.sha256,
        verdict.policy_sha256,
    )


def _spot(source: Source | None, topics: wire.Topics) -> tuple[int, int]:
    if source is None or source.topic != topics.segments:
        raise SegmentInvalidError(f"does not answer a record on {topics.segments}")
    return source.partition, source.offset
