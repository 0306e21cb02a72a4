"""A bank of real faces from which the frame stage forges afresh in every batch, so that no pair is seen twice.

    python -m scanner.training.bank CORPUS CACHE BANK

Packs hold whole clips after real encoders and are dear: a model that sees the same few hundred pairs again and again
learns those by heart. The bank holds a few frames of every source; a pair is forged from one of them, both members go
through one draw of nuisances and JPEG, and are cut to the model's square.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.core.types import ClipSpec
from scanner.evaluation.video import read_video
from scanner.training.cut import cut_mask, square_of
from scanner.training.data import Kind, Role, Source, read_corpus, roles
from scanner.training.forge import MOVING, SHARES, Scene, draw_family, forge
from scanner.training.forge.layers import Generators, Pixels, Points
from scanner.training.forge.warp import lay
from scanner.training.nuisance import (
    Nuisance,
    draw_nuisance,
    shown,
    shown_mask,
    transmit,
)
from scanner.training.sources import Footage, load
from scanner.training.spectra import EVEN_SHARE, evened_pictures

SIDE_PX: Final = 320
FACE_SHARE: Final = 2.2
"""Side of a banked square over the side of its face box; the model's crop takes 1.5 with jitter around it."""
MARGIN_PX: Final = 34
"""Border of a banked square that forging may bend but that no crop shows."""
PER_CLIP: Final = 12
MAP_STRIDE: Final = 8
JPEG_SHARE: Final = 0.35
"""Share of pairs that end as JPEG; the others go through the drawn video encoder."""
TRUE_SHARE: Final = 0.25
"""Share of pairs that are true generator outputs beside other people."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The frames of one source."""

    frames: Pixels
    "(k, SIDE, SIDE, 3)."
    points: Points
    "(k, 468, 2), or (k, 0, 2) for generated material."
    boxes: Points
    "(k, 4) in pixels of the square."
    person: str
    method: str


@dataclass(frozen=True, slots=True)
class FramePair:
    """A real frame and a forged one that went the same way."""

    pixels: Pixels
    "(2, 1, S, S, 3), real first."
    mask: NDArray[np.uint8]
    "(1, S / MAP_STRIDE, S / MAP_STRIDE)."
    frames: NDArray[np.float32]
    family: str
    masked: bool


def squared(footage: Footage, chosen: list[int]) -> tuple[Pixels, Points, Points]:
    """Frames, points and boxes of `chosen` frames, each on one upright square around the face."""
    out, points, boxes = [], [], []
    for t in chosen:
        x0, y0, x1, y1 = footage.boxes[t].tolist()
        scale = min(SIDE_PX / (FACE_SHARE * max(x1 - x0, y1 - y0)), 1.3)
        shift = np.array([SIDE_PX / 2 - scale * (x0 + x1) / 2, SIDE_PX / 2 - scale * (y0 + y1) / 2])
        matrix = np.column_stack([scale * np.eye(2), shift])
        out.append(lay(footage.frames[t], matrix, (SIDE_PX, SIDE_PX), cv2.BORDER_REPLICATE))
        points.append(footage.points[t] * scale + shift)
        boxes.append((footage.boxes[t].reshape(2, 2) * scale + shift).ravel())
    return np.stack(out).astype(np.uint8), np.asarray(points, np.float32), np.asarray(boxes, np.float32)


def build(sources: list[Source], cache: Path, out: Path, *, every_generator: bool = False) -> int:
    """Writes the bank of everything that may be trained on; gives the number of frames.

    With `every_generator` the outputs that choose between designs are in it, too: for the last run of a design.
    """
    allowed = roles(sources)
    frames, points, boxes = [], [], []
    groups: list[int] = []
    people: list[str] = []
    methods: list[str] = []
    for source in sources:
        taken = allowed[source.path] is Role.TRAIN or (every_generator and source.fake)
        footage = load(source, cache) if taken else None
        if footage is None:
            continue
        count = 1 if source.kind is Kind.STILL else PER_CLIP
        chosen = np.unique(np.linspace(0, len(footage.frames) - 1, count).round().astype(int)).tolist()
        f, p, b = squared(footage, chosen)
        frames.append(f)
        points.append(p if p.shape[1] else np.zeros((len(f), 468, 2), np.float32))
        boxes.append(b)
        groups.extend([len(people)] * len(f))
        people.append(source.person)
        methods.append(source.method)
    out.mkdir(parents=True, exist_ok=True)
    np.save(out / "frames.npy", np.concatenate(frames))
    np.savez(
        out / "table.npz",
        points=np.concatenate(points),
        boxes=np.concatenate(boxes),
        groups=np.array(groups),
        people=np.array(people),
        methods=np.array(methods),
    )
    return len(groups)


class Bank:
    """Draws fresh pairs. The same generator state gives the same pair, but for what `transmit` says of x264."""

    def __init__(
        self,
        folder: Path,
        spec: ClipSpec,
        generators: Generators = Generators(),  # noqa: B008 - immutable
        true_share: float = TRUE_SHARE,
        shares: Mapping[str, float] = SHARES,
    ) -> None:
        """
        Args:
            generators: of our own, that forge.
            true_share: of the pairs, true generator outputs against other people.
            shares: how often each family is drawn among the others.
        """
        self._frames = np.load(folder / "frames.npy", mmap_mode="r")
        table = np.load(folder / "table.npz")
        self._points, self._boxes = table["points"], table["boxes"]
        self._people, self._methods = table["people"], table["methods"]
        starts = np.searchsorted(table["groups"], np.arange(len(self._people) + 1))
        self._rows = [slice(int(a), int(b)) for a, b in pairwise(starts)]
        self._cells = spec.size // MAP_STRIDE
        self._spec, self._true_share, self._shares = spec, true_share, shares
        self._generators = generators
        fake = self._methods != ""
        alone = np.char.startswith(self._people, "still:")
        self._stills, self._fakes = np.flatnonzero(alone), np.flatnonzero(fake)
        moving = np.flatnonzero(~fake & ~alone)
        self._moving = {str(p): moving[self._people[moving] == p] for p in np.unique(self._people[moving])}

    def _entry(self, group: int) -> Entry:
        rows = self._rows[group]
        frames = np.array(self._frames[rows])
        return Entry(frames, self._points[rows], self._boxes[rows], str(self._people[group]), str(self._methods[group]))

    def _real(self, rng: Generator, still_share: float) -> Entry:
        if len(self._stills) and rng.random() < still_share:
            return self._entry(int(rng.choice(self._stills)))
        person = str(rng.choice(list(self._moving)))
        return self._entry(int(rng.choice(self._moving[person])))

    def pair(self, rng: Generator) -> FramePair:
        """A real frame and a forgery of it, or now and then a true generator output."""
        if len(self._fakes) and rng.random() < self._true_share:
            return self._true_pair(rng)
        entry = self._real(rng, 0.5 if self._shares.keys() - MOVING else 0.0)
        still, drawn = len(entry.frames) == 1, bool(self._generators.redraws)
        family = draw_family(rng, still=still, drawn=drawn, shares=self._shares)
        t = int(rng.integers(len(entry.frames)))
        donor = self._real(rng, 0.5)
        scene = Scene(entry.frames, entry.points, t, 1, donor.frames, donor.points, self._generators)
        made = forge(family, scene, int(rng.integers(2**31)))
        draw, jitter, quality = self._nuisances(rng, entry.boxes[t])
        filmed, forged = entry.frames[t][None], made.clip
        if rng.random() < EVEN_SHARE:
            filmed, forged = evened_pictures(filmed, forged, made.mask, entry.boxes[t], sharpen=rng.random() < 0.5)
        real, square = self._cut(filmed[0], entry.boxes[t], draw, jitter, quality)
        fake, _ = self._cut(forged[0], entry.boxes[t], draw, jitter, quality)
        mask = cut_mask(
            shown_mask(made.mask[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX], _face_px(entry.boxes[t]), draw),
            square,
            self._cells,
        )
        return FramePair(np.stack([real, fake])[:, None], mask, made.frames, made.family, masked=True)

    def _true_pair(self, rng: Generator) -> FramePair:
        real, fake = self._real(rng, 0.6), self._entry(int(rng.choice(self._fakes)))
        draw, jitter, quality = self._nuisances(rng, fake.boxes[0])
        a, b = (int(rng.integers(len(entry.frames))) for entry in (real, fake))
        pictures = real.frames[a][None], fake.frames[b][None]
        if rng.random() < EVEN_SHARE:
            whole = np.zeros((1, SIDE_PX, SIDE_PX), np.float32)
            pictures = evened_pictures(*pictures, whole, fake.boxes[b], sharpen=rng.random() < 0.5)
        boxes = real.boxes[a], fake.boxes[b]
        cuts = [self._cut(clip[0], box, draw, jitter, quality)[0] for clip, box in zip(pictures, boxes, strict=True)]
        nothing = np.zeros((1, self._cells, self._cells), np.uint8)
        return FramePair(np.stack(cuts)[:, None], nothing, np.ones(1, np.float32), "X", masked=False)

    def _nuisances(self, rng: Generator, box: Points) -> tuple[Nuisance, NDArray[np.float64], int]:
        draw = draw_nuisance(rng, _face_px(box), 4)
        jitter = rng.uniform(-1, 1, 3) * np.array([0.06, 0.06, 0.12])
        quality = int(rng.integers(35, 96)) if rng.random() < JPEG_SHARE else 0
        return draw, jitter, quality

    def _cut(
        self, picture: Pixels, box: Points, draw: Nuisance, jitter: NDArray[np.float64], quality: int
    ) -> tuple[Pixels, tuple[int, int, int]]:
        inner = picture[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
        small = shown(inner[None], _face_px(box), draw)[0]
        small = _jpeg(small, quality) if quality else _streamed(small, draw)
        where = (box[None] - MARGIN_PX) / len(inner)
        square = square_of(np.asarray(where, np.float32), self._spec, small.shape[:2], jitter)
        return _crop(small, square, self._spec.size), square


def _jpeg(picture: Pixels, quality: int) -> Pixels:
    _, code = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]


def _streamed(picture: Pixels, draw: Nuisance) -> Pixels:
    """The picture as a predicted frame of a real encoder: the second of two, the first lies a pixel aside."""
    aside = np.roll(picture, 1, axis=1)
    payload = transmit(np.stack([aside, picture]), replace(draw, kbps=None))
    return np.asarray(read_video(payload)[0][-1], np.uint8)


def _face_px(box: Points) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))


def _crop(picture: Pixels, square: tuple[int, int, int], size: int) -> Pixels:
    """(size, size, 3); edges repeat outside the picture, area averaging when it shrinks, as in production."""
    x0, y0, side = square
    height, width = picture.shape[:2]
    pad = max(0, -x0, -y0, x0 + side - width, y0 + side - height)
    if pad:
        picture = np.asarray(cv2.copyMakeBorder(picture, pad, pad, pad, pad, cv2.BORDER_REPLICATE), np.uint8)
    inner = picture[y0 + pad : y0 + pad + side, x0 + pad : x0 + pad + side]
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(inner, (size, size), interpolation=how), np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("bank", type=Path)
    parser.add_argument("--every-generator", action="store_true")
    args = parser.parse_args()
    count = build(read_corpus(args.corpus), args.cache, args.bank, every_generator=args.every_generator)
    print(f"{count} frames")


if __name__ == "__main__":
    main()
