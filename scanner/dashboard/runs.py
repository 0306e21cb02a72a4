"""Replays on disk, for many readers: each is read on, and two compared, once."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from scanner.replay.diff import Difference, compare
from scanner.replay.results import read_results
from scanner.replay.runs import Run, Runs

DIFFERENCES_KEPT = 4


class Archives:
    """What lies below the folder of replays; reading it is one at a time."""

    def __init__(self, root: Path) -> None:
        self._runs = Runs(root)
        self._lock = Lock()
        self._compared: OrderedDict[tuple[object, ...], Difference] = OrderedDict()

    def all(self) -> list[Run]:
        """Every run, the one that changed last first."""
        with self._lock:
            return list(self._runs)

    def get(self, name: str) -> Run | None:
        with self._lock:
            return self._runs.get(name)

    def compare(self, before: Run, after: Run) -> Difference:
        """Raises SettingsError."""
        key = (before.name, before.changed_ms, after.name, after.changed_ms)
        with self._lock:
            if key not in self._compared:
                self._compared[key] = compare(read_results(before.folder), read_results(after.folder))
            self._compared.move_to_end(key)
            while len(self._compared) > DIFFERENCES_KEPT:
                self._compared.popitem(last=False)
            return self._compared[key]
