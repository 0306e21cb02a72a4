"""Topics read outside any group."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kafka import KafkaConsumer, TopicPartition

from scanner.bus.kafka.config import KafkaConfig
from scanner.bus.kafka.errors import ours
from scanner.bus.kafka.records import delivery_of
from scanner.ports import Delivery


class KafkaReader:
    """Reads every partition of its topics; commits nothing."""

    def __init__(self, config: KafkaConfig, places: Sequence[TopicPartition], *, from_beginning: bool) -> None:
        self._config = config
        self._places = list(places)
        self._alive_at = time.monotonic()
        with ours("read"):
            self._consumer = KafkaConsumer(**config.consumer(), auto_offset_reset="earliest")
            self._consumer.assign(self._places)
            # The end is the one of this moment: what is published from now on is read.
            starts = self._edges(from_beginning=from_beginning)
            for place, offset in starts.items():
                self._consumer.seek(place, offset)

    def poll(self, timeout_s: float, limit: int) -> list[Delivery]:
        with ours("read"):
            fetched = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=limit)
            if fetched:
                self._alive_at = time.monotonic()
            elif time.monotonic() - self._alive_at > self._config.deadline_s / 2:
                self._edges(from_beginning=False)
        return [delivery_of(record) for records in fetched.values() for record in records]

    def at_end(self) -> bool:
        with ours("find the end"):
            ends = self._edges(from_beginning=False)
            return all((self._consumer.position(place) or 0) >= end for place, end in ends.items())

    def close(self) -> None:
        with ours("close the reader"):
            self._consumer.close(autocommit=False, timeout_ms=1000)

    def _edges(self, *, from_beginning: bool) -> dict[TopicPartition, int]:
        ask = self._consumer.beginning_offsets if from_beginning else self._consumer.end_offsets
        edges: dict[TopicPartition, int] = ask(self._places, timeout_ms=self._config.deadline_ms // 2)
        self._alive_at = time.monotonic()
        return edges
