"""Transactions with a deadline: kafka-python waits for ever in send_offsets, commit and abort.

    begin ─▶ records ─▶ offsets ─▶ end        every step waits no longer than what is left of the deadline
      └── anything fails ──▶ the producer is given up; the next one, of the same name, fences it

A producer whose transaction failed is never used again: kafka-python 3.0.12 carries offsets that were not taken over
into the next transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka import errors as foreign
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from scanner.bus.kafka.clients import made
from scanner.bus.kafka.config import KafkaConfig
from scanner.bus.kafka.errors import ours
from scanner.bus.kafka.publisher import end, give_up, size_of
from scanner.core.errors import BrokerRefusedError, BrokerUnavailableError, ScannerError
from scanner.ports import Record

_ABORT_S = 2.0
_FINAL = (
    foreign.MessageSizeTooLargeError,
    foreign.RecordListTooLargeError,
    foreign.TopicAuthorizationFailedError,
    foreign.GroupAuthorizationFailedError,
    foreign.ClusterAuthorizationFailedError,
    foreign.TransactionalIdAuthorizationFailedError,
    foreign.FencedInstanceIdError,
    foreign.UnsupportedVersionError,
)
"""refusals that another try does not change"""


class UndecidedError(BrokerUnavailableError):
    """The end of a transaction was asked for and no answer came: everything or nothing has happened."""


class KafkaTransactor:
    """One transactional producer at a time, made when it is needed, bounded in bytes under way."""

    def __init__(self, config: KafkaConfig, name: str) -> None:
        """`name` is the transactional id: whoever takes it next ends what the one before left open."""
        self._config = config
        self._name = name
        self._producer: KafkaProducer | None = None

    def commit(
        self,
        outputs: Sequence[Record],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        group: ConsumerGroupMetadata | None,
        deadline: float,
    ) -> None:
        """Everything or nothing.

        Args:
            group: None when no offsets move.
            deadline: on the monotonic clock.

        Raises:
            UndecidedError: `fence`, then look at what the group has committed.
            ScannerError: nothing has happened.
        """
        producer = self.fence(deadline) if self._producer is None else self._producer
        ending = False
        try:
            with _ours("commit answers and offsets"):
                producer.begin_transaction()
                self._send(producer, outputs, deadline)
                if offsets:
                    manager = producer._transaction_manager  # noqa: SLF001 – the public call has no deadline
                    self._wait(producer, manager.send_offsets_to_transaction(dict(offsets), group), deadline)
                ending = True
                self._wait(producer, producer._transaction_manager.begin_commit(), deadline)  # noqa: SLF001 - the same
        except ScannerError as error:
            # The broker is told of the end only if it listens; else the next producer tells it.
            self._give_up(abort=not ending and not isinstance(error, BrokerUnavailableError))
            if ending:
                raise UndecidedError(str(error)) from error
            raise

    def fence(self, deadline: float) -> KafkaProducer:
        """A new producer: when this returns, whatever the one before left open is committed or aborted for good."""
        self._give_up(abort=False)
        left_ms = max(1, int((deadline - time.monotonic()) * 1000))
        with _ours(f"begin transactions as {self._name}"):
            within = {"bootstrap_timeout_ms": left_ms, "max_block_ms": left_ms}
            self._producer = made(KafkaProducer, {**self._config.transactional(self._name), **within})
            try:
                self._producer.init_transactions()
            except BaseException:
                self._give_up(abort=False)
                raise
            self._producer.config["max_block_ms"] = self._config.deadline_ms
        return self._producer

    def close(self) -> None:
        """Between two transactions; an open one is given up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            end(producer)

    def _send(self, producer: KafkaProducer, outputs: Sequence[Record], deadline: float) -> None:
        sent: list[Any] = []
        waiting_bytes = 0
        for output in outputs:
            if sent and waiting_bytes + size_of(output) > self._config.inflight_bytes:
                _settle(producer, sent, deadline)
                sent, waiting_bytes = [], 0
            sent.append(producer.send(output.topic, output.value, output.key, headers=list(output.headers)))
            waiting_bytes += size_of(output)
        _settle(producer, sent, deadline)

    @staticmethod
    def _wait(producer: KafkaProducer, result: Any, deadline: float) -> None:
        producer._sender.wakeup()  # noqa: SLF001 - the same
        if not result.wait(timeout_ms=max(0.0, deadline - time.monotonic()) * 1000):
            raise foreign.KafkaTimeoutError("the transaction's coordinator does not answer")

    def _give_up(self, *, abort: bool) -> None:
        """With `abort` the broker is told, so that readers need not wait for the transaction to time out."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        if abort:
            with suppress(foreign.KafkaError):  # the next producer of this name aborts it
                self._wait(producer, producer._transaction_manager.begin_abort(), time.monotonic() + _ABORT_S)  # noqa: SLF001 - the same
        give_up(producer)


@contextmanager
def _ours(doing: str) -> Iterator[None]:
    try:
        with ours(doing):
            yield
    except BrokerRefusedError as error:
        if isinstance(error.__cause__, _FINAL):
            raise
        # A transaction that lasted too long was ended by the broker, say: the next producer does better.
        raise BrokerUnavailableError(str(error)) from error.__cause__


def _settle(producer: KafkaProducer, sent: Sequence[Any], deadline: float) -> None:
    if sent:
        producer.flush(max(0.0, deadline - time.monotonic()))
    for future in sent:
        if future.exception is not None:
            raise future.exception
