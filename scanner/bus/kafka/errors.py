"""kafka-python's errors become ours on the line where they enter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import errors as foreign

from scanner.core.errors import (
    BrokerRefusedError,
    BrokerUnavailableError,
    MembershipLostError,
    ScannerError,
    TopicMissingError,
)
from scanner.meter import KAFKA

_GROUP_WENT_ON = (
    foreign.CommitFailedError,
    foreign.RebalanceInProgressError,
    foreign.UnknownMemberIdError,
    foreign.IllegalGenerationError,
)
_TOO_LARGE = (foreign.MessageSizeTooLargeError, foreign.RecordListTooLargeError)


@contextmanager
def ours(doing: str) -> Iterator[None]:
    """`doing` completes the sentence "could not …"; what is done counts as the client's work."""
    try:
        with KAFKA.running():
            yield
    except foreign.KafkaError as error:
        raise translated(error, doing) from error


def translated(error: Exception, doing: str) -> ScannerError:
    name = type(error).__name__
    told = str(error).removeprefix(f"[Error {getattr(error, 'errno', None)}] ").removeprefix(name).removeprefix(": ")
    said = ": ".join(filter(None, (f"could not {doing}", name, told)))
    if isinstance(error, foreign.FencedInstanceIdError):
        return BrokerRefusedError(f"{said}; another process uses the same instance name")
    if isinstance(error, _GROUP_WENT_ON):
        return MembershipLostError(said)
    if isinstance(error, (foreign.UnknownTopicOrPartitionError, foreign.InvalidTopicError)):
        return TopicMissingError(said)
    if isinstance(error, _TOO_LARGE):
        return BrokerRefusedError(f"{said}; lower claims.inline_limit_bytes or raise the topic's max.message.bytes")
    if isinstance(error, foreign.KafkaError) and not error.retriable:
        return BrokerRefusedError(said)
    return BrokerUnavailableError(said)
