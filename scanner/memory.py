"""Freed memory is kept for what comes next, in this process and in those that it starts.

glibc gives large blocks back at once and takes them anew, page by page: pictures and segments come and go dozens of
times a second, and on a virtual machine the pages alone took a fifth of a decode cell's processor time.
"""

from __future__ import annotations

import ctypes

MAPPED_BYTES = 32 * 1024 * 1024  # blocks up to here come from the heap: the most that glibc allows
KEPT_BYTES = 64 * 1024 * 1024  # free at the end of a heap, and not given back
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h

ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": str(MAPPED_BYTES), "MALLOC_TRIM_THRESHOLD_": str(KEPT_BYTES)}
"""for a process that is to be started"""


def keep_freed() -> bool:
    """For this process, from now on. False where the C library is another than glibc: then nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, MAPPED_BYTES) and mallopt(_TRIM_THRESHOLD, KEPT_BYTES))
