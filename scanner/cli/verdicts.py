"""Where verbs get verdicts from: lines that `scan` or `tail` printed, or the verdicts topic."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from scanner.core.errors import SettingsError
from scanner.core.review import Review
from scanner.core.types import Verdict

if TYPE_CHECKING:
    from scanner.settings import Settings

Line = tuple[bytes, Verdict]
"""the JSON exactly as it was published, and what it says"""


def verdicts_from(files: list[Path], settings: Settings) -> Iterator[Line]:
    """From JSON lines (`-` is standard input), or from the topic when no file is named; other lines are passed over.

    Raises SettingsError when a file cannot be read, SegmentInvalidError when a line is a broken verdict.
    """
    if not files:
        yield from _on_topic(settings)
    for path in files:
        yield from _in_file(path)


def of_one_stream(lines: Iterator[Line], stream_id: str | None) -> list[Line]:
    """The verdicts on one stream, in order, each once. Raises SettingsError when there are none, or more streams."""
    by_stream: dict[str, dict[str, Line]] = {}
    for line, verdict in lines:
        if stream_id in {None, verdict.stream_id}:
            by_stream.setdefault(verdict.stream_id, {}).setdefault(verdict.verdict_id, (line, verdict))
    if not by_stream:
        raise SettingsError(f"no verdict on {stream_id!r}" if stream_id else "there are no verdicts to put into a case")
    if len(by_stream) > 1:
        raise SettingsError(f"verdicts on {len(by_stream)} streams: choose one with --stream, {_some(by_stream)}")
    (found,) = by_stream.values()
    return sorted(found.values(), key=lambda line: line[1].sequence)


def reviews_on(lines: list[Line], path: Path | None, settings: Settings) -> tuple[Review, ...]:
    """What people said of these verdicts. Raises SettingsError, SegmentInvalidError."""
    ids = {verdict.verdict_id for _, verdict in lines}
    return tuple(review for review in reviews_from(path, settings) if review.verdict_id in ids)


def reviews_from(path: Path | None, settings: Settings) -> Iterator[Review]:
    """From JSON lines, or from the topic when no file is named. Raises SettingsError, SegmentInvalidError."""
    from scanner.assembly.bus import kafka_bus, topics_of
    from scanner.wire import review_of

    if path is not None:
        yield from reviews_read(path)
        return
    with closing(kafka_bus(settings).reader([topics_of(settings).reviews], from_beginning=True)) as reader:
        while not reader.at_end():
            for delivery in reader.poll(0.5, limit=500):
                yield review_of(delivery.record)


def reviews_read(path: Path) -> list[Review]:
    """Reviews from JSON lines. Raises SettingsError, SegmentInvalidError."""
    from scanner.wire import review_of_line

    try:
        return [review_of_line(line) for line in path.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise SettingsError(f"reviews {path}: {error.strerror or error}") from error


def _some(names: Collection[str]) -> str:
    few = ", ".join(sorted(names)[:5])
    return few if len(names) <= 5 else f"{few} …"


def _in_file(path: Path) -> Iterator[Line]:
    from scanner.wire import verdict_of_line

    try:
        with closing(sys.stdin.buffer if str(path) == "-" else path.open("rb")) as file:
            for raw in file:
                line = raw.rstrip(b"\r\n")
                if b'"policy_sha256"' in line:  # summaries, alerts and reviews have none
                    yield line, verdict_of_line(line)
    except OSError as error:
        raise SettingsError(f"verdicts {path}: {error.strerror or error}") from error


def _on_topic(settings: Settings) -> Iterator[Line]:
    from scanner.assembly.bus import kafka_bus, topics_of
    from scanner.wire import verdict_of

    with closing(kafka_bus(settings).reader([topics_of(settings).verdicts], from_beginning=True)) as reader:
        while not reader.at_end():
            for delivery in reader.poll(0.5, limit=500):
                yield delivery.record.value or b"", verdict_of(delivery.record)
