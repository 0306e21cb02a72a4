"""What is replayed: paths, folders and patterns as everywhere, or a manifest that lists them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scanner.core.errors import SettingsError
from scanner.media.inputs import Input, inputs

_PATH_COLUMNS = ("path", "file", "uri")


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the archive."""

    path: Path
    stream_id: str
    size: int
    """bytes; 0 when it cannot be read, which its scan will tell"""


def items_of(paths: Iterable[str], manifest: Path | None) -> list[Item]:
    """All files, each a stream of its own name. Raises SettingsError and MediaError."""
    found = [*inputs(paths), *(_listed(manifest) if manifest else ())]
    if not found:
        raise SettingsError("nothing to replay: give PATH… or --manifest FILE")
    if any(item.path == Path("-") for item in found):
        raise SettingsError("standard input cannot be replayed: it is not there a second time")
    return list(_named_apart(found))


def _named_apart(found: Iterable[Input]) -> Iterator[Item]:
    """Two files of one name are two streams; the same on every run, for the order is the same."""
    counts: dict[str, int] = {}
    for item in found:
        count = counts[item.stream_id] = counts.get(item.stream_id, 0) + 1
        name = item.stream_id if count == 1 else f"{item.stream_id}~{count}"
        yield Item(item.path, name, _size(item.path))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _listed(manifest: Path) -> Iterator[Input]:
    """Rows of CSV with a header, or JSON lines: a path (relative to the manifest) and, if wished, a stream_id."""
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
        yield Input(manifest.parent / path, name)


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
