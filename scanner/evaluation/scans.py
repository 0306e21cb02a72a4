"""Clip scores of labelled files out of what `scanner scan --json` printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanner.core.types import Verdict
from scanner.evaluation.crops import Item

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FileScores:
    """The clips of the most suspicious face of a file that was judged, in time order."""

    item: Item
    scores: Floats


def file_scores(verdicts: Iterable[Verdict], items: Sequence[Item]) -> list[FileScores]:
    """Files that were judged and are labelled; a file is known by its name in the label table, or that name's end."""
    faces: dict[str, dict[str, list[float]]] = {}
    for verdict in verdicts:
        for face in verdict.tracks:
            if face.score is not None:
                clips = faces.setdefault(verdict.stream_id, {}).setdefault(face.track_id, [])
                clips += [span.score for span in face.spans]
    found = []
    for stream, tracks in faces.items():
        item = item_of(stream, items)
        if item is not None:
            most = max(tracks.values(), key=lambda scores: float(np.mean(scores)))
            found.append(FileScores(item, np.array(most)))
    return found


def item_of(stream_id: str, items: Sequence[Item]) -> Item | None:
    """The labelled file that a stream was cut from, by its name or that name's end."""
    return next((item for item in items if stream_id in {item.file, item.file.rpartition("/")[2]}), None)


def people_of(files: Sequence[FileScores]) -> list[Floats]:
    """The clips of each person's real files, one after the other."""
    people: dict[str, list[Floats]] = {}
    for file in files:
        if not file.item.fake:
            people.setdefault(file.item.person, []).append(file.scores)
    return [np.concatenate(parts) for parts in people.values()]
