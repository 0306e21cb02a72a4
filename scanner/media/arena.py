"""Memory that a parent and its cell share: a few slots of one clip each. The parent hands slots out again."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from contextlib import suppress

import numpy as np

from scanner.core.types import ClipSpec, Pixels

SLOTS = 4  # one that the parent reads, three ahead; more held memory and gained nothing
STEPWISE = 2  # of them, where a cell is to stop soon after its reader


class Arena:
    """The slots, mapped. Made by the parent, opened by the cell from the inherited descriptor."""

    def __init__(self, descriptor: int, spec: ClipSpec, *, writable: bool) -> None:
        self._shape = (SLOTS, spec.length, spec.size, spec.size, 3)
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._memory = mmap.mmap(descriptor, SLOTS * spec.clip_bytes, access=access)
        self._slots: Pixels = np.frombuffer(self._memory, np.uint8).reshape(self._shape)

    def slot(self, number: int) -> Pixels:
        """(T, S, S, 3), shared with the other side."""
        slot: Pixels = self._slots[number]
        return slot

    def close(self) -> None:
        """Unmaps, unless somebody still holds pixels: then the last of them does."""
        self._slots = np.zeros((0, 0, 0, 0, 0), np.uint8)
        with suppress(BufferError):
            self._memory.close()


def anonymous(spec: ClipSpec) -> int:
    """A descriptor of memory for one arena, which nobody can shrink under its readers."""
    size = SLOTS * spec.clip_bytes
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, size)
        return descriptor
    descriptor = os.memfd_create("clips", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor
