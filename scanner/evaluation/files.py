"""How the clips of a file become one score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanner.evaluation.crops import Cut, Store

Floats = NDArray[np.float64]


def file_scores(cuts: Sequence[Cut], logits: Floats) -> dict[str, float]:
    """File → score: the mean logit over the file of its most suspicious face."""
    return {file: float(clips.mean()) for file, clips in worst_faces(cuts, logits).items()}


def worst_faces(cuts: Sequence[Cut], logits: Floats) -> dict[str, Floats]:
    """File → logits of the clips of the face with the highest mean, in order, among those seen long enough.

    A face counts when it has at least half as many clips as the face with the most.
    """
    faces: dict[str, dict[int, list[float]]] = {}
    for cut, logit in zip(cuts, logits.tolist(), strict=True):
        faces.setdefault(cut.file, {}).setdefault(cut.tracklet, []).append(logit)
    worst = {}
    for file, tracks in faces.items():
        most = max(len(values) for values in tracks.values())
        worst[file] = max((np.array(v) for v in tracks.values() if 2 * len(v) >= most), key=lambda v: float(v.mean()))
    return worst


def thinned(store: Store, per_file: int) -> list[int]:
    """Places of at most `per_file` clips of each file, spread evenly: for quick looks while training."""
    places: dict[str, list[int]] = {}
    for place, cut in enumerate(store.cuts):
        places.setdefault(cut.file, []).append(place)
    chosen: list[int] = []
    for rows in places.values():
        take = np.unique(np.linspace(0, len(rows) - 1, min(per_file, len(rows))).round().astype(int))
        chosen.extend(rows[k] for k in take)
    return chosen
