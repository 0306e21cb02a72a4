"""Contact sheets: each family beside its source, so that people can look at what the model learns from.

python -m scanner.training.sheet families CORPUS CACHE OUT.png --seed 3 [--zoo ZOO]
python -m scanner.training.sheet pack PACK OUT.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scanner.training.data import Kind, Source, read_corpus
from scanner.training.forge import FAMILIES, Scene, forge
from scanner.training.forge.layers import Generators
from scanner.training.sources import Footage, load

TILE_PX = 224
LENGTH = 16


def families_sheet(
    sources: list[Source], cache: Path, seed: int, rows: int, generators: Generators
) -> NDArray[np.uint8]:
    """A row a source: the real frame, then the same frame forged by each family."""
    rng = np.random.default_rng(seed)
    real = [source for source in sources if source.kind is Kind.CLIP and not source.fake]
    lines: list[NDArray[np.uint8]] = []
    while len(lines) < rows:
        footage, donor = (_pick(real, cache, rng) for _ in range(2))
        start = int(rng.integers(0, len(footage.frames) - LENGTH + 1))
        scene = Scene(footage.frames, footage.points, start, LENGTH, donor.frames, donor.points, generators)
        middle = LENGTH // 2
        forged = [forge(name, scene, int(rng.integers(2**31))).clip[middle] for name in FAMILIES]
        lines.append(np.concatenate([_tile(picture) for picture in (scene.clip[middle], *forged)], axis=1))
    return np.concatenate([_titles(("source", *FAMILIES)), *lines])


def _pick(real: list[Source], cache: Path, rng: np.random.Generator) -> Footage:
    while True:
        footage = load(real[rng.integers(len(real))], cache)
        if footage is not None and len(footage.frames) >= LENGTH:
            return footage


def pack_sheet(folder: Path, rows: int) -> NDArray[np.uint8]:
    """Pairs of a pack: real, forged, mask, and the forged clip's first frame."""
    table_path = min(folder.glob("*.npz"))
    table, pixels = np.load(table_path), np.load(table_path.with_suffix(".npy"), mmap_mode="r")
    lines = []
    for k in range(min(rows, len(pixels))):
        mask = cv2.applyColorMap(table["masks"][k, 8], cv2.COLORMAP_VIRIDIS)[..., ::-1]
        tiles = [pixels[k, 0, 8], pixels[k, 1, 8], np.ascontiguousarray(mask), pixels[k, 1, 0]]
        line = np.concatenate([_tile(np.asarray(tile)) for tile in tiles], axis=1)
        name = f"{table['family'][k]} {table['method'][k]}"
        cv2.putText(line, name, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 0), 1, cv2.LINE_AA)
        lines.append(line)
    return np.concatenate(lines)


def _tile(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _titles(names: tuple[str, ...]) -> NDArray[np.uint8]:
    bar = np.full((24, TILE_PX * len(names), 3), 255, np.uint8)
    for place, name in enumerate(names):
        at = (place * TILE_PX + 8, 17)
        cv2.putText(bar, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return bar


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    families = verbs.add_parser("families")
    families.add_argument("corpus", type=Path)
    families.add_argument("cache", type=Path)
    families.add_argument("out", type=Path)
    families.add_argument("--seed", type=int, default=0)
    families.add_argument("--rows", type=int, default=5)
    families.add_argument("--zoo", type=Path)
    pack = verbs.add_parser("pack")
    pack.add_argument("pack", type=Path)
    pack.add_argument("out", type=Path)
    pack.add_argument("--rows", type=int, default=12)
    args = parser.parse_args()
    if args.verb == "pack":
        sheet = pack_sheet(args.pack, args.rows)
    else:
        from scanner.training.kept import open_generators  # noqa: PLC0415  # torch is slow to import

        generators = open_generators(args.zoo) if args.zoo else Generators()
        sheet = families_sheet(read_corpus(args.corpus), args.cache, args.seed, args.rows, generators)
    cv2.imwrite(str(args.out), np.ascontiguousarray(sheet[..., ::-1]))


if __name__ == "__main__":
    main()
