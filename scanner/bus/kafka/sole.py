"""A publisher of which there is one at a time: its name is a transactional id, which the brokers fence."""

from __future__ import annotations

import time
from collections.abc import Callable

from kafka import errors as foreign

from scanner.bus.kafka.config import KafkaConfig
from scanner.bus.kafka.transactor import KafkaTransactor
from scanner.core.errors import ReplacedError, ScannerError
from scanner.ports import Record

_FENCED = (foreign.ProducerFencedError, foreign.InvalidProducerEpochError)


class KafkaSolePublisher:
    """1. fence the one before  2. each flush is one transaction. After an error it is of no more use."""

    def __init__(self, config: KafkaConfig, name: str, require: Callable[[str], None]) -> None:
        """`require` raises TopicMissingError for a topic that is not there."""
        self._name = name
        self._require = require
        self._known: set[str] = set()
        self._waiting: list[Record] = []
        self._failure: ScannerError | None = None
        self._transactor = KafkaTransactor(config, name)
        self._transactor.fence(time.monotonic() + config.deadline_s)

    def publish(self, record: Record) -> None:
        if record.topic not in self._known:
            self._require(record.topic)
            self._known.add(record.topic)
        self._waiting.append(record)

    def flush(self, timeout_s: float) -> None:
        if self._failure is not None:
            # Another transaction would begin by fencing whoever took over.
            raise self._failure
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            self._transactor.commit(waiting, {}, None, time.monotonic() + timeout_s)
        except ScannerError as error:
            self._failure = error
            if not _fenced(error):
                raise
            self._failure = ReplacedError(f"somebody else publishes as {self._name} from now on")
            raise self._failure from error

    def close(self) -> None:
        self._waiting.clear()
        self._transactor.close()


def _fenced(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, _FENCED) or _fenced(error.__cause__))
