"""What can be cut, as the descriptor of a regular file: paths, open files, and pipes spooled to nameless files."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scanner.core.errors import MediaError

Source = str | Path | BinaryIO
STDIN = "-"


def name_of(source: Source) -> str:
    """How messages call it."""
    if isinstance(source, (str, Path)):
        return "standard input" if str(source) == STDIN else str(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "an open file"


@contextmanager
def descriptor_of(source: Source) -> Iterator[int]:
    """An open descriptor at the beginning of a regular file, closed afterwards. Raises MediaError."""
    with _opened(source) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode):
            own = os.dup(file.fileno())  # a child's standard streams are its own: number 0 cannot be passed on
            try:
                yield own
            finally:
                os.close(own)
            return
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
            raise MediaError("not a file")
        with tempfile.TemporaryFile() as spool:
            shutil.copyfileobj(file, spool, 1024 * 1024)
            spool.flush()
            os.lseek(spool.fileno(), 0, os.SEEK_SET)
            yield spool.fileno()


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if not isinstance(source, (str, Path)):
        yield source
    elif str(source) == STDIN:
        yield sys.stdin.buffer
    else:
        with _open(Path(source)) as file:
            yield file


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise MediaError(f"cannot be opened: {error.strerror}") from error
