"""What is replayed: paths, folders and patterns as everywhere, or a manifest that lists them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scanner.core.errors import MediaError, SettingsError
from scanner.media.inputs import SUFFIXES, Input, inputs
from scanner.media.objects import SCHEME, Stored, archive_at

_PATH_COLUMNS = ("path", "file", "uri")


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the archive, or an object in a store."""

    path: Path
    stream_id: str
    size: int
    """bytes; 0 when it cannot be read, which its scan will tell"""
    stored: Stored | None = None
    """the object; `path` is its name then"""

    @property
    def place(self) -> str:
        """Path or address, for people."""
        return self.stored.uri if self.stored else str(self.path)

    @property
    def version(self) -> str:
        """Of an object, what tells it from what else may come to lie there; files have none."""
        return f"{self.stored.etag} {self.stored.size}" if self.stored else ""


def items_of(paths: Iterable[str], manifest: Path | None, endpoint: str | None = None) -> list[Item]:
    """All files and objects, each a stream of its own name. Raises SettingsError, MediaError, StoreUnavailableError.

    Args:
        endpoint: of the S3-compatible store; None: Amazon's.
    """
    found = [*_given(paths, endpoint), *(_listed(manifest, endpoint) if manifest else ())]
    if not found:
        raise SettingsError("nothing to replay: give PATH… or --manifest FILE")
    if any(item.path == Path("-") for item in found):
        raise SettingsError("standard input cannot be replayed: it is not there a second time")
    return list(_named_apart(found))


def _given(paths: Iterable[str], endpoint: str | None) -> Iterator[Item]:
    for path in paths:
        if path.startswith(SCHEME):
            yield from _below(path, endpoint)
        else:
            yield from (_local(item) for item in inputs([path]))


def _below(uri: str, endpoint: str | None) -> Iterator[Item]:
    """The videos of a bucket or below a prefix, or the one object of that name."""
    archive, key = archive_at(uri, endpoint)
    found = [each for each in archive.listed(key) if each.key == key or Path(each.key).suffix.lower() in SUFFIXES]
    if not found:
        raise MediaError(f"{uri}: no video there (looked for {', '.join(sorted(SUFFIXES))})")
    for each in found:
        name = Path(each.key).name if each.key == key else each.key.removeprefix(key).lstrip("/")
        yield Item(Path(each.key), name, each.size, each)


def _local(item: Input) -> Item:
    return Item(item.path, item.stream_id, _size(item.path))


def _named_apart(found: Iterable[Item]) -> Iterator[Item]:
    """Two files of one name are two streams; the same on every run, for the order is the same."""
    counts: dict[str, int] = {}
    for item in found:
        count = counts[item.stream_id] = counts.get(item.stream_id, 0) + 1
        yield item if count == 1 else replace(item, stream_id=f"{item.stream_id}~{count}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _listed(manifest: Path, endpoint: str | None) -> Iterator[Item]:
    """Rows of CSV with a header, or JSON lines: a path (relative to the manifest) or an address, and, if wished, a
    stream_id."""
    try:
        text = manifest.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise SettingsError(f"manifest {manifest}: {error}") from error
    rows = _json_rows(manifest, text) if text.lstrip().startswith("{") else csv.DictReader(text.splitlines())
    for number, row in enumerate(rows, 1):
        path = next((row[column] for column in _PATH_COLUMNS if row.get(column)), None)
        if not isinstance(path, str):
            raise SettingsError(f"manifest {manifest}: row {number} has no {', '.join(_PATH_COLUMNS)}")
        name = row.get("stream_id") or path
        if not isinstance(name, str):
            raise SettingsError(f"manifest {manifest}: row {number}: stream_id must be text")
        yield _object(path, name, endpoint) if path.startswith(SCHEME) else _local(Input(manifest.parent / path, name))


def _object(uri: str, name: str, endpoint: str | None) -> Item:
    """One object; where none lies, fetching it will tell."""
    archive, key = archive_at(uri, endpoint)
    stored = next((each for each in archive.listed(key) if each.key == key), None)
    return Item(Path(key), name, stored.size if stored else 0, stored or Stored(uri, key, 1, ""))


def _json_rows(manifest: Path, text: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise SettingsError(f"manifest {manifest}: line {number} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise SettingsError(f"manifest {manifest}: line {number} is no JSON object")
            yield row
