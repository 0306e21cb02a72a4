"""Changes to a file as a few places, so that everything else is copied as it lies."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from scanner.core.errors import Disposition, ScannerError, Stage

_CHUNK = 4 * 1024 * 1024
LARGEST_INDEX = 512 * 1024 * 1024  # bytes held in memory: a moov of days of video has some tens of MB


class UnwritableError(ScannerError):
    """The label cannot be written into this file without harm; says why."""

    disposition = Disposition.REJECT
    stage = Stage.WIRE


@dataclass(frozen=True, slots=True)
class Splice:
    """`length` bytes from `at` give way to `new`."""

    at: int
    length: int
    new: bytes = field(repr=False)


class File:
    """A seekable file, read at places."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def read(self, at: int, length: int) -> bytes:
        """Up to `length` bytes. Raises UnwritableError when somebody asks for more than an index can be."""
        if length > LARGEST_INDEX:
            raise UnwritableError(f"an index of {length} bytes is larger than the {LARGEST_INDEX} that are rewritten")
        self._file.seek(at)
        return self._file.read(max(0, min(length, self.size - at)))

    def copy(self, out: BinaryIO, splices: Iterable[Splice]) -> None:
        """The whole file with its splices, which must not overlap."""
        at = 0
        for splice in sorted(splices, key=lambda splice: (splice.at, splice.length)):
            if splice.at < at:
                raise UnwritableError(f"two changes meet at byte {splice.at}")
            self._pass_on(out, at, splice.at)
            out.write(splice.new)
            at = splice.at + splice.length
        self._pass_on(out, at, self.size)

    def _pass_on(self, out: BinaryIO, at: int, end: int) -> None:
        self._file.seek(at)
        while at < end:
            part = self._file.read(min(_CHUNK, end - at))
            if not part:
                raise UnwritableError(f"the file ended at byte {at} while it was copied")
            out.write(part)
            at += len(part)
