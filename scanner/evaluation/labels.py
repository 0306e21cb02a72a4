"""Label files: a CSV with `file,label` and, where known, `family,method,person,pair,source`."""

from __future__ import annotations

import csv
from pathlib import Path

from scanner.core.errors import SettingsError
from scanner.evaluation.crops import Item

_LABELS = frozenset({"real", "fake"})


def read_labels(table: Path, root: Path) -> list[Item]:
    """The rows of a label file, in order; paths are relative to `root`.

    Raises:
        SettingsError: no such table, a column or file missing, a label that is neither real nor fake, no row at all.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{table}: cannot be read as CSV: {error}") from error
    if not rows:
        raise SettingsError(f"{table}: no rows")
    for line, row in enumerate(rows, start=2):
        _check(table, line, row, root)
    return [_item(row) for row in rows]


def _check(table: Path, line: int, row: dict[str, str], root: Path) -> None:
    missing = [name for name in ("file", "label") if not row.get(name)]
    if missing:
        raise SettingsError(f"{table}:{line}: no {missing[0]}")
    if row["label"] not in _LABELS:
        raise SettingsError(f"{table}:{line}: label {row['label']!r} is neither real nor fake")
    if not (root / row["file"]).is_file():
        raise SettingsError(f"{table}:{line}: no file {root / row['file']}")


def _item(row: dict[str, str]) -> Item:
    fake = row["label"] == "fake"
    return Item(
        file=row["file"],
        fake=fake,
        family=(row.get("family") or "unknown") if fake else "real",
        method=row.get("method") or ("unknown" if fake else ""),
        person=row.get("person") or row["file"],
        source=row.get("source") or row["file"],
        pair=row.get("pair") or "",
    )
