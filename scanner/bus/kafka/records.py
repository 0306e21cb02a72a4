"""kafka-python's records and partitions to ours."""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition

from scanner.ports import Delivery, Place, Record


def place_of(partition: TopicPartition) -> Place:
    return partition.topic, partition.partition


def delivery_of(record: Any) -> Delivery:
    """A ConsumerRecord; an absent key and absent header values become empty bytes."""
    headers = tuple((name, value or b"") for name, value in record.headers)
    value = None if record.value is None else bytes(record.value)
    ours = Record(record.topic, bytes(record.key or b""), value, headers)
    return Delivery(ours, record.partition, record.offset, record.timestamp)
