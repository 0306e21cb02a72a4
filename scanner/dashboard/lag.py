"""How many segments wait for the workers, asked of the bus now and then."""

from __future__ import annotations

import threading
import time

from scanner.core.errors import ScannerError
from scanner.ports import Bus

AGE_S = 5.0


class Lag:
    """Records that a group has not committed; however many pages ask, the bus is asked every few seconds."""

    def __init__(self, bus: Bus, topic: str, group: str) -> None:
        self._bus = bus
        self._topic = topic
        self._group = group
        self._lock = threading.Lock()
        self._asked_s = -AGE_S
        self._found: dict[int, int] | None = None
        self._trouble = ""

    def now(self) -> tuple[dict[int, int] | None, str]:
        """Records a partition, or None and why they are not known."""
        with self._lock:
            if time.monotonic() - self._asked_s > AGE_S:
                self._ask()
                self._asked_s = time.monotonic()
            return self._found, self._trouble

    def _ask(self) -> None:
        try:
            lag = self._bus.lag(self._topic, self._group)
        except ScannerError as error:
            self._found, self._trouble = None, str(error)
        else:
            self._found, self._trouble = {place[1]: count for place, count in sorted(lag.items())}, ""
