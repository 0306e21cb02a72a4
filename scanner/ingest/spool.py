"""Segments on disk until they are on the topic: bounded, in order, and still there after a crash.

spool/000000000042-<stream>.segment      one line of JSON, then the bytes
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Condition
from typing import IO

from scanner.core.errors import SettingsError
from scanner.core.types import Declared, Segment
from scanner.ingest.numbering import Session

_SUFFIX = ".segment"


@dataclass(frozen=True, slots=True)
class Spooled:
    """A segment that waits."""

    path: Path
    stream_id: str
    size: int
    """bytes on disk"""


class Spool:
    """First in, first out. Many threads put, one takes."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        """Raises SettingsError when another process uses the folder, or it cannot be written."""
        self._folder = folder
        self._most_bytes = most_bytes
        self._change = Condition()
        self._waiting: deque[Spooled] = deque()
        self._taken = 0
        """the first so many are being published"""
        self.bytes = 0
        self._lock = _locked(folder)
        for left in folder.glob("*.part"):
            left.unlink()
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            self._append(Spooled(path, _head(path)["stream_id"], path.stat().st_size))
        self._next = 1 + max((int(waiting.path.name.split("-")[0]) for waiting in self._waiting), default=-1)

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, segment: Segment, session: Session) -> list[Spooled]:
        """Keeps it. Returns what had to go to make room, oldest first. Raises OSError when the disk is full."""
        head = json.dumps(_told(segment, session)).encode() + b"\n"
        with self._change:
            number, self._next = self._next, self._next + 1
        path = self._folder / f"{number:012}-{sha256(segment.stream_id.encode()).hexdigest()[:12]}{_SUFFIX}"
        part = path.with_suffix(".part")
        try:
            part.write_bytes(head + segment.payload)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        part.rename(path)
        with self._change:
            self._append(Spooled(path, segment.stream_id, len(head) + len(segment.payload)))
            overflow = list(self._overflowing())
            self._change.notify_all()
        for gone in overflow:
            gone.path.unlink(missing_ok=True)
        return overflow

    def wait_for_room(self, timeout_s: float) -> bool:
        """Whether the spool is less than half full. For sources that can wait."""
        with self._change:
            return self._change.wait_for(lambda: self.bytes * 2 < self._most_bytes, timeout_s)

    def take(self, most_bytes: int, timeout_s: float) -> list[Spooled]:
        """The oldest ones, which stay until `done` or `back` is called; waits for the first."""
        with self._change:
            self._change.wait_for(lambda: bool(self._waiting), timeout_s)
            taken: list[Spooled] = []
            size = 0
            for waiting in self._waiting:
                size += waiting.size
                if taken and size > most_bytes:
                    break
                taken.append(waiting)
            self._taken = len(taken)
            return taken

    def done(self) -> None:
        """What was taken is durable elsewhere."""
        with self._change:
            gone = [self._waiting.popleft() for _ in range(self._taken)]
            self.bytes -= sum(each.size for each in gone)
            self._taken = 0
            self._change.notify_all()
        for each in gone:
            each.path.unlink(missing_ok=True)

    def back(self) -> None:
        """What was taken waits again."""
        with self._change:
            self._taken = 0

    def close(self) -> None:
        self._lock.close()

    def _append(self, spooled: Spooled) -> None:
        self._waiting.append(spooled)
        self.bytes += spooled.size

    def _overflowing(self) -> Iterator[Spooled]:
        while self.bytes > self._most_bytes and len(self._waiting) > self._taken + 1:
            gone = self._waiting[self._taken]
            del self._waiting[self._taken]
            self.bytes -= gone.size
            yield gone


def read(spooled: Spooled) -> tuple[Segment, Session]:
    """Raises OSError or ValueError: the file was damaged behind our back."""
    with spooled.path.open("rb") as file:
        head = json.loads(file.readline())
        payload = file.read()
    digest = sha256(payload).hexdigest()
    if digest != head["sha256"]:
        raise ValueError(f"{spooled.path} was damaged: {len(payload)} bytes are {digest[:12]}…")
    declared = Declared(head.pop("aigc"), head.pop("c2pa"))
    session = Session(head.pop("session"), head["sequence"])
    return Segment(payload=payload, declared=declared, **head), session


def _told(segment: Segment, session: Session) -> dict[str, object]:
    return {
        "stream_id": segment.stream_id,
        "sequence": session.ordinal,
        "start_ms": segment.start_ms,
        "sha256": segment.sha256,
        "content_type": segment.content_type,
        "captured_at_ms": segment.captured_at_ms,
        "end_of_stream": segment.end_of_stream,
        "aigc": segment.declared.aigc,
        "c2pa": segment.declared.c2pa,
        "session": session.name,
    }


def _head(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        head: dict[str, str] = json.loads(file.readline())
    return head


def _locked(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise SettingsError(f"spool {folder}: {error.strerror}") from error
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return lock
    lock.close()
    raise SettingsError(f"spool {folder} is used by another ingest; give this one its own with --spool")
