"""Results read back, from JSON lines or Parquet, and written as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from scanner.core.errors import SettingsError
from scanner.core.types import Verdict

_BATCH = 4096
_COLUMNS = ("verdict_id", "stream_id", "sequence", "start_ms", "end_ms", "label", "score")


@dataclass(slots=True)
class FileResult:
    """What one run said of one stream."""

    stream_id: str
    label: str | None = None
    """of its summary; None when it has none"""
    score: float | None = None
    segments: dict[int, tuple[str, float | None]] = field(default_factory=dict)
    """sequence to label and score"""
    model: str = ""


def read_results(path: Path) -> dict[str, FileResult]:
    """By stream. Raises SettingsError when it cannot be read as results.

    Args:
        path: results.jsonl, the folder it lies in, what `scanner scan --json` printed, or Parquet of `replay`.
    """
    file = path / "results.jsonl" if path.is_dir() else path
    found: dict[str, FileResult] = {}
    ended: set[str] = set()
    stream = None
    for line in _lines(file):
        if "verdict_id" in line:
            stream = line["stream_id"]
            if stream in ended:  # scanned again, since what lies there was changed
                ended.remove(stream)
                del found[stream]
            result = found.setdefault(stream, FileResult(stream))
            result.segments[line["sequence"]] = (line["label"], line["score"])
            result.model = f"{line['model']['name']} {line['model']['sha256'][:8]}"
        elif line.get("type") == "summary" and stream is not None:
            found[stream].label, found[stream].score = line["label"], line["score"]
            ended.add(stream)
    if not found:
        raise SettingsError(f"{file}: holds no verdict")
    return found


def by_segment(verdicts: Iterable[Verdict]) -> dict[str, FileResult]:
    """Each segment as a result of its own, named stream/sequence: streams on a topic have no end to sum up.

    What is said again of a segment counts last.
    """
    found = {}
    for said in verdicts:
        name, model = f"{said.stream_id}/{said.sequence}", f"{said.model.name} {said.model.sha256[:8]}"
        found[name] = FileResult(name, said.label.value, said.score, {0: (said.label.value, said.score)}, model)
    return found


def write_parquet(results: Path, target: Path) -> int:
    """One row a verdict, its whole JSON in the last column; rows. Raises SettingsError without pyarrow."""
    arrow, parquet = _arrow()
    schema = arrow.schema(
        [
            *((name, arrow.string()) for name in ("verdict_id", "stream_id")),
            *((name, arrow.int64()) for name in ("sequence", "start_ms", "end_ms")),
            ("label", arrow.string()),
            ("score", arrow.float64()),
            ("reasons", arrow.list_(arrow.string())),
            ("model", arrow.string()),
            ("json", arrow.string()),
        ]
    )
    rows = 0
    part = target.with_suffix(".part")
    with parquet.ParquetWriter(part, schema) as writer:
        for batch in _batches(_lines(results)):
            writer.write_table(arrow.Table.from_pylist([_row(line) for line in batch], schema=schema))
            rows += sum("verdict_id" in line for line in batch)
    part.rename(target)
    return rows


def _row(line: dict[str, Any]) -> dict[str, Any]:
    """Summaries and errors are rows with nothing but their JSON, so that nothing is lost."""
    text = json.dumps(line, ensure_ascii=False)
    if "verdict_id" not in line:
        return {"json": text}
    named = {name: line[name] for name in _COLUMNS}
    return {**named, "reasons": line["reasons"], "model": line["model"]["name"], "json": text}


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        if file.suffix == ".parquet":
            _, parquet = _arrow()
            for batch in parquet.ParquetFile(file).iter_batches(_BATCH, columns=["json"]):
                yield from map(json.loads, batch.column(0).to_pylist())
            return
        with file.open("rb") as lines:
            yield from (json.loads(line) for line in lines if line.strip())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: {error}") from error


def _batches(lines: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for line in lines:
        batch.append(line)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _arrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise SettingsError("Parquet needs pyarrow: pip install 'scanner[parquet]'") from error
