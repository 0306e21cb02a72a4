"""The files of a case, from a folder or a zip, by name."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from scanner.audit.fault import Fault
from scanner.core.errors import SettingsError

LARGEST_BYTES = 8 * 1024**3


def contents_of(path: Path) -> tuple[dict[str, bytes], list[Fault]]:
    """Name to bytes, and the members of a zip that cannot be read. Raises SettingsError when nothing can be."""
    try:
        if path.is_dir():
            return _folder(path), []
        return _zip(path)
    except OSError as error:
        raise SettingsError(f"case {path}: {error.strerror or error}") from error
    except zipfile.BadZipFile as error:
        raise SettingsError(f"case {path} cannot be opened as a zip: {error}") from error


def _folder(path: Path) -> dict[str, bytes]:
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.is_symlink())
    _within_bounds(path, sum(file.stat().st_size for file in files))
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files}


def _zip(path: Path) -> tuple[dict[str, bytes], list[Fault]]:
    contents: dict[str, bytes] = {}
    faults = []
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        _within_bounds(path, sum(member.file_size for member in members))
        for member in members:
            if member.filename in contents:
                faults.append(Fault(member.filename, "stands in the zip twice"))
            try:
                contents[member.filename] = archive.read(member)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                faults.append(Fault(member.filename, f"was changed, or damaged: {error}"))
    return contents, faults


def _within_bounds(path: Path, size: int) -> None:
    if size > LARGEST_BYTES:
        raise SettingsError(f"case {path} has {size} bytes, more than the {LARGEST_BYTES} that are read")
