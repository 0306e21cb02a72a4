"""Topics read outside any group."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from kafka import KafkaConsumer, TopicPartition

from scanner.bus.kafka.clients import made
from scanner.bus.kafka.config import KafkaConfig
from scanner.bus.kafka.errors import ours
from scanner.bus.kafka.records import delivery_of
from scanner.core.types import Source
from scanner.ports import Delivery


class KafkaReader:
    """Reads every partition of its topics, but for what was never committed; commits nothing."""

    def __init__(
        self,
        config: KafkaConfig,
        places: Sequence[TopicPartition],
        written: Mapping[TopicPartition, int],
        *,
        from_beginning: bool,
        since_ms: int | None = None,
    ) -> None:
        """`written` is the end of each partition, transactions included that are not yet decided."""
        self._config = config
        self._written = written
        self._places = list(places)
        self._alive_at = time.monotonic()
        with ours("read"):
            self._consumer = made(KafkaConsumer, {**config.consumer(), "auto_offset_reset": "earliest"})
        try:
            self._begin(from_beginning=from_beginning, since_ms=since_ms)
        except BaseException:
            self.close()
            raise

    def _begin(self, *, from_beginning: bool, since_ms: int | None) -> None:
        with ours("read"):
            self._consumer.assign(self._places)
            # The end is the one of this moment: what is published from now on is read.
            starts = self._edges(from_beginning=from_beginning)
            if since_ms is not None:
                starts = self._edges(from_beginning=False) | self._since(since_ms)
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
            # A transaction that was open when reading began is waited for: its group may have moved on already,
            # while its records' partition does not know yet that they count.
            return all(
                (self._consumer.position(place) or 0) >= max(end, self._written[place]) for place, end in ends.items()
            )

    def close(self) -> None:
        with ours("close the reader"):
            self._consumer.close(autocommit=False, timeout_ms=1000)

    def _since(self, at_ms: int) -> dict[TopicPartition, int]:
        found = self._consumer.offsets_for_times(dict.fromkeys(self._places, at_ms))
        return {place: at.offset for place, at in found.items() if at is not None}

    def _edges(self, *, from_beginning: bool) -> dict[TopicPartition, int]:
        ask = self._consumer.beginning_offsets if from_beginning else self._consumer.end_offsets
        edges: dict[TopicPartition, int] = ask(self._places, timeout_ms=self._config.deadline_ms // 2)
        self._alive_at = time.monotonic()
        return edges


def counted(config: KafkaConfig, ranges: Mapping[TopicPartition, tuple[int, int]]) -> dict[TopicPartition, int]:
    """Records between two offsets, without the marks of transactions; where that took too long, nothing is said."""
    found = dict.fromkeys(ranges, 0)
    open_, deadline = set(ranges), time.monotonic() + config.deadline_s / 2
    with ours("count what waits"):
        consumer = made(KafkaConsumer, {**config.consumer(), "auto_offset_reset": "earliest"})
        try:
            consumer.assign(list(ranges))
            for place, (start, _) in ranges.items():
                consumer.seek(place, start)
            while open_ and time.monotonic() < deadline:
                for place, records in consumer.poll(timeout_ms=100).items():
                    found[place] += sum(record.offset < ranges[place][1] for record in records)
                open_ = {place for place in open_ if (consumer.position(place) or 0) < ranges[place][1]}
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)
    return {place: count for place, count in found.items() if place not in open_}


def fetched(config: KafkaConfig, source: Source) -> Delivery | None:
    """The one record at these coordinates, if it is still there."""
    place = TopicPartition(source.topic, source.partition)
    with ours(f"fetch {source.topic}/{source.partition}/{source.offset}"):
        consumer = made(KafkaConsumer, {**config.consumer(), "auto_offset_reset": "earliest"})
        try:
            consumer.assign([place])
            first = consumer.beginning_offsets([place], timeout_ms=config.deadline_ms // 2)[place]
            end = consumer.end_offsets([place], timeout_ms=config.deadline_ms // 2)[place]
            if not first <= source.offset < end:
                return None
            consumer.seek(place, source.offset)
            # One record at most comes of a poll; an offset that compaction or a transaction took gives a later one.
            records = consumer.poll(timeout_ms=config.deadline_ms // 2, max_records=1).get(place, [])
            return next((delivery_of(record) for record in records if record.offset == source.offset), None)
        finally:
            consumer.close(autocommit=False, timeout_ms=1000)
