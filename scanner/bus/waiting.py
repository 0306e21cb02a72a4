"""What a broker that is away is asked again, for as long as it takes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import Generic, TypeVar

import structlog

from scanner.core.errors import BrokerUnavailableError

T = TypeVar("T")
log = structlog.get_logger()

PAUSES_S = (0.5, 1.0, 2.0, 5.0)
"""at most, between two attempts; then 5 s for ever. Half of it at least: many who wait do not all come at once"""
_LOOK_S = 0.1


def insisted(
    ask: Callable[[], T],
    stop: threading.Event,
    turn: Callable[[], None] = lambda: None,
    *,
    close: Callable[[T], object],
) -> T | None:
    """What `ask` returns, however long the broker stays away; None when told to stop before.

    An attempt may wait for its whole deadline, and kafka-python cannot be interrupted: it runs on a thread of its own,
    which is left alone when told to stop, and ends with its deadline or with the process.

    Args:
        turn: called all the time, as a sign of life.
        close: takes what an attempt that was left alone brings all the same; on that attempt's thread.

    Raises:
        ScannerError: every one that `ask` raises but BrokerUnavailableError.
    """
    told, began_s = "", time.monotonic()
    for pause_s in chain(PAUSES_S, repeat(PAUSES_S[-1])):
        attempt = _Attempt(ask)
        while not attempt.over.wait(_LOOK_S):
            turn()
            if stop.is_set():
                attempt.leave(close)
                return None
        try:
            answer = attempt.outcome()
        except BrokerUnavailableError as error:
            if str(error) != told:
                log.warning("waiting_for_broker", error=str(error))
            told = str(error)
        else:
            if told:
                log.info("broker_is_there", waited_s=round(time.monotonic() - began_s, 1))
            return answer
        turn()
        if stop.wait(random.uniform(pause_s / 2, pause_s)):  # noqa: S311 - no secret
            return None
    raise AssertionError("unreachable")


class _Attempt(Generic[T]):
    def __init__(self, ask: Callable[[], T]) -> None:
        self.over = threading.Event()
        self._ask = ask
        self._answer: list[T] = []
        self._error: BaseException | None = None
        self._close: Callable[[T], object] | None = None
        self._settling = threading.Lock()
        threading.Thread(target=self._run, name="asking the broker", daemon=True).start()

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._answer[0]

    def leave(self, close: Callable[[T], object]) -> None:
        """Nobody waits for it any more."""
        with self._settling:
            self._close = close
            came = self._answer.copy()
        for answer in came:
            close(answer)

    def _run(self) -> None:
        try:
            answer = self._ask()
            with self._settling:
                close = self._close
                if close is None:
                    self._answer.append(answer)
            if close is not None:
                close(answer)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        finally:
            self.over.set()
