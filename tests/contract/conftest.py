"""Buses that are held to the same promises: the one in memory and Apache Kafka itself."""

from __future__ import annotations

import uuid

import pytest
from buses import MakeBus, created

from scanner.bus.memory import MemoryBus
from scanner.ports import Bus


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def make_bus(request: pytest.FixtureRequest) -> MakeBus:
    if request.param == "memory":
        return lambda start: MemoryBus(start=start)
    from scanner.bus.kafka import KafkaBus, KafkaConfig  # its warnings are for when tests run, not for now

    address = request.getfixturevalue("kafka_broker").bootstrap
    return lambda start: KafkaBus(KafkaConfig((address,), start=start, deadline_s=15, session_s=6))


@pytest.fixture
def bus(make_bus: MakeBus) -> Bus:
    return make_bus("earliest")


@pytest.fixture
def topic(bus: Bus) -> str:
    return created(bus)


@pytest.fixture
def group() -> str:
    return f"group-{uuid.uuid4()}"
