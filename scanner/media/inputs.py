"""Paths as people type them to files with a stream's name: folders, globs and `-`, the same for scan and publish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scanner.core.errors import MediaError

SUFFIXES = frozenset((".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".m2ts", ".mts", ".flv", ".avi", ".3gp", ".3g2"))
STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Input:
    """One file to cut into segments."""

    path: Path
    """STDIN reads from standard input"""
    stream_id: str
    """the file's name, or its path below the folder that was given: the same wherever it is cut"""


def inputs(paths: Iterable[str]) -> Iterator[Input]:
    """Files in a steady order. A folder gives its videos, a pattern what it matches. Raises MediaError."""
    for given in paths:
        path = Path(given)
        if given == "-":
            yield Input(STDIN, "stdin")
        elif path.is_dir():
            yield from _folder(path)
        elif path.exists():
            yield Input(path, path.name)
        else:
            yield from _pattern(given)


def _folder(folder: Path) -> Iterator[Input]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise MediaError(f"{folder}: no video in this folder (looked for {', '.join(sorted(SUFFIXES))})")
    for file in files:
        yield Input(file, file.relative_to(folder).as_posix())


def _pattern(given: str) -> Iterator[Input]:
    anchor = Path(given).anchor or "."
    files = sorted(file for file in Path(anchor).glob(given.removeprefix(anchor)) if file.is_file())
    if not files:
        raise MediaError(f"{given}: no such file or folder")
    for file in files:
        yield Input(file, file.name)
