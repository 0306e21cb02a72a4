"""Leaving while the broker is away: at once, and not while somebody may hear or something moves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from threading import Event

import pytest

from scanner.cli import leaving
from scanner.cli.leaving import leave_unheard
from scanner.telemetry import Pulse


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "_STUCK_S", 0.1)
    monkeypatch.setattr(leaving, "_LOOK_S", 0.01)


@pytest.fixture
def listener() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_who_stands_still_before_a_broker_that_is_away_leaves_when_told_to_stop() -> None:
    stop, left = Event(), Event()
    leave_unheard(stop, Pulse(), ["127.0.0.1:1", "no such host:9092"], left.set)
    assert not left.wait(0.3), "nobody told it to stop"
    stop.set()
    assert left.wait(5)


def test_who_could_be_heard_is_waited_for(listener: str) -> None:
    stop, left = Event(), Event()
    stop.set()
    leave_unheard(stop, Pulse(), ["127.0.0.1:1", listener], left.set)
    assert not left.wait(0.5)


def test_who_still_moves_is_waited_for() -> None:
    stop, left, pulse = Event(), Event(), Pulse()
    stop.set()
    leave_unheard(stop, pulse, ["127.0.0.1:1"], left.set)
    for _ in range(20):
        pulse.turn()
        assert not left.wait(0.02)
    assert left.wait(5)
