"""Gathering what the report shows while a scan runs: a thumbnail of every clip, joined with its scores."""

from __future__ import annotations

import threading
from pathlib import Path

from scanner.assembly import Assembled
from scanner.core.summary import Summary
from scanner.core.types import Clip, Segment, Verdict
from scanner.local import Answered

Key = tuple[str, int, int, int]
"""stream, sequence, tracklet, start of the clip in its segment"""


class Reporter:
    """Sees clips on the threads that cut them, answers on the one that scans."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._thumbnails: dict[Key, bytes] = {}

    def witness(self, segment: Segment, clip: Clip) -> None:
        pass

    def answered(self, answer: Answered) -> None:
        pass

    def summary(self, summary: Summary, verdicts: list[Verdict]) -> None:
        pass

    def write(self, parts: Assembled) -> None:
        pass
