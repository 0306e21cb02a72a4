"""A seekable file read in small pieces, within a budget: no container can make a reader read or walk without end."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from scanner.provenance.findings import Code, Finding

BUDGET_BYTES = 16 * 1024 * 1024  # of a whole file; a label needs some kilobytes, metadata with cover pictures a few MB
BUDGET_STEPS = 20_000  # elements looked at; a Matroska cluster is one, so that this is a day of video
MOST_COPIES = 64


class ExhaustedError(Exception):
    """The budget is spent. Caught by `read_label`, never seen outside."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The text of a label as it lay in a file."""

    place: str
    value: bytes
    findings: tuple[Finding, ...] = ()
    """about its place"""


class Source:
    """Reads what is asked for and notes what is wrong with it.

    Raises:
        OSError: as the file does; nothing about content is an error.
        ExhaustedError: when the budget is spent.
    """

    def __init__(self, file: BinaryIO | bytes) -> None:
        self._file: BinaryIO = io.BytesIO(file) if isinstance(file, bytes) else file
        self.size = self._file.seek(0, os.SEEK_END)
        self._bytes_left = BUDGET_BYTES
        self._steps_left = BUDGET_STEPS
        self._found: dict[Finding, None] = {}

    def read(self, at: int, length: int) -> bytes:
        """Up to `length` bytes from `at`: fewer where the file ends."""
        length = max(0, min(length, self.size - at))
        self._bytes_left -= length
        if self._bytes_left < 0:
            raise ExhaustedError(f"the metadata are larger than {BUDGET_BYTES} bytes")
        if not length:
            return b""
        self._file.seek(at)
        parts = []
        while length:
            part = self._file.read(length)
            if not part:
                break
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def step(self) -> None:
        """One element more was looked at."""
        self._steps_left -= 1
        if self._steps_left < 0:
            raise ExhaustedError(f"more than {BUDGET_STEPS} elements")

    def extend(self) -> None:
        """A little more budget, once, for a short cut after the long way proved too long."""
        self._bytes_left = max(self._bytes_left, 1024 * 1024)
        self._steps_left = max(self._steps_left, 2_000)

    def note(self, code: Code, says: str) -> None:
        if len(self._found) < MOST_COPIES:
            self._found[Finding(code, says)] = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._found)


Copies = Iterator[Copy]
