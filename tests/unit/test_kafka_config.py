"""What kafka-python's clients are told."""

from __future__ import annotations

from scanner.bus.kafka import KafkaConfig


def test_the_broker_gathers_records_for_a_worker_and_hands_each_to_a_reader_at_once() -> None:
    member, reader = KafkaConfig().member("workers"), KafkaConfig().consumer()
    assert member["fetch_min_bytes"] > 1024 * 1024  # several segments
    assert member["fetch_max_wait_ms"] <= 250  # a live verdict waits no longer for that
    assert "fetch_min_bytes" not in reader  # then kafka-python asks for one byte
