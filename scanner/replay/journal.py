"""Which files are done: append-only, one line a file, durable before the next; so a death repeats and misses nothing.

results.jsonl   lines of file 1 | lines of file 2 | lines of fi†     what no journal line vouches for is cut off
journal.jsonl   header, what is planned, 1 ends at byte …, 2 ends at byte …
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from scanner.core.errors import SettingsError

_TRIES = 4
RESULTS, JOURNAL = "results.jsonl", "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Done:
    """One finished file."""

    stream_id: str
    digest: str
    """of its bytes, sha256 hex; empty when they could not be read"""
    bytes: int
    duration_ms: int
    segments: int
    """that got a verdict"""
    label: str | None
    """None when there is no verdict at all"""
    failures: tuple[str, ...] = ()
    """what could not be scanned, with the reason"""
    cached: bool = False
    end: int = 0
    """where its lines end in results.jsonl"""
    version: str = ""
    """of an object in a store: its etag and size"""
    took_ms: int = 0
    """on the clock, fetching included; 0 when nobody took the time"""


class Journal:
    """The two files of one replay. Raises SettingsError when they belong to another one, or somebody writes them."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        """
        Args:
            facts: what all results depend on: model, policy, coverage.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.results = folder / RESULTS
        self.done: dict[str, Done] = {}
        self.begun: dict[str, int] = {}
        """streams that were being published when somebody died: when they were begun, ms since the epoch"""
        self._file = (folder / JOURNAL).open("a+b")
        _lock(self._file, folder)
        try:
            whole = self._read(folder, facts)
        except BaseException:
            self._file.close()
            raise
        self._file.truncate(whole)
        self._results = self.results.open("ab")
        self._results.truncate(max((done.end for done in self.done.values()), default=0))
        self._results.seek(0, os.SEEK_END)
        if not whole:
            self._append({"replay": facts})

    def finish(self, done: Done, lines: Iterable[bytes]) -> Done:
        """Makes a file's lines durable, then the word that it is done. Raises OSError."""
        self._results.write(b"".join(line + b"\n" for line in lines))
        _sync(self._results)
        entry = {**asdict(done), "end": self._results.tell()}
        self._append(entry)
        kept = self.done[done.stream_id] = Done(**{**entry, "failures": tuple(done.failures)})
        return kept

    def holds(self, stream_id: str, version: str) -> bool:
        """Whether it is done. An object that was changed since is not: what is said of it then counts last."""
        done = self.done.get(stream_id)
        return done is not None and done.version == version

    def begin(self, stream_ids: Iterable[str], at_ms: int) -> None:
        """What follows leaves traces elsewhere: a later run must look for them. Raises OSError."""
        new = [stream_id for stream_id in stream_ids if stream_id not in self.begun]
        self.begun |= dict.fromkeys(new, at_ms)
        self._append({"begun": new, "at_ms": at_ms})

    def plan(self, files: int, size: int, at_ms: int) -> None:
        """Notes what is to be done from now on, for those who watch. Raises OSError.

        Args:
            size: bytes of these files.
            at_ms: wall clock, ms since the epoch.
        """
        self._append({"planned": files, "bytes": size, "at_ms": at_ms})

    def close(self) -> None:
        self._results.close()
        self._file.close()

    def _read(self, folder: Path, facts: dict[str, Any]) -> int:
        """Bytes of whole lines: a last one that was cut short by a death does not count."""
        self._file.seek(0)
        text = self._file.read()
        whole = text.rfind(b"\n") + 1
        lines = [json.loads(line) for line in text[:whole].splitlines()]
        if lines and lines[0].get("replay") != facts:
            changed = [name for name in facts if lines[0].get("replay", {}).get(name) != facts[name]]
            raise SettingsError(
                f"{folder} holds results of another {', '.join(changed) or 'program'}: choose another --out"
            )
        for line in lines[1:]:
            if "begun" in line:
                self.begun |= dict.fromkeys(line["begun"], line["at_ms"])
                continue
            if "planned" in line:
                continue
            self.done[line["stream_id"]] = Done(**{**line, "failures": tuple(line["failures"])})
        return whole

    def _append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        _sync(self._file)


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _lock(file: IO[bytes], folder: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(0.05)  # those who watch ask for a moment whether somebody writes
                continue
            file.close()
            raise SettingsError(f"another replay is writing to {folder}") from None
        return
