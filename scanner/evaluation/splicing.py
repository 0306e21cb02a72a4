"""Long streams of encoded video with forged stretches in them, out of short clips.

real   ──▶──◀──▶──◀── one person's clips, each to and fro for a while: no cut that a camera would not make
forged      ▶◀                ▶──◀                  ▶──◀──▶──◀        the same way, for 2, 5 and 20 s in all
            └ 1st third       └ 2nd third           └ 3rd third
pictures ──the encoder of live streams──▶ one file a stream, its plan beside it
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from scanner.core.types import Pixels
from scanner.evaluation.crops import Item
from scanner.evaluation.sequential import LENGTHS_S
from scanner.evaluation.video import read_video
from scanner.sample import draw_sample, encode

TURN_S = 20.0  # how long one of a person's clips is played before the next one
LONGEST_SIDE_PX = 640
LEAST_MINUTES = 3.0  # in less, stretches of 20 s would fill the real video
FPS = (15, 30)
DRAWN_S = 20.0
_RESERVED = (0.15, 0.5)  # of its third: where a stretch may begin


@dataclass(frozen=True, slots=True)
class Material:
    """What a stream is made of."""

    name: str
    real: tuple[Path, ...]
    """one person's clips"""
    forged: Path
    kind: str
    """family and method of the forgery"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A forged part of a stream, in seconds."""

    start_s: float
    length_s: float

    @property
    def end_s(self) -> float:
        return self.start_s + self.length_s


@dataclass(frozen=True, slots=True)
class Plan:
    """What is spliced where."""

    name: str
    kind: str
    real: tuple[str, ...]
    forged: str
    seconds: float
    stretches: tuple[Stretch, ...]


def material_of(items: Sequence[Item], root: Path, streams: int, seed: int) -> list[Material]:
    """Real people with forgeries: first forgeries of their own clips (`pair`), then of others; families take turns.

    Fewer than `streams` where there are fewer real people or forgeries.
    """
    rng = np.random.default_rng(seed)
    people: dict[str, list[Item]] = {}
    for item in items:
        if not item.fake:
            people.setdefault(item.person, []).append(item)
    original = {item.pair: item.person for item in items if item.pair and not item.fake}
    fakes = [items[place] for place in rng.permutation(len(items)) if items[place].fake]
    free = [person for person in rng.permutation(sorted(people)) if person not in original.values()]
    made: list[Material] = []
    used: set[str] = set()
    for fake in _in_turn(fakes, original):
        person = original.get(fake.pair) or (str(free.pop()) if free else None)
        if person is None or person in used:
            continue
        used.add(person)
        real = sorted(people[person], key=lambda item: (item.pair != fake.pair or not fake.pair, item.file))
        paths = tuple(root / item.file for item in real)
        made.append(Material(f"stream-{len(made):02}", paths, root / fake.file, f"{fake.family}/{fake.method}"))
        if len(made) == streams:
            break
    return made


def drawn_material(folder: Path, streams: int, seed: int) -> list[Material]:
    """The drawn portrait and its forged twin: a forgery that shows how the test works, not how good a model is."""
    made = []
    for number in range(streams):
        real, forged = folder / f"drawn-{number:02}.mp4", folder / f"drawn-{number:02}-forged.mp4"
        for path, spans in ((real, []), (forged, [(0.0, DRAWN_S)])):
            if not path.exists():
                draw_sample(
                    path, forged=bool(spans), seconds=DRAWN_S, size=(480, 360), forged_spans=spans, seed=seed + number
                )
        made.append(Material(f"stream-{number:02}", (real,), forged, "drawn"))
    return made


def planned(material: Material, minutes: float, rng: np.random.Generator) -> Plan:
    """One stretch of each length, in any order, each in a part of the stream of its own.

    Raises ValueError when there is not enough room for real video between them.
    """
    if minutes < LEAST_MINUTES:
        raise ValueError(f"a stream must be at least {LEAST_MINUTES:g} minutes long, got {minutes:g}")
    part = minutes * 60 / len(LENGTHS_S)
    starts = [part * (place + rng.uniform(*_RESERVED)) for place in range(len(LENGTHS_S))]
    lengths = rng.permutation(LENGTHS_S)
    stretches = tuple(Stretch(round(start, 3), float(length)) for start, length in zip(starts, lengths, strict=True))
    real = tuple(path.name for path in material.real)
    return Plan(material.name, material.kind, real, material.forged.name, minutes * 60, stretches)


def spliced(material: Material, plan: Plan, folder: Path) -> Path:
    """The encoded stream; one that was made of the same plan before is taken as it is."""
    path, beside = folder / f"{plan.name}.mp4", folder / f"{plan.name}.json"
    said = json.dumps(asdict(plan), indent=1)
    if path.exists() and beside.exists() and beside.read_text("utf-8") == said:
        return path
    beside.unlink(missing_ok=True)
    reel = Reel(material, plan.stretches)
    encode(path, reel.pictures(plan.seconds), reel.fps, reel.size)
    beside.write_text(said, "utf-8")
    return path


class Reel:
    """The pictures of a stream, by their time."""

    def __init__(self, material: Material, stretches: Sequence[Stretch]) -> None:
        self._real = [Clip(path) for path in material.real]
        self._forged = Clip(material.forged)
        self._stretches = stretches
        first = self._real[0]
        self.fps = int(np.clip(round(first.rate), *FPS))
        self.size = _size(first.frames.shape[2], first.frames.shape[1])

    def pictures(self, seconds: float) -> Iterator[Pixels]:
        return (self.picture(number / self.fps) for number in range(round(seconds * self.fps)))

    def picture(self, t: float) -> Pixels:
        """(H, W, 3) RGB. A forgery is at the same moment of its clip as its original would be."""
        if any(stretch.start_s <= t < stretch.end_s for stretch in self._stretches):
            return self._forged.at(t, self.size)
        return self._real[int(t / TURN_S) % len(self._real)].at(t, self.size)


class Clip:
    """A short clip, played to and fro."""

    def __init__(self, path: Path) -> None:
        self.frames, self.rate = read_video(path)
        self._fitted = cache(self._fit)

    def at(self, t: float, size: tuple[int, int]) -> Pixels:
        last = len(self.frames) - 1
        place = int(t * self.rate) % (2 * last) if last else 0
        return self._fitted(place if place <= last else 2 * last - place, size)

    def _fit(self, place: int, size: tuple[int, int]) -> Pixels:
        """Whole, as large as fits, on black."""
        picture = self.frames[place]
        height, width = picture.shape[:2]
        scale = min(size[0] / width, size[1] / height)
        inner = (min(size[0], round(width * scale)), min(size[1], round(height * scale)))
        out = np.zeros((size[1], size[0], 3), np.uint8)
        top, left = (size[1] - inner[1]) // 2, (size[0] - inner[0]) // 2
        out[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
        return out


def _in_turn(fakes: Sequence[Item], original: dict[str, str]) -> Iterator[Item]:
    """Those with an original of their own first; families take turns in both."""
    for paired in (True, False):
        rows: dict[str, list[Item]] = {}
        for fake in fakes:
            if (fake.pair in original) is paired:
                rows.setdefault(fake.family, []).append(fake)
        for turn in range(max(map(len, rows.values()), default=0)):
            yield from (row[turn] for _, row in sorted(rows.items()) if turn < len(row))


def _size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE_PX / max(width, height))
    even = [max(64, int(side * scale) // 2 * 2) for side in (width, height)]
    return even[0], even[1]
