"""Dead letters: read them, and put the segments they hold on their topic again, each at most once.

    dead letter ──┬─ its segment has a verdict meanwhile ──▶ left alone
                  ├─ was redriven before ──────────────────▶ left alone
                  ├─ its bytes are nowhere any more ───────▶ told
                  └─ else ──▶ the topic it came by, with `scanner-redriven-from: topic/partition/offset`

What was redriven stands on that topic itself, so that a redrive that was interrupted is simply run again. Only one
redrive of a dead-letter topic publishes at a time, and it looks for earlier ones when nobody else can publish any more:
of two at once the second goes on where the first is ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum

from scanner import wire
from scanner.core.errors import SegmentInvalidError
from scanner.core.identity import identity
from scanner.core.types import Source, Verdict
from scanner.letters import Rejected, header, redriven_from, redriven_record, redriver, rejected_of
from scanner.ports import Bus, Delivery, Publisher, Record

_POLL_S = 0.25
_FLUSH_S = 30.0
_CLOCKS_MS = 120_000  # those of workers and of whoever redrives differ by less


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it lies on its topic."""

    at: Source
    at_ms: int
    """wall clock, when it was written"""
    rejected: Rejected
    record: Record

    def header(self, name: str) -> str:
        """Of the record that was rejected; empty where it has none."""
        return header(self.record, name) or ""

    @property
    def place(self) -> tuple[str, str]:
        """Stream and sequence, as the record says."""
        return self.header("stream-id"), self.header("sequence")

    @property
    def name(self) -> str:
        return f"{self.at.topic}/{self.at.partition}/{self.at.offset}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters; what is not set does not matter."""

    coordinates: frozenset[tuple[int, int]] = frozenset()
    """partition and offset on the dead-letter topic"""
    stream_id: str | None = None
    stage: str | None = None
    disposition: str | None = None
    error: str | None = None
    """a part of the error's name or message"""

    def __call__(self, letter: Letter) -> bool:
        told = letter.rejected
        return (
            (not self.coordinates or (letter.at.partition, letter.at.offset) in self.coordinates)
            and self.stream_id in {None, letter.header("stream-id")}
            and self.stage in {None, told.stage}
            and self.disposition in {None, told.disposition}
            and (self.error is None or self.error in f"{told.error}: {told.message}")
        )


class Fate(StrEnum):
    """What became of a dead letter, or would."""

    REDRIVEN = "redriven"
    BEFORE = "redriven_before"
    ANSWERED = "answered"
    GONE = "gone"


def letters(bus: Bus, topics: wire.Topics, wanted: Wanted, *, since_ms: int | None = None) -> Iterator[Letter]:
    """Oldest first within each partition. What cannot be read as a dead letter is left out."""
    for delivery in _everything(bus, topics.deadletters, since_ms):
        letter = letter_of(delivery)
        if letter is not None and wanted(letter):
            yield letter


def redrive(
    bus: Bus, topics: wire.Topics, chosen: Iterable[Letter], *, dry: bool, told: Callable[[Letter, Fate], None]
) -> None:
    """Puts the segments of these letters on their topic again.

    Args:
        dry: only say what would become of each.
        told: called for each letter when its fate is certain: for REDRIVEN, when the segment is durable.

    Raises:
        ReplacedError: another redrive began meanwhile. What was told stays true, the rest is the other one's to say.
    """
    waiting = list(chosen)
    if not waiting:
        return
    if dry:
        _drive(bus, topics, waiting, None, told)
        return
    # Step 1. Nobody else redrives any more: what others did is on the topic, what they did not they no longer can.
    with closing(bus.sole_publisher(redriver(topics))) as publisher:
        _drive(bus, topics, waiting, publisher, told)


def _drive(
    bus: Bus,
    topics: wire.Topics,
    waiting: list[Letter],
    publisher: Publisher | None,
    told: Callable[[Letter, Fate], None],
) -> None:
    # Step 2. What was done before, by whomever.
    since_ms = max(0, min(letter.at_ms for letter in waiting) - _CLOCKS_MS)
    asked = (each for topic in topics.asked for each in _everything(bus, topic, since_ms))
    before = {name for each in asked if (name := redriven_from(each.record))}
    answered = _answered(bus, topics, since_ms)
    # Step 3. The rest, once each.
    for letter in waiting:
        if letter.name in before:
            told(letter, Fate.BEFORE)
        elif any(_answers(verdict, letter) for verdict in answered.get(letter.place, [])):
            told(letter, Fate.ANSWERED)
        elif (record := _segment(bus, topics, letter)) is None:
            told(letter, Fate.GONE)
        else:
            if publisher is not None:
                publisher.publish(record)
                publisher.flush(_FLUSH_S)
            before.add(letter.name)
            told(letter, Fate.REDRIVEN)


def _everything(bus: Bus, topic: str, since_ms: int | None) -> Iterator[Delivery]:
    with closing(bus.reader([topic], from_beginning=True, since_ms=since_ms)) as reader:
        while not reader.at_end():
            yield from reader.poll(_POLL_S, limit=1000)


def letter_of(delivery: Delivery) -> Letter | None:
    """None when the record is not a dead letter."""
    try:
        rejected = rejected_of(delivery.record)
    except SegmentInvalidError:
        return None
    return Letter(delivery.source, delivery.timestamp_ms, rejected, delivery.record)


def _answered(bus: Bus, topics: wire.Topics, since_ms: int) -> dict[tuple[str, str], list[Verdict]]:
    """Verdicts since then, by stream and sequence."""
    said: dict[tuple[str, str], list[Verdict]] = {}
    for delivery in _everything(bus, topics.verdicts, since_ms):
        with suppress(SegmentInvalidError):
            verdict = wire.verdict_of(delivery.record)
            said.setdefault((verdict.stream_id, str(verdict.sequence)), []).append(verdict)
    return said


def _answers(verdict: Verdict, letter: Letter) -> bool:
    """Whether the verdict, of this stream and sequence, was reached from the letter's bytes."""
    sha256 = letter.header("content-sha256")
    mode, model, policy = verdict.coverage.mode, verdict.model.sha256, verdict.policy_sha256
    return verdict.verdict_id == identity(verdict.stream_id, verdict.sequence, sha256, mode, model, policy)


def _segment(bus: Bus, topics: wire.Topics, letter: Letter) -> Record | None:
    """The record as it came, marked; None when its bytes are nowhere any more."""
    came_by = letter.rejected.source.topic
    topic = came_by if came_by in topics.asked else topics.segments
    if letter.rejected.omitted_bytes is None:
        return redriven_record(letter.record, topic, letter.name, at_ms=time.time_ns() // 1_000_000)
    original = bus.fetch(letter.rejected.source)
    if original is None:
        return None
    return redriven_record(original.record, topic, letter.name, at_ms=time.time_ns() // 1_000_000)
