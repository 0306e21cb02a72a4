"""An item's bytes as a local file: where it lies, or fetched from its store for as long as it is needed.

What is fetched lies in a folder of the replay's own, and never takes more than `room_bytes` in all.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from typing import Protocol

from scanner.core.errors import MediaError
from scanner.media.objects import Stored, Wait
from scanner.replay.items import Item

FETCHED = "fetched"
_PIECE = 1024 * 1024


class Archive(Protocol):
    """A store that gives one object; see media.objects.ObjectArchive."""

    def fetch(self, stored: Stored, target: Path, wait: Wait) -> str: ...


class Fetching:
    """Shared by all threads of a replay."""

    def __init__(self, folder: Path, room_bytes: int, wait: Wait, archive_of: Callable[[str], Archive]) -> None:
        """
        Args:
            folder: of the replay; what a death left there is removed.
            wait: holds back whoever reads, bytes by bytes.
            archive_of: an object's address to the store that has it.
        """
        self._folder = folder / FETCHED
        self._limit = room_bytes
        self._taken = 0
        self._changed = Condition()
        self._wait = wait
        self._archive_of = archive_of
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def file(self, item: Item, *, digested: bool = True) -> Iterator[tuple[Path, str]]:
        """The file and its sha256, hex; with `digested` off, that of a local file is left empty, and it is not read.

        Raises OSError for a local file, MediaError and StoreUnavailableError for an object.
        """
        if item.stored is None:
            yield item.path, self._digest(item.path) if digested else ""
            return
        with self._room(item.stored):
            self._folder.mkdir(exist_ok=True)
            name = hashlib.sha256(item.stored.uri.encode()).hexdigest()[:32]
            target = self._folder / f"{name}{Path(item.stored.key).suffix}"
            try:
                yield target, self._archive_of(item.stored.uri).fetch(item.stored, target, self._wait)
            finally:
                target.unlink(missing_ok=True)

    @contextmanager
    def _room(self, stored: Stored) -> Iterator[None]:
        if stored.size > self._limit:
            raise MediaError(f"{stored.uri}: {stored.size} bytes, and --room is {self._limit}")
        with self._changed:
            self._changed.wait_for(lambda: self._taken + stored.size <= self._limit)
            self._taken += stored.size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= stored.size
                self._changed.notify_all()

    def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                self._wait(len(piece))
                digest.update(piece)
        return digest.hexdigest()
