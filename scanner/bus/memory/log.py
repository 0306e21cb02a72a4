"""One partition in memory: records in order, the oldest dropped when nobody needs them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from scanner.bus.partitions import partition_of
from scanner.ports import Delivery, Place, Record


class Log:
    """Offsets grow by one and are never used again; compaction and retention leave gaps."""

    def __init__(self, topic: str, partition: int, retention_bytes: int, *, compacted: bool) -> None:
        self.place: Place = (topic, partition)
        self.next = 0
        """the offset of the record to come"""
        self.bytes = 0
        self._retention_bytes = retention_bytes
        self._compacted = compacted
        self._kept: list[Delivery] = []

    @staticmethod
    def choose(partitions: Sequence[Log], key: bytes) -> Log:
        return partitions[partition_of(key, len(partitions))]

    @property
    def first(self) -> int:
        return self._kept[0].offset if self._kept else self.next

    def make_room(self, size: int, needed_from: int | None) -> bool:
        """Drops the oldest records that nobody needs; False when too much is left for `size` bytes more."""
        limit = self._retention_bytes - size
        dropped = 0
        left = self.bytes
        for delivery in self._kept:
            if left <= limit or not self._droppable(delivery, needed_from):
                break
            left -= delivery.record.size
            dropped += 1
        del self._kept[:dropped]
        self.bytes = left
        # What is larger than the whole partition may stand alone.
        return left <= limit or not self._kept or self._compacted

    def append(self, record: Record, at_ms: int) -> None:
        if self._compacted:
            self._forget(record.key)
        self._kept.append(Delivery(record, self.place[1], self.next, at_ms))
        self.bytes += record.size
        self.next += 1

    def read(self, offset: int, limit: int) -> list[Delivery]:
        """Up to `limit` records from `offset` on."""
        start = bisect_left(self._kept, offset, key=lambda delivery: delivery.offset)
        return self._kept[start : start + limit]

    def since(self, at_ms: int) -> int:
        """The offset of the first record that is not older."""
        return next((delivery.offset for delivery in self._kept if delivery.timestamp_ms >= at_ms), self.next)

    def _droppable(self, delivery: Delivery, needed_from: int | None) -> bool:
        return not self._compacted and (needed_from is None or delivery.offset < needed_from)

    def _forget(self, key: bytes) -> None:
        """A compacted topic keeps the last record of each key; here at once, on Kafka some time later."""
        kept = [delivery for delivery in self._kept if delivery.record.key != key]
        self.bytes -= sum(delivery.record.size for delivery in self._kept) - sum(d.record.size for d in kept)
        self._kept = kept
