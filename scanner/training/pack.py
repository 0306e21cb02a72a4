"""Packs of ready clips: real and forged side by side, cut and decoded, so that training only reads.

A pack is a folder of shards of PAIRS pairs, each shard two files of one name:
    .npy  (P, 2, T, S, S, 3) uint8, real first; mapped into memory, never read whole
    .npz  masks (P, T, M, M) uint8 · frames (P, T) float32 · family (P,) str · masked (P,) bool, whether the mask is
          known · person (P,) str · method (P,) str, empty for our own forgeries; written last
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.core.types import ClipSpec
from scanner.training.cut import GEOMETRY, cut_clip, cut_mask, square_of
from scanner.training.data import Kind, Role, Source, read_corpus, roles
from scanner.training.forge import Scene, draw_family, forge
from scanner.training.forge.layers import Generators, Pixels
from scanner.training.nuisance import (
    Nuisance,
    draw_nuisance,
    shown,
    shown_mask,
    transmit,
)
from scanner.training.sources import Footage, animate, load
from scanner.training.spectra import EVEN_SHARE, evened_apart, evened_pictures

STRIDE = 8  # pixels of the square a cell of the mask
PAIRS = 32  # in a shard
TRUE_SHARE = 0.25  # of pairs whose fake is a true generator output


@dataclass(frozen=True, slots=True)
class Pair:
    """A real clip and a fake that went the same way."""

    pixels: Pixels
    "(2, T, S, S, 3), real first."
    mask: NDArray[np.uint8]
    frames: NDArray[np.float32]
    family: str
    masked: bool
    person: str
    method: str = ""


class Packer:
    """Draws pairs. The same seed and number give the same pair, but for what `transmit` says of x264."""

    def __init__(
        self,
        sources: list[Source],
        cache: Path,
        spec: ClipSpec,
        role: Role = Role.TRAIN,
        *,
        generators: Generators = Generators(),  # noqa: B008 - immutable
        true_share: float = TRUE_SHARE,
    ) -> None:
        allowed = roles(sources)
        self._cache, self._spec, self._generators, self._true_share = cache, spec, generators, true_share
        mine = [source for source in sources if allowed[source.path] is role]
        self._stills = [s for s in mine if s.kind is Kind.STILL]
        self._people = _grouped([s for s in mine if s.kind is Kind.CLIP and not s.fake], by_method=False)
        self._methods = _grouped([s for s in mine if s.fake], by_method=True)

    def pair(self, seed: int) -> Pair:
        """One pair; sources without a usable face are passed over."""
        rng = np.random.default_rng(seed)
        while True:
            made = self._true_pair(rng) if self._methods and rng.random() < self._true_share else self._forged_pair(rng)
            if made is not None:
                return made

    def _forged_pair(self, rng: Generator) -> Pair | None:
        still = bool(self._stills) and rng.random() < 0.3
        source, footage = self._real(rng, still=still)
        if footage is None:
            return None
        family = draw_family(rng, still=still, drawn=bool(self._generators.redraws))
        start = int(rng.integers(0, len(footage.frames) - self._spec.length + 1))
        _, donor = self._real(rng, still=bool(self._stills) and rng.random() < 0.5)
        if donor is None:
            return None
        window = slice(start, start + self._spec.length)
        length = self._spec.length
        scene = Scene(footage.frames, footage.points, start, length, donor.frames, donor.points, self._generators)
        made = forge(family, scene, int(rng.integers(2**31)))
        draw = draw_nuisance(rng, footage.face_px, self._spec.length)
        jitter = _draw_jitter(rng)
        filmed, forged = footage.frames[window], made.clip
        if rng.random() < EVEN_SHARE:
            box = footage.boxes[start + length // 2]
            filmed, forged = evened_pictures(filmed, forged, made.mask, box, sharpen=rng.random() < 0.5)
        places = footage.places[window]
        real, square = self._sent(_shown(filmed, places, draw), places, draw, jitter)
        fake, _ = self._sent(_shown(forged, places, draw), places, draw, jitter)
        mask = cut_mask(shown_mask(made.mask, footage.face_px, draw), square, self._spec.size // STRIDE)
        return Pair(np.stack([real, fake]), mask, made.frames, made.family, True, source.person)

    def _true_pair(self, rng: Generator) -> Pair | None:
        names = sorted(self._methods)
        weights = np.sqrt([len(self._methods[name]) for name in names])
        choice = self._methods[str(rng.choice(names, p=weights / weights.sum()))]
        source = choice[rng.integers(len(choice))]
        fake = load(source, self._cache)
        _, real = self._real(rng, still=bool(self._stills) and rng.random() < 0.2)
        if fake is None or real is None or len(fake.frames) < self._spec.length:
            return None
        draw = draw_nuisance(rng, min(fake.face_px, real.face_px), self._spec.length)
        jitter, length = _draw_jitter(rng), self._spec.length
        starts = [int(rng.integers(0, len(footage.frames) - length + 1)) for footage in (real, fake)]
        windows = [slice(start, start + length) for start in starts]
        places = [f.places[window] for f, window in zip((real, fake), windows, strict=True)]
        clips = [_shown(f.frames[w], p, draw) for f, w, p in zip((real, fake), windows, places, strict=True)]
        if rng.random() < EVEN_SHARE:
            middles = places[0][length // 2], places[1][length // 2]
            clips = list(evened_apart(clips[0], clips[1], middles, sharpen=rng.random() < 0.5))
        cuts = [self._sent(clip, place, draw, jitter)[0] for clip, place in zip(clips, places, strict=True)]
        cells = self._spec.size // STRIDE
        mask = np.zeros((length, cells, cells), np.uint8)
        ones = np.ones(length, np.float32)
        return Pair(np.stack(cuts), mask, ones, "X", False, source.person, source.method)

    def _real(self, rng: Generator, *, still: bool) -> tuple[Source, Footage | None]:
        if still:
            source = self._stills[rng.integers(len(self._stills))]
            footage = load(source, self._cache)
            return source, None if footage is None else animate(footage, self._spec.length, rng)
        names = sorted(self._people)
        weights = np.sqrt([min(len(self._people[name]), 4) for name in names])
        clips = self._people[str(rng.choice(names, p=weights / weights.sum()))]
        source = clips[rng.integers(len(clips))]
        footage = load(source, self._cache)
        short = footage is not None and len(footage.frames) < self._spec.length
        return source, None if short else footage

    def _sent(
        self, seen: Pixels, places: NDArray[np.float32], draw: Nuisance, jitter: NDArray[np.float64]
    ) -> tuple[Pixels, tuple[int, int, int]]:
        """The clip as it arrives and is cut, and the square it was cut by."""
        square = square_of(places, self._spec, seen.shape[1:3], jitter)
        return cut_clip(transmit(seen, draw), square, self._spec), square


def _shown(clip: Pixels, places: NDArray[np.float32], draw: Nuisance) -> Pixels:
    """The clip at the size at which it is shown; a face has the same pixels then, whatever it was filmed at."""
    height, width = clip.shape[1:3]
    sides = np.maximum((places[:, 2] - places[:, 0]) * width, (places[:, 3] - places[:, 1]) * height)
    return shown(clip, float(np.median(sides)), draw)


def _grouped(sources: list[Source], *, by_method: bool) -> dict[str, list[Source]]:
    groups: dict[str, list[Source]] = {}
    for source in sources:
        groups.setdefault(source.method if by_method else source.person, []).append(source)
    return groups


def _draw_jitter(rng: Generator) -> NDArray[np.float64]:
    return np.asarray(rng.uniform(-1, 1, 3) * np.array([0.06, 0.06, 0.12]), np.float64)


GEOMETRY_FILE = "geometry.json"


def read_geometry(folder: Path) -> dict[str, Any] | None:
    """By what geometry a pack was cut; None for packs that do not say."""
    path = folder / GEOMETRY_FILE
    return dict(json.loads(path.read_text())) if path.exists() else None


def write_shard(packer: Packer, seed: int, folder: Path) -> Path:
    """PAIRS pairs drawn from `seed`, written whole or not at all."""
    out = folder / f"{seed:06d}.npz"
    if out.exists():
        return out
    pairs = [packer.pair(seed * 1000 + number) for number in range(PAIRS)]
    np.save(out.with_suffix(".npy"), np.stack([pair.pixels for pair in pairs]))
    part = out.with_suffix(".part")
    with part.open("wb") as sink:
        np.savez(
            sink,
            masks=np.stack([pair.mask for pair in pairs]),
            frames=np.stack([pair.frames for pair in pairs]),
            family=np.array([pair.family for pair in pairs]),
            masked=np.array([pair.masked for pair in pairs]),
            person=np.array([pair.person for pair in pairs]),
            method=np.array([pair.method for pair in pairs]),
        )
    part.replace(out)
    return out


def main() -> None:
    """Writes shards first, first + step, … into a pack; start several with different `--first` to use more cores."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("cache", type=Path, help="folder with surveyed boxes and landmarks")
    parser.add_argument("pack", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--shards", type=int, default=32)
    parser.add_argument("--role", type=Role, default=Role.TRAIN)
    parser.add_argument("--zoo", type=Path, help="folder of trained generators that forge too")
    parser.add_argument("--size", type=int, default=GEOMETRY.size, help="pixels a side; divides by 32")
    parser.add_argument("--box-scale", type=float, default=GEOMETRY.box_scale)
    parser.add_argument("--true-share", type=float, default=TRUE_SHARE)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cv2.setNumThreads(1)
    args.pack.mkdir(parents=True, exist_ok=True)
    generators = Generators()
    if args.zoo:
        import torch  # noqa: PLC0415  # only nets need it

        from scanner.training.kept import open_generators  # noqa: PLC0415 - it brings torch

        torch.set_num_threads(1)
        generators = open_generators(args.zoo)
    corpus = read_corpus(args.corpus)
    spec = replace(GEOMETRY, size=args.size, box_scale=args.box_scale)
    if read_geometry(args.pack) not in (None, asdict(spec)):
        parser.error(f"{args.pack} was begun with {read_geometry(args.pack)}")
    (args.pack / GEOMETRY_FILE).write_text(json.dumps(asdict(spec)))
    packer = Packer(corpus, args.cache, spec, args.role, generators=generators, true_share=args.true_share)
    for number in range(args.shards):
        began = time.perf_counter()
        out = write_shard(packer, args.first + number * args.step, args.pack)
        print(f"{out.name} {time.perf_counter() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
