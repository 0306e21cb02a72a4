"""Records out: idempotent, acknowledged by all replicas, bounded in bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from scanner.bus.kafka.clients import made
from scanner.bus.kafka.config import KafkaConfig
from scanner.bus.kafka.errors import ours, translated
from scanner.core.errors import BrokerUnavailableError, ScannerError
from scanner.ports import Record

_CLOSE_S = 1.0
_RECORD_OVERHEAD_BYTES = 128  # what kafka-python keeps beside the bytes themselves, about


class KafkaPublisher:
    """kafka-python keeps any number of bytes waiting for the broker; this publisher makes its caller wait instead.

    After an error everything that was not yet durable is given up: nothing goes out later behind the caller's back.
    """

    def __init__(self, config: KafkaConfig, require: Callable[[str], None]) -> None:
        """`require` raises TopicMissingError for a topic that is not there."""
        self._config = config
        self._require = require
        self._known: set[str] = set()
        self._room = threading.Condition()
        self._inflight_bytes = 0
        self._failure: Exception | None = None
        self._producer: KafkaProducer | None = self._connected()

    def publish(self, record: Record) -> None:
        """Returns when the record is on its way; what becomes of it, `flush` tells."""
        if record.topic not in self._known:
            self._require(record.topic)
            self._known.add(record.topic)
        producer = self._producer = self._producer or self._connected()
        size = size_of(record)
        self._reserve(size)
        try:
            with ours(f"publish to {record.topic}"):
                future = producer.send(record.topic, record.value, record.key, headers=list(record.headers))
        except BaseException:
            self._settled(size, None)
            raise
        future.add_both(self._settled, size)

    def flush(self, timeout_s: float) -> None:
        """Returns when everything is durable. Raises BrokerUnavailableError."""
        if self._producer is None:
            return
        try:
            with ours(f"make {self._inflight_bytes} bytes durable within {timeout_s:g} s"):
                self._producer.flush(timeout_s)
            self._raise_failure()
        except ScannerError:
            # An idempotent producer stays in its error for a while and fails what comes next: take a fresh one.
            self.close()
            raise

    def close(self) -> None:
        """Unflushed records are given up."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        end(producer)
        with self._room:
            self._failure = None

    def _connected(self) -> KafkaProducer:
        with ours(f"reach {', '.join(self._config.bootstrap_servers)}"):
            return made(KafkaProducer, self._config.producer())

    def _reserve(self, size: int) -> None:
        deadline = time.monotonic() + self._config.deadline_s
        with self._room:
            # A record larger than the whole budget passes alone.
            while self._inflight_bytes and self._inflight_bytes + size > self._config.inflight_bytes:
                if not self._room.wait(deadline - time.monotonic()):
                    raise BrokerUnavailableError(
                        f"{self._inflight_bytes} bytes wait for {', '.join(self._config.bootstrap_servers)}"
                        f" and none was taken for {self._config.deadline_s:g} s"
                    )
            self._inflight_bytes += size

    def _settled(self, size: int, outcome: Any) -> None:
        """On the producer's own thread, when a record is durable or given up."""
        with self._room:
            self._inflight_bytes -= size
            if isinstance(outcome, Exception):
                self._failure = self._failure or outcome
            self._room.notify_all()

    def _raise_failure(self) -> None:
        with self._room:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise translated(failure, "publish") from failure


def size_of(record: Record) -> int:
    """Bytes that a record takes while it is under way, about."""
    return record.size + _RECORD_OVERHEAD_BYTES


def end(producer: KafkaProducer) -> None:
    """Sends what is left, if that goes fast, and ends the producer and its thread."""
    try:
        producer.close(timeout=_CLOSE_S)
    except KafkaError:  # what is unflushed keeps kafka-python's own close from ending the thread
        give_up(producer)


def give_up(producer: KafkaProducer) -> None:
    """Ends a producer and its thread at once, whatever is under way."""
    producer._sender.force_close()  # noqa: SLF001 - the public close waits without a limit
    producer._sender.wakeup()  # noqa: SLF001 - the same
    producer._sender.join(_CLOSE_S)  # noqa: SLF001 - the same
    with suppress(KafkaError):
        producer.close(timeout=0)
