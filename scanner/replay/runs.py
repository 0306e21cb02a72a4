"""Replays as they stand on disk, for somebody who watches: read only, each line once, also while they are written."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scanner.core.errors import SegmentInvalidError, SettingsError
from scanner.core.types import Verdict
from scanner.replay.journal import JOURNAL, RESULTS
from scanner.wire import verdict_of_line

SUMMARY_BYTES = 256 * 1024  # longer than any summary
_USUAL_BYTES = 8 * 1024  # of one; reading as many first, 20,000 files take 0.9 s and not 3.7
LARGEST_LINES = 256 * 1024 * 1024  # bytes of one file's results that are read at once


@dataclass(frozen=True, slots=True)
class File:
    """One finished file, as the journal has it."""

    stream_id: str
    size: int
    """bytes"""
    duration_ms: int
    segments: int
    label: str | None
    failures: tuple[str, ...]
    cached: bool
    start: int
    """where its lines begin in the results"""
    end: int
    took_ms: int
    """0 when nobody took the time"""


@dataclass(slots=True)
class Run:
    """What is known of one replay; `follow` reads what was added since."""

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    """of files; "no_verdict" where there is none"""
    failed: int = 0
    duration_ms: int = 0
    """of all files together"""
    planned: int = 0
    """files that the last start was to do"""
    planned_size: int = 0
    """their bytes"""
    planned_ms: int | None = None
    """when it started; None: nobody noted it"""
    since: int = 0
    """files done since"""
    since_size: int = 0
    since_duration_ms: int = 0
    _end: int = 0
    _read: int = 0
    _inode: int = 0

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def changed_ms(self) -> int:
        """When its last line was written."""
        return (self.folder / JOURNAL).stat().st_mtime_ns // 1_000_000

    @property
    def running(self) -> bool:
        """Whether somebody holds the journal."""
        with (self.folder / JOURNAL).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def finished(self) -> bool:
        return self.planned_ms is not None and self.since >= self.planned

    @property
    def share(self) -> float | None:
        """Done of what was planned, by bytes, in [0, 1]; None when nobody noted a plan."""
        if self.planned_ms is None:
            return None
        return min(1.0, self.since_size / self.planned_size) if self.planned_size else 1.0

    @property
    def replaced(self) -> bool:
        """Whether another run stands in its place now."""
        status = (self.folder / JOURNAL).stat()
        return self._inode not in (0, status.st_ino) or status.st_size < self._read

    def follow(self) -> None:
        """Raises SettingsError when the journal cannot be read."""
        try:
            with (self.folder / JOURNAL).open("rb") as file:
                self._inode = os.fstat(file.fileno()).st_ino
                file.seek(self._read)
                text = file.read()
            whole = text.rfind(b"\n") + 1
            for line in text[:whole].splitlines():
                self._take(json.loads(line))
            self._read += whole
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SettingsError(f"{self.folder / JOURNAL} cannot be read: {error!r:.200}") from error

    def _take(self, line: dict[str, Any]) -> None:
        if "replay" in line:
            self.facts = line["replay"]
        elif "planned" in line:
            self.planned, self.planned_size, self.planned_ms = line["planned"], line["bytes"], line["at_ms"]
            self.since = self.since_size = self.since_duration_ms = 0
        elif "stream_id" in line:
            self._done(line)

    def _done(self, line: dict[str, Any]) -> None:
        file = File(
            line["stream_id"], line["bytes"], line["duration_ms"], line["segments"], line["label"],
            tuple(line["failures"]), line["cached"], self._end, line["end"],
            line.get("took_ms", 0),
        )  # fmt: skip
        self._end = file.end
        self.files[file.stream_id] = file
        self.labels[file.label or "no_verdict"] += 1
        self.failed += bool(file.failures)
        self.duration_ms += file.duration_ms
        self.since += 1
        self.since_size += file.size
        self.since_duration_ms += 0 if file.cached else file.duration_ms

    def lines(self, file: File) -> Iterator[dict[str, Any]]:
        """What was printed about one file: verdicts, errors, and the summary last. Raises SettingsError."""
        if not 0 <= file.end - file.start <= LARGEST_LINES:
            raise SettingsError(f"{file.stream_id}: {file.end - file.start} bytes of results are too many to show")
        try:
            with (self.folder / RESULTS).open("rb") as results:
                results.seek(file.start)
                text = results.read(file.end - file.start)
            yield from (json.loads(line) for line in text.splitlines())
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self.folder / RESULTS} cannot be read: {error!r:.200}") from error

    def verdicts(self, file: File) -> list[Verdict]:
        """Raises SettingsError."""
        found = []
        for line in self.lines(file):
            if "verdict_id" in line:
                with suppress(SegmentInvalidError):
                    found.append(verdict_of_line(json.dumps(line).encode()))
        return found

    def score(self, file: File) -> float | None:
        """Of the file's summary. Raises SettingsError."""
        last = self.last_line(file)
        return last.get("score") if last.get("type") == "summary" else None

    def last_line(self, file: File) -> dict[str, Any]:
        """A file's summary, or the error where it has none; empty when nothing was said. Raises SettingsError."""
        try:
            with (self.folder / RESULTS).open("rb") as results:
                for size in (_USUAL_BYTES, SUMMARY_BYTES):
                    start = max(file.start, file.end - size)
                    results.seek(start)
                    text = results.read(file.end - start).rstrip(b"\n")
                    begin = text.rfind(b"\n") + 1
                    if begin or start == file.start:
                        break
            last: dict[str, Any] = json.loads(text[begin:]) if text else {}
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self.folder / RESULTS} cannot be read: {error!r:.200}") from error
        return last


class Runs:
    """The replays below one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, Run] = {}

    def __iter__(self) -> Iterator[Run]:
        """The one that changed last first. What cannot be read is left out."""
        found = {path.name: path for path in self._folders()}
        self._known = {name: run for name, run in self._known.items() if name in found}
        readable = []
        for name, path in found.items():
            with suppress(SettingsError, OSError):
                run = self._known.get(name)
                if run is None or run.replaced:
                    run = self._known[name] = Run(path)
                run.follow()
                readable.append((run.changed_ms, run))
        return iter([run for _, run in sorted(readable, key=lambda each: -each[0])])

    def get(self, name: str) -> Run | None:
        """Only what lies directly below the root, however the name is spelled."""
        return next((run for run in self if run.name == name), None)

    def _folders(self) -> list[Path]:
        try:
            return [path for path in self._root.iterdir() if (path / JOURNAL).is_file()]
        except OSError:
            return []
