"""Reads what was asked and what was answered off a bus, and proves one answer an offset (scanner.core.answers)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
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
    provings = {asked: Proving() for asked in topics.asked}
    count = 0

    def read(topic: str) -> None:
        nonlocal count
        for delivery in _everything(bus, topic, provings[topics.segments], patience_s):
            _take(provings, delivery, topics)
            count += 1
            told(count)

    # Step 1. What is committed now must have answers by the time they are read.
    before = {asked: _committed(bus, asked, group) for asked in topics.asked}
    read(topics.verdicts)
    read(topics.deadletters)
    # Step 2. What has answers now must be committed, and asked, by the time that is read.
    after = {asked: _committed(bus, asked, group) for asked in topics.asked}
    for asked in topics.asked:
        read(asked)
    return Proof.of_all({asked: one.proof(before[asked], after[asked]) for asked, one in provings.items()})


def _committed(bus: Bus, asked: str, group: str) -> dict[int, int]:
    return {partition: offset for (_, partition), offset in bus.committed(asked, group).items()}


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


def _take(provings: Mapping[str, Proving], delivery: Delivery, topics: wire.Topics) -> None:
    topic = delivery.record.topic
    try:
        if topic in provings:
            provings[topic].asked(_question(delivery))
        elif topic == topics.verdicts:
            verdict = wire.verdict_of(delivery.record)
            source = _source(verdict.source, topics)
            provings[source.topic].answered(Answer((source.partition, source.offset), _identity(verdict)))
        else:
            source = _source(letters.rejected_of(delivery.record).source, topics)
            provings[source.topic].answered(Answer((source.partition, source.offset)))
    except SegmentInvalidError as error:
        provings[topics.segments].found(
            Finding(Kind.UNREADABLE, f"{topic}/{delivery.partition}/{delivery.offset}: {error}")
        )


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


def _source(source: Source | None, topics: wire.Topics) -> Source:
    if source is None or source.topic not in topics.asked:
        raise SegmentInvalidError(f"does not answer a record on {' or '.join(topics.asked)}")
    return source
