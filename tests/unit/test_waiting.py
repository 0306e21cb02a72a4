"""What is asked of a broker that is away: again and again, without a flood of words, until told to stop."""

from __future__ import annotations

import threading
import time

import pytest
from structlog.testing import capture_logs

from scanner.bus import waiting
from scanner.bus.waiting import insisted
from scanner.core.errors import BrokerUnavailableError, TopicMissingError


class Broker:
    """Away for so many questions."""

    def __init__(self, away: int) -> None:
        self.asked = 0
        self._away = away

    def ask(self) -> str:
        self.asked += 1
        if self.asked <= self._away:
            raise BrokerUnavailableError("nobody there")
        return "here"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAUSES_S", (0.001, 0.002))


def test_a_broker_that_is_away_is_asked_until_it_is_there_and_told_of_once() -> None:
    broker, turns = Broker(away=7), []
    with capture_logs() as said:
        assert insisted(broker.ask, threading.Event(), lambda: turns.append(1), close=print) == "here"
    assert broker.asked == 8
    assert [line["event"] for line in said] == ["waiting_for_broker", "broker_is_there"]
    assert len(turns) >= 7, "somebody who watches sees that it lives"


def test_one_that_is_there_is_nothing_to_speak_of() -> None:
    with capture_logs() as said:
        assert insisted(Broker(away=0).ask, threading.Event(), close=print) == "here"
    assert said == []


def test_another_reason_is_told_too() -> None:
    reasons = iter(["refused", "refused", "wrong password"])

    def ask() -> str:
        raise BrokerUnavailableError(reason) if (reason := next(reasons, "")) else TopicMissingError("segments")

    with capture_logs() as said, pytest.raises(TopicMissingError, match="segments"):
        insisted(ask, threading.Event(), close=print)
    assert [line["error"] for line in said] == ["refused", "wrong password"]


def test_stopping_does_not_wait_for_an_answer() -> None:
    stop, release = threading.Event(), threading.Event()
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    assert insisted(lambda: release.wait(30), stop, close=print) is None
    assert time.monotonic() - began < 5
    release.set()


def test_stopping_does_not_wait_for_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAUSES_S", (60.0,))
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    began = time.monotonic()
    assert insisted(Broker(away=99).ask, stop, close=print) is None
    assert time.monotonic() - began < 5


def test_many_who_wait_do_not_come_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(timeout or 0.0)
            return False

    monkeypatch.setattr(waiting, "PAUSES_S", (1.0,))
    insisted(Broker(away=40).ask, Stop(), close=print)
    assert len(set(pauses)) > 30
    assert all(0.5 <= pause <= 1.0 for pause in pauses)


def test_what_comes_when_nobody_waits_any_more_is_closed() -> None:
    stop, release, closed = threading.Event(), threading.Event(), threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert insisted(lambda: release.wait(30), stop, close=lambda _: closed.set()) is None
    assert not closed.is_set()
    release.set()
    assert closed.wait(5)
