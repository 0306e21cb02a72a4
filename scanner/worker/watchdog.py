"""A partition that is ours, has something to do, and yields nothing: reported, sought again, rejoined, given up.

0 ──── T ─────── 2 T ───────── 3 T ──────── 4 T ───▶ without a finished segment
     report   seek again   join again   end the process
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from scanner.ports import Place


class Remedy(IntEnum):
    REPORT = 1
    SEEK = 2
    REJOIN = 3
    END = 4


class Watchdog:
    """Pure: told the time (seconds, monotonic)."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._alive_s: dict[Place, float] = {}
        self._tried: dict[Place, int] = {}

    def alive(self, places: Iterable[Place], now_s: float) -> None:
        """They finished a segment, or have nothing to do."""
        for place in places:
            self._alive_s[place] = now_s
            self._tried.pop(place, None)

    def excuse(self, now_s: float) -> None:
        """The broker is away: until it is back nobody can do better, and what is finished waits for its commit."""
        self.alive(list(self._alive_s), now_s)

    def watch(self, places: Iterable[Place], now_s: float) -> None:
        """From now on, unless they are watched already: joining again is no sign of life."""
        for place in places:
            self._alive_s.setdefault(place, now_s)

    def forget(self, places: Iterable[Place]) -> None:
        for place in places:
            self._alive_s.pop(place, None)
            self._tried.pop(place, None)

    def overdue(self, now_s: float) -> dict[Place, Remedy]:
        """What is due now, each remedy once."""
        due = {}
        for place, alive_s in self._alive_s.items():
            step = min(int((now_s - alive_s) / self._patience_s), int(Remedy.END))
            if step > self._tried.get(place, 0):
                due[place] = Remedy(step)
        return due

    def tried(self, place: Place, remedy: Remedy) -> None:
        self._tried[place] = int(remedy)
