"""Batches from packs. A batch depends on seed and step alone, so a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from scanner.training.bank import Bank
from scanner.training.losses import Truth
from scanner.vision import single_threaded


@dataclass(frozen=True, slots=True)
class Batch:
    """P pairs as 2P clips, the real ones first."""

    clips: Tensor
    "(2P, T, S, S, 3) uint8."
    truth: Truth
    families: tuple[str, ...]

    def to(self, device: torch.device) -> Batch:
        return Batch(self.clips.to(device, non_blocking=True), self.truth.to(device), self.families)


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard, its pixels mapped."""

    pixels: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    frames: NDArray[np.float32]
    family: NDArray[np.str_]
    masked: NDArray[np.bool_]


class Pack:
    """The shards of several folders, in the order of their names."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self._shards = {path: _open(path) for folder in folders for path in folder.glob("*.npz")}
        self._order = sorted(self._shards)

    def __len__(self) -> int:
        return sum(len(self._shards[path].family) for path in self._order)

    def rows(self, rng: Generator, pairs: int, length: int) -> list[Row]:
        """`pairs` pairs, each a window of `length` frames."""
        rows = []
        for place in rng.integers(0, len(self), pairs):
            path = self._order[int(place) % len(self._order)]
            shard = self._shards[path]
            rows.append(_draw(shard, int(rng.integers(len(shard.family))), length, rng))
        return rows


@dataclass(frozen=True, slots=True)
class Row:
    """One pair of a batch."""

    clips: NDArray[np.uint8]
    "(2, T, S, S, 3), real first."
    mask: NDArray[np.uint8]
    frames: NDArray[np.float32]
    masked: bool
    family: str


def _open(path: Path) -> Shard:
    table = np.load(path)
    pixels = np.load(path.with_suffix(".npy"), mmap_mode="r")
    return Shard(pixels, table["masks"], table["frames"], table["family"], table["masked"])


def _draw(shard: Shard, place: int, length: int, rng: Generator) -> Row:
    """One pair of a shard, changed."""
    total = shard.pixels.shape[2]
    step = 2 if length > 1 and length * 2 <= total and rng.random() < 0.2 else 1
    start = int(rng.integers(0, total - (length - 1) * step))
    window = slice(start, start + (length - 1) * step + 1, step)
    clips, mask = _changed(np.array(shard.pixels[place, :, window]), shard.masks[place, window], rng)
    return Row(clips, mask, shard.frames[place, window], bool(shard.masked[place]), str(shard.family[place]))


def fresh(bank: Bank, rng: Generator) -> Row:
    """One pair forged now, changed."""
    pair = bank.pair(rng)
    clips, mask = _changed(pair.pixels, pair.mask, rng)
    return Row(clips, mask, pair.frames, pair.masked, pair.family)


def _changed(
    clips: NDArray[np.uint8], mask: NDArray[np.uint8], rng: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Both members of a pair changed alike: mirror, light, a patch cut out."""
    if rng.random() < 0.5:
        clips, mask = clips[:, :, :, ::-1], mask[:, :, ::-1]
    if rng.random() < 0.5:
        clips = _relit(clips, rng)
    if rng.random() < 0.15:
        clips, mask = _occluded(clips, mask, rng)
    return clips, mask


def _relit(clips: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    contrast, shift = rng.uniform(0.8, 1.2), rng.uniform(-20, 20, 3)
    ramp = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip((ramp - 128) * contrast + 128 + shift, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(clips.reshape(-1, clips.shape[-2], 3), table[None]), np.uint8).reshape(clips.shape)


def _occluded(
    clips: NDArray[np.uint8], mask: NDArray[np.uint8], rng: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A patch of one colour over both clips; cells of the mask that lie under it whole are forged no more."""
    side, cell = clips.shape[2], clips.shape[2] // mask.shape[-1]
    height, width = rng.integers(side // 8, side // 3, 2)
    y, x = rng.integers(0, side - height), rng.integers(0, side - width)
    out = clips.copy()
    out[:, :, y : y + height, x : x + width] = rng.integers(0, 256, 3)
    seen = mask.copy()
    seen[:, -(-y // cell) : (y + height) // cell, -(-x // cell) : (x + width) // cell] = 0
    return out, seen


def _joined(rows: list[Row]) -> Batch:
    pixels = np.concatenate([np.stack([row.clips[side] for row in rows]) for side in (0, 1)])
    fake_masks = np.stack([row.mask for row in rows]).astype(np.float32) / 255.0
    fake_frames = np.stack([row.frames for row in rows])
    count = len(rows)
    known = np.array([row.masked for row in rows], np.float32)
    truth = Truth(
        clip=torch.from_numpy(np.repeat([0.0, 1.0], count).astype(np.float32)),
        frames=torch.from_numpy(np.concatenate([np.zeros_like(fake_frames), fake_frames])),
        mask=torch.from_numpy(np.concatenate([np.zeros_like(fake_masks), fake_masks])),
        masked=torch.from_numpy(np.concatenate([np.ones(count, np.float32), known])),
        own=torch.from_numpy(known),
    )
    return Batch(torch.from_numpy(np.ascontiguousarray(pixels)), truth, tuple(row.family for row in rows))


class Steps(Dataset[Batch]):
    """The batch of every step, for torch's DataLoader; each worker process opens what it forges from for itself."""

    def __init__(
        self, pack: Pack, bank: Callable[[], Bank | None], seed: int, pairs: int, length: int, *, fresh_pairs: int
    ) -> None:
        self._pack, self._open = pack, bank
        self._bank: Bank | None = None
        self._seed, self._pairs, self._length, self._fresh = seed, pairs, length, fresh_pairs

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self._seed, step])
        self._bank = self._bank or self._open()
        made: list[Row] = [fresh(self._bank, rng) for _ in range(self._fresh)] if self._bank else []
        return _joined([*made, *self._pack.rows(rng, self._pairs - len(made), self._length)])


def batches(steps: Steps, first: int, stop: int, workers: int) -> Iterator[Batch]:
    """The batches of steps `first` to `stop`, in order, made ahead by `workers` processes (0: in this one)."""
    single_threaded()  # before they are forked: they could not end OpenCV's threads, and would wait for them
    return iter(
        DataLoader(
            steps,
            batch_size=None,
            sampler=range(first, stop),
            num_workers=workers,
            prefetch_factor=3 if workers else None,
            generator=torch.Generator(),  # the global one belongs to the network's dropout, which a resumed run repeats
        )
    )
