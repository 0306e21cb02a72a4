"""The broker that the scanner fetches and starts by itself."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from scanner.bus.broker import LocalBroker, LocalBrokerError
from scanner.bus.broker.jars import kafka_version

COMPOSE = Path(__file__).parents[2] / "deploy" / "compose.yaml"


def test_compose_runs_the_same_version_of_kafka() -> None:
    image = re.search(r"image: apache/kafka:(\S+)", COMPOSE.read_text())
    assert image
    assert image.group(1) == kafka_version()


def test_a_port_that_another_program_holds_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        broker = LocalBroker(tmp_path / "broker", port=other.getsockname()[1])
        with pytest.raises(LocalBrokerError, match=rf"{broker.bootstrap} is taken"):
            broker._refuse_taken_port()


def test_a_folder_keeps_its_port(tmp_path: Path) -> None:
    LocalBroker(tmp_path / "broker", port=9192)
    assert LocalBroker(tmp_path / "broker").bootstrap == "127.0.0.1:9192"
    with pytest.raises(LocalBrokerError, match="not for port 9193"):
        LocalBroker(tmp_path / "broker", port=9193)


def test_a_broker_that_never_started_does_not_run_and_can_be_stopped(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "broker")
    assert not broker.running
    broker.stop()


def test_a_process_number_that_went_to_another_program_is_not_the_broker(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "broker")
    (tmp_path / "broker" / "broker.pid").write_text("1")
    assert not broker.running


@pytest.mark.kafka
def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    broker = LocalBroker(tmp_path / "broker", properties={"log.retention.hours": "soon"})
    with pytest.raises(LocalBrokerError, match=r"log\.retention\.hours"):
        broker.start()
    assert not broker.running
