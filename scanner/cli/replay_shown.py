"""A replay's progress on stderr, when it is a terminal: share, files, multiples of real time, failures, time left."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from scanner.cli.common import errors
from scanner.core.types import Segment

_RATE = (
    "{task.fields[files]} files  {task.fields[speed]:.1f}× real time  {task.fields[rate]:.1f} MB/s  "
    "{task.fields[failed]} failed"
)


class Shown:
    """Counts what is done; for many threads."""

    def __init__(self, bars: Progress, files: int, size: int) -> None:
        """
        Args:
            files, size: what is to be done, in files and bytes.
        """
        self._bars = bars
        self._planned = files
        self._lock = Lock()
        self._began_s = time.monotonic()
        self._files = self._failed = self._size = 0
        self._video_s = 0.0
        self._task: TaskID = bars.add_task("", total=size, files=f"0/{files}", speed=0.0, rate=0.0, failed=0)

    def add(self, size: int, *, video_s: float = 0.0, read: bool = True) -> None:
        """So many bytes are done.

        Args:
            video_s: media time that was worked on.
            read: False where they were passed over, and say nothing of the speed.
        """
        with self._lock:
            self._video_s += video_s
            self._size += size if read else 0
            took_s = max(1e-3, time.monotonic() - self._began_s)
            speed, rate = self._video_s / took_s, self._size / took_s / 1e6
            self._bars.update(self._task, advance=size, speed=speed, rate=rate)

    def file(self, *, failed: bool) -> None:
        """One more file is done."""
        with self._lock:
            self._files += 1
            self._failed += failed
            self._bars.update(self._task, files=f"{self._files}/{self._planned}", failed=self._failed)


@contextmanager
def shown(files: int, size: int) -> Iterator[Shown]:
    columns = (SpinnerColumn(), BarColumn(), TaskProgressColumn(), TextColumn(_RATE), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        yield Shown(bars, files, size)


class OnTheWay:
    """Streams that are published segment by segment: a long file shows before it ends."""

    def __init__(self, shown: Shown, sizes: Mapping[str, int]) -> None:
        """
        Args:
            sizes: bytes of each stream's file. Its segments hold about as many, and it counts as no more.
        """
        self._shown = shown
        self._left = dict(sizes)
        self._reached_ms: dict[str, int] = {}

    def segment(self, segment: Segment) -> None:
        size = segment.claim.size if segment.claim else len(segment.payload)
        self._advance(segment.stream_id, size, segment.start_ms)

    def ended(self, stream_id: str, *, until_ms: int, failed: bool) -> None:
        """The rest of its bytes counts as done, whatever became of them."""
        self._advance(stream_id, 0, until_ms)
        self._shown.add(self._left.pop(stream_id, 0), read=False)
        self._shown.file(failed=failed)

    def _advance(self, stream_id: str, size: int, until_ms: int) -> None:
        """Of one stream by one thread at a time."""
        counted = min(size, self._left[stream_id])
        self._left[stream_id] -= counted
        since_ms = self._reached_ms.setdefault(stream_id, until_ms)
        self._reached_ms[stream_id] = max(since_ms, until_ms)
        self._shown.add(counted, video_s=max(0, until_ms - since_ms) / 1000)
