"""Dead letters: the record that got no verdict, why, and its way back (KIP-1034 header names)."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Literal

from scanner.core.errors import ScannerError
from scanner.core.types import Source
from scanner.headers import LARGEST_STREAM_ID_BYTES, Headers
from scanner.ports import Delivery, Record
from scanner.wire import Topics, Type, cloud_event

_LETTER_HEADERS = {"scanner-stage", "scanner-attempt", "scanner-disposition", "scanner-redriven-from"}
REDRIVEN = "scanner-redriven-from"
"""header of a segment that was put on its topic again: topic/partition/offset of the dead letter"""
LONGEST_TOLD = 2000  # characters of an error's message; of its trace, twice as many


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a segment has no verdict."""

    error: ScannerError = field(repr=False)
    attempt: int
    """1-based"""
    disposition: Literal["poison", "systemic", "timeout", "policy"] = "poison"


@dataclass(frozen=True, slots=True)
class Rejected:
    """What a dead letter says of the record that got no verdict."""

    source: Source
    """where the record lies"""
    error: str
    message: str
    stage: str
    attempt: int
    disposition: str
    omitted_bytes: int | None = None
    """set when value and headers were too large to travel along"""


def rejected_of(record: Record) -> Rejected:
    """The told part of a dead letter. Raises SegmentInvalidError, naming the header."""
    headers = Headers(record.headers)
    omitted = headers.text("scanner-value-omitted")
    return Rejected(
        source=Source(
            headers.need("__streams.errors.topic"),
            headers.number("__streams.errors.partition", headers.need("__streams.errors.partition")),
            headers.number("__streams.errors.offset", headers.need("__streams.errors.offset")),
        ),
        error=headers.need("__streams.errors.exception"),
        message=headers.text("__streams.errors.message") or "",
        stage=headers.need("scanner-stage"),
        attempt=headers.number("scanner-attempt", headers.need("scanner-attempt")),
        disposition=headers.need("scanner-disposition"),
        omitted_bytes=None if omitted is None else headers.number("scanner-value-omitted", omitted),
    )


def redriven_from(record: Record) -> str | None:
    """The coordinates of the dead letter that this record was redriven from."""
    return header(record, REDRIVEN)


def redriven_record(rejected: Record, topic: str, name: str, *, at_ms: int) -> Record:
    """A rejected record, or its dead letter, as a segment again.

    Args:
        name: topic/partition/offset of the dead letter.
    """
    kept = tuple(
        (key, value)
        for key, value in rejected.headers
        if not key.startswith(("__streams.errors.", "ce_")) and key not in _LETTER_HEADERS
    )
    told = {**cloud_event(name, "scanner", Type.SEGMENT, at_ms), REDRIVEN: name}
    added = tuple((key, value.encode()) for key, value in told.items())
    return Record(topic, rejected.key, rejected.value, (*kept, *added))


def redriver(topics: Topics) -> str:
    """Under which the dead letters of these topics are tried again: on Apache Kafka a transactional id."""
    return f"redrive.{topics.deadletters}"


def header(record: Record, name: str) -> str | None:
    """The first header of this name, whatever its bytes."""
    return next((value.decode(errors="replace") for key, value in record.headers if key == name), None)


def deadletter_record(
    delivery: Delivery, letter: DeadLetter, topic: str, *, at_ms: int, largest_bytes: int | None = None
) -> Record:
    """The original record with the header names of KIP-1034, and stage, attempt and disposition beside them.

    A record that would exceed `largest_bytes` goes without its value and headers: `scanner-value-omitted` tells how
    many bytes they had, and topic, partition and offset where they still lie.
    """
    place = f"{delivery.record.topic}/{delivery.partition}/{delivery.offset}"
    trace = "".join(traceback.format_exception(letter.error))[-2 * LONGEST_TOLD :]
    headers = {
        "__streams.errors.exception": f"{type(letter.error).__module__}.{type(letter.error).__qualname__}",
        "__streams.errors.message": str(letter.error)[:LONGEST_TOLD],
        "__streams.errors.stacktrace": trace,
        "__streams.errors.topic": delivery.record.topic,
        "__streams.errors.partition": str(delivery.partition),
        "__streams.errors.offset": str(delivery.offset),
        "scanner-stage": letter.error.stage.value,
        "scanner-attempt": str(letter.attempt),
        "scanner-disposition": letter.disposition,
        **cloud_event(place, "scanner", Type.DEADLETTER, at_ms),
    }
    kept = tuple((name, value) for name, value in delivery.record.headers if name not in headers)
    encoded = tuple((name, value.encode()) for name, value in headers.items())
    whole = Record(topic, delivery.record.key, delivery.record.value, kept + encoded)
    if largest_bytes is None or whole.size <= largest_bytes:
        return whole
    omitted = ("scanner-value-omitted", str(delivery.record.size).encode())
    return Record(topic, delivery.record.key[:LARGEST_STREAM_ID_BYTES], b"", (*encoded, omitted))
