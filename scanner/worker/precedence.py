"""Live looks need the processors now, archives have time: between two clips an archive's look stands still for them.

    two cells    live  ........[====]......        eight cells, one live look: one of seven archives stands still,
                 film  [=======]    [=====]        and six go on

An archive whose cell a live look waits for stands not still but goes on, so that the cell comes free.
"""

from __future__ import annotations

import threading
import time

LONGEST_S = 5.0  # that one look stands still: its cell is stopped after `cell.wall_clock_s`, standing time included


class Precedence:
    """Told of every look that begins and ends; for many threads."""

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self._changed = threading.Condition()
        self._live = 0
        self._archives = 0
        self._standing = 0
        """of the archives' looks"""

    def began(self, *, archived: bool) -> None:
        self._count(1, archived=archived)

    def ended(self, *, archived: bool) -> None:
        self._count(-1, archived=archived)

    def hold(self, held_s: float) -> float:
        """Waits, on an archive's look, for as long as live ones need its share; seconds. See Pipeline.hold."""
        began = time.monotonic()
        with self._changed:
            if self._going > self._may_go:
                self._standing += 1
                self._changed.wait_for(lambda: self._going < self._may_go, max(0.0, LONGEST_S - held_s))
                self._standing -= 1
        return time.monotonic() - began

    def _count(self, change: int, *, archived: bool) -> None:
        with self._changed:
            if archived:
                self._archives += change
            else:
                self._live += change
            self._changed.notify_all()

    @property
    def _going(self) -> int:
        return self._archives - self._standing

    @property
    def _may_go(self) -> int:
        """Looks of archives that may go on now: each live look takes the place of one."""
        if self._live > self._cells - self._archives:
            return self._archives + 1  # all of them, the one that asks included: their cells are waited for
        return self._cells - 1 - self._live if self._live else self._archives + 1
