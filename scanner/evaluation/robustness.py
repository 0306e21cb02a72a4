"""How much a model keeps when its input suffers: the seven DeeperForensics perturbations and a live ladder.

Whole frames are changed before anything is cut (as EndlessSora/DeeperForensics-1.0 does), each change at five levels;
a ladder rung is one real H.264 encode at a bit rate and height that live platforms use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.evaluation.crops import Item, cut_files
from scanner.evaluation.evaluate import score_files
from scanner.evaluation.metrics import auc
from scanner.evaluation.video import encode, read_video
from scanner.inference.card import read_card

Picture: TypeAlias = NDArray[np.uint8]
Perturb: TypeAlias = Callable[[Picture, float, Generator], Picture]

# -----------------------------------------------------------------------------
# Perturbations of one frame, and their levels 1 to 5


def saturation(picture: Picture, share: float, _: Generator) -> Picture:
    """Chroma scaled in YCbCr."""
    planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    planes[..., 1:] = 128 + (planes[..., 1:] - 128) * share
    return np.asarray(cv2.cvtColor(planes.clip(0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB), np.uint8)


def contrast(picture: Picture, share: float, _: Generator) -> Picture:
    """Brightness scaled down."""
    return (picture * share).astype(np.uint8)


def blocks(picture: Picture, count: float, rng: Generator) -> Picture:
    """Grey 8 × 8 blocks, `count` for each 256 pixels of the shorter side."""
    out = picture.copy()
    height, width = picture.shape[:2]
    for _ in range(int(max(min(height, width) // 256, 1) * count)):
        y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
        out[y : y + 8, x : x + 8] = 128
    return out


def noise(picture: Picture, variance: float, rng: Generator) -> Picture:
    """Gaussian noise in YCbCr; variance for pixels in [0, 1]."""
    planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    planes += rng.standard_normal(planes.shape, np.float32) * np.float32(255 * variance**0.5)
    return np.asarray(cv2.cvtColor(planes.clip(0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB), np.uint8)


def blur(picture: Picture, kernel: float, _: Generator) -> Picture:
    """Gaussian blur with sigma kernel / 6."""
    return np.asarray(cv2.GaussianBlur(picture, (int(kernel), int(kernel)), kernel / 6), np.uint8)


def pixelation(picture: Picture, factor: float, _: Generator) -> Picture:
    """Down by `factor` and back."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


PERTURBATIONS: Final[dict[str, tuple[Perturb, tuple[float, ...]]]] = {
    "saturation": (saturation, (0.4, 0.3, 0.2, 0.1, 0.0)),
    "contrast": (contrast, (0.85, 0.725, 0.6, 0.475, 0.35)),
    "blocks": (blocks, (16, 32, 48, 64, 80)),
    "noise": (noise, (0.001, 0.002, 0.005, 0.01, 0.05)),
    "blur": (blur, (7, 9, 13, 17, 21)),
    "pixelation": (pixelation, (2, 3, 4, 5, 6)),
}
CRFS: Final = (30, 32, 35, 38, 40)
LADDER: Final = ((2500, 720), (1000, 480), (500, 360), (250, 240), (120, 144))
"""kb/s and height of a live ladder."""
CELLS: Final = 5 * (len(PERTURBATIONS) + 2)
"""Cells of the whole table."""
_KEPT: Final = {"crf": "12", "preset": "ultrafast", "g": "50"}
"""How a perturbed file is stored: close to lossless, so that only the perturbation counts."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One cell of the table."""

    name: str
    level: int
    make: Callable[[Picture, Fraction], bytes]
    "Frames (T, H, W, 3) and rate → a file."


def variants() -> Iterator[Variant]:
    """Every cell: perturbations, constant rate factors, and the rungs of the ladder."""
    for name, (perturb, levels) in PERTURBATIONS.items():
        for level, amount in enumerate(levels, start=1):
            yield Variant(name, level, _perturbed(perturb, amount))
    for level, crf in enumerate(CRFS, start=1):
        yield Variant("compression", level, _encoded({"crf": str(crf), "preset": "veryfast", "g": "50"}))
    for level, (kbps, height) in enumerate(LADDER, start=1):
        yield Variant("ladder", level, _rung(kbps, height))


def _perturbed(perturb: Perturb, amount: float) -> Callable[[Picture, Fraction], bytes]:
    def make(frames: Picture, rate: Fraction) -> bytes:
        rng = np.random.default_rng(0)
        changed = np.stack([perturb(picture, amount, rng) for picture in _even(frames)])
        return encode(changed, codec="libx264", options=_KEPT, rate=rate, kbps=None)

    return make


def _encoded(options: dict[str, str]) -> Callable[[Picture, Fraction], bytes]:
    return lambda frames, rate: encode(_even(frames), codec="libx264", options=options, rate=rate, kbps=None)


def _rung(kbps: int, height: int) -> Callable[[Picture, Fraction], bytes]:
    def make(frames: Picture, rate: Fraction) -> bytes:
        factor = min(1.0, height / min(frames.shape[1:3]))
        size = tuple(max(round(side * factor / 2) * 2, 32) for side in (frames.shape[2], frames.shape[1]))
        small = np.stack([cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in frames]).astype(np.uint8)
        options = {"preset": "veryfast", "g": "50", "tune": "zerolatency"}
        return encode(small, codec="libx264", options=options, rate=rate, kbps=kbps)

    return make


def _even(frames: Picture) -> Picture:
    height, width = (side - side % 2 for side in frames.shape[1:3])
    return frames[:, :height, :width]


# -----------------------------------------------------------------------------
# The table


def some_of(items: list[Item], count: int) -> list[Item]:
    """At most `count` files, half of them fake, spread over methods and sources by drawing once from a fixed seed."""
    rng = np.random.default_rng(0)
    halves = ([item for item in items if item.fake], [item for item in items if not item.fake])
    return [half[k] for half in halves for k in sorted(rng.permutation(len(half))[: count // 2].tolist())]


def cell(folder: Path, root: Path, items: list[Item], variant: Variant, work: Path) -> float:
    """AUC of a model on one variant of the files."""
    place = work / f"{variant.name}-{variant.level}"
    place.mkdir(parents=True, exist_ok=True)
    changed = []
    for item in items:
        name = f"{item.file}.mkv"
        made = place / name
        if not made.exists():
            frames, rate = read_video(root / item.file)
            made.parent.mkdir(parents=True, exist_ok=True)
            part = made.with_suffix(".part")
            part.write_bytes(variant.make(frames, Fraction(rate).limit_denominator(1001)))
            part.replace(made)
        changed.append(replace(item, file=name))
    spec = read_card(folder).spec
    scored = score_files(folder, cut_files(place, changed, place / "store", spec))
    return auc(scored.scores, scored.labels)


def table(
    folder: Path, root: Path, items: list[Item], work: Path, done: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Variant → AUC at its five levels, and the mean of each; `done` is told each cell's name."""
    spec = read_card(folder).spec
    clean = score_files(folder, cut_files(root, items, work / "clean", spec))
    base = auc(clean.scores, clean.labels)
    rows: dict[str, list[float]] = {}
    for variant in variants():
        rows.setdefault(variant.name, []).append(cell(folder, root, items, variant, work))
        done(f"{variant.name} {variant.level}")
    return {"files": len(items), "clean": base, "auc": rows, "mean": {k: float(np.mean(v)) for k, v in rows.items()}}
