"""What there is to train on, who is in it, and who is kept out.

A corpus folder holds `stills.csv`, `clips.csv` and `generated.csv` beside folders of the same names; `deepfakebench`
makes one of FaceForensics++, Celeb-DF, DFDC or DF40 in DeepfakeBench's layout.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

DEV_METHODS: Final = frozenset({"edtalk", "fantasytalking", "moore-animateanyone-face"})
"""Generators that choose between designs: never trained on while a design is being chosen."""
HELD_OUT_SHARE: Final = 0.15
"""Share of the people in clips who calibrate the model and are never trained on."""
CROWD: Final = 10
"""Clips a person from which they count as a frequent person; frequent and other people are held out separately."""


class Kind(StrEnum):
    """Where a source comes from."""

    STILL = "stills"
    CLIP = "clips"
    GENERATED = "generated"


class Role(StrEnum):
    """What a source may be used for."""

    TRAIN = "train"
    CALIBRATE = "calibrate"
    DEV = "dev"


@dataclass(frozen=True, slots=True)
class Source:
    """One still or clip."""

    path: Path
    kind: Kind
    person: str
    licence: str
    method: str = ""
    "The generator, empty for real material."
    face_px: float = 0.0
    "Side of its face as the list tells it; 0 where it does not."

    @property
    def fake(self) -> bool:
        return bool(self.method)


def read_corpus(root: Path) -> list[Source]:
    """Every source that the three lists under `root` name and that exists."""
    return [source for kind in Kind for source in _read_list(root, kind) if source.path.exists()]


def _read_list(root: Path, kind: Kind) -> Iterator[Source]:
    table = root / f"{kind}.csv"
    if not table.exists():
        return
    with table.open(newline="") as lines:
        for row in csv.DictReader(lines):
            person = row.get("person") or f"still:{row['file']}"
            face_px = float(row.get("face_px") or 0)
            path = root / kind / row["file"]
            yield Source(path, kind, person, row["licence"], row.get("method", ""), face_px=face_px)


def roles(sources: Iterable[Source]) -> dict[Path, Role]:
    """Who may be used for what: by person for real clips, by generator for generated ones, stills always train."""
    listed = list(sources)
    counts: dict[str, int] = {}
    for source in listed:
        if source.kind is Kind.CLIP and not source.fake:
            counts[source.person] = counts.get(source.person, 0) + 1
    crowd = {person for person, count in counts.items() if count >= CROWD}
    held = _held_out(crowd) | _held_out(counts.keys() - crowd)
    return {source.path: _role(source, held) for source in listed}


def _held_out(people: Iterable[str]) -> set[str]:
    order = sorted(people, key=lambda person: hashlib.sha256(person.encode()).digest())
    return set(order[: round(HELD_OUT_SHARE * len(order))])


def _role(source: Source, held: set[str]) -> Role:
    if source.fake:
        return Role.DEV if source.method in DEV_METHODS else Role.TRAIN
    return Role.CALIBRATE if source.person in held else Role.TRAIN
