"""The processes that make what a run learns from. Python launches kernels on one core: one process could not keep up.

    keepers ─▶ generators ─▶ makers: forge and age on the card ─▶ shared memory ─▶ coders: real encoders ─▶ the run

All are forked before any of them touches the card; each has its own copy of the gallery there.
"""

from __future__ import annotations

import ctypes
import multiprocessing as mp
import queue
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor

from scanner.training.gpu.config import GpuConfig
from scanner.training.gpu.faults import faulty, partial
from scanner.training.gpu.forgeries import FAMILIES, MOVING, SHARES
from scanner.training.gpu.gallery import Gallery, Place, open_gallery
from scanner.training.gpu.generators import Keeper, plan
from scanner.training.gpu.nets import Zoo, open_zoo
from scanner.training.gpu.steps import Bench, Draw, Forged
from scanner.training.gpu.table import CANVAS, FACE_PX, LENGTH, Read
from scanner.training.gpu.wear import Encoder, Slots, Way, aged, coded_pairs, cut_mask
from scanner.training.spectra import EVEN_SHARE, evened
from scanner.vision import single_threaded

MAP_STRIDE: Final = 8
_CONTEXT: Final = mp.get_context("fork")


@dataclass(frozen=True, slots=True)
class Group:
    """P pairs of one family on their way; the pixels lie in a slot."""

    family: str
    single: bool
    way: Way
    mask: NDArray[np.uint8]
    "(P, T, size / MAP_STRIDE, size / MAP_STRIDE) of the squares that are cut."
    frames: NDArray[np.float32]
    "(P, T), 1 where forged."
    slot: int
    shape: tuple[int, ...]


@torch.no_grad()
def forge(gallery: Gallery, zoo: Zoo, config: GpuConfig, rng: Rng) -> tuple[str, Tensor, Forged, Tensor]:
    """The family, real clips (P, T, 3, S, S), their forgeries, and which frames are forged."""
    draw = Draw(rng, gallery.device)
    if not config.only and gallery.methods and rng.random() < config.true_share:
        return _true(gallery, config, draw)
    names = [config.only] if config.only else list(SHARES)
    shares = np.array([SHARES[name] for name in names])
    family = str(rng.choice(names, p=shares / shares.sum()))
    stills = 0.0 if family in MOVING else config.still_share
    places = [gallery.real(rng, stills) for _ in range(config.pairs)]
    window = gallery.look(places, rng)
    made = FAMILIES[family](Bench(gallery, zoo, draw, places, window))
    made = faulty(made, window.clips, draw)
    real = window.clips
    if draw.chance(EVEN_SHARE):
        real, made = _evened(real, made, draw)
    made, frames = partial(made, real, draw)
    return family, real, made, frames


def _true(gallery: Gallery, config: GpuConfig, draw: Draw) -> tuple[str, Tensor, Forged, Tensor]:
    rng = draw.rng

    def host() -> Place:
        return gallery.real(rng, 0.2, crowded=0.25)

    real = gallery.look([host() for _ in range(config.pairs)], rng).clips
    fake = gallery.look([gallery.generated(rng) for _ in range(config.pairs)], rng).clips
    made = Forged(fake, torch.zeros(config.pairs, LENGTH, 1, CANVAS, CANVAS, device=real.device))
    if draw.chance(EVEN_SHARE):
        real, made = _evened(real, made, draw)
    return "true", real, made, torch.ones(config.pairs, LENGTH, device=real.device)


def _evened(real: Tensor, made: Forged, draw: Draw) -> tuple[Tensor, Forged]:
    middle = CANVAS // 4, CANVAS // 4, CANVAS - 2 * (CANVAS // 4)
    real, clips = evened(real, made.clips, made.mask, middle, sharpen=not draw.chance(0.5))
    return real, Forged(clips, made.mask)


class Workshop:
    """Starts the processes; gives finished groups and takes their slots back."""

    def __init__(self, config: GpuConfig, run: Path, read: list[Read], note: Callable[..., None]) -> None:
        single_threaded()  # before processes are forked: they could not end OpenCV's threads, and would wait for them
        self.config, self.zoo_folder = config, run / "zoo"
        self.zoo_folder.mkdir(parents=True, exist_ok=True)
        self.slots = Slots(config.ahead, config.pairs)
        self.ready: mp.Queue[Group | str] = _CONTEXT.Queue()
        self._free: mp.Queue[int] = _CONTEXT.Queue()
        self._tasks: mp.Queue[tuple[Group, list[int], list[Encoder]]] = _CONTEXT.Queue()
        self._left = _CONTEXT.Array(ctypes.c_int, config.ahead)
        self._halt = _CONTEXT.Value(ctypes.c_bool, False)
        self._single = _CONTEXT.Value(ctypes.c_bool, config.single)
        for slot in range(config.ahead):
            self._free.put(slot)
        keepers = [(self._keep, (read, note, number)) for number in range(config.keepers * bool(config.zoo_steps))]
        for process in self._started(keepers):
            process.join()
        coders = [(self._code, ())] * config.coders
        self._all = self._started([*coders, *((self._make, (read, number)) for number in range(config.makers))])

    def _started(self, jobs: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> list[Any]:
        all_ = [_CONTEXT.Process(target=self._guarded, args=job, daemon=True) for job in jobs]
        for process in all_:
            process.start()
        return all_

    def give_back(self, group: Group) -> None:
        """The group's slot may be used again."""
        self._free.put(group.slot)

    def only_single(self) -> None:
        """From now on only self-blended single frames, for the model to compare with."""
        self._single.value = True

    def close(self) -> None:
        """Ends every process."""
        self._halt.value = True
        time.sleep(1.0)
        for process in self._all:
            process.terminate()

    def _guarded(self, work: Callable[..., None], args: tuple[Any, ...]) -> None:
        torch.set_num_threads(1)
        try:
            work(*args)
        except BaseException:  # noqa: BLE001  # the run is told and ends with it
            self.ready.put(traceback.format_exc())

    def _make(self, read: list[Read], number: int) -> None:
        config = self.config
        gallery = open_gallery(read, torch.device(config.device))
        rng = np.random.default_rng((config.seed, 7, number))
        torch.manual_seed(1000 * config.seed + number)
        zoo = open_zoo(self.zoo_folder, sorted(gallery.people), gallery.device)
        while not self._halt.value:
            now = config.alone() if self._single.value else config
            try:
                slot = self._free.get(timeout=0.5)
            except queue.Empty:
                continue
            self._forged(gallery, zoo, now, rng, slot)

    def _forged(self, gallery: Gallery, zoo: Zoo, config: GpuConfig, rng: Rng, slot: int) -> None:
        family, real, made, frames = forge(gallery, zoo, config, rng)
        way = Way.drawn(rng, config.pairs, config.box_scale)
        streamed = rng.random() < config.coded_share
        shown = aged(torch.stack([real, made.clips]), way, Draw(rng, gallery.device), last=not streamed)
        shape = tuple(shown.shape)
        self.slots.view(slot, shape)[:] = shown.cpu().numpy()
        mask = (cut_mask(made.mask, way, config.size // MAP_STRIDE).clamp(0, 1) * 255).byte().cpu().numpy()
        group = Group(family, config.single, way, mask, frames.cpu().numpy(), slot, shape)
        if not streamed:
            self.ready.put(group)
            return
        hows = [Encoder.drawn(rng, way.shown * FACE_PX / CANVAS) for _ in range(config.pairs)]
        parts = np.array_split(np.arange(config.pairs), min(4, config.pairs))
        self._left[slot] = len(parts)
        for part in parts:
            self._tasks.put((group, part.tolist(), hows))

    def _code(self) -> None:
        while not self._halt.value:
            try:
                group, pairs, hows = self._tasks.get(timeout=0.5)
            except queue.Empty:
                continue
            coded_pairs(self.slots.view(group.slot, group.shape), pairs, hows)
            with self._left.get_lock():
                self._left[group.slot] -= 1
                last = self._left[group.slot] == 0
            if last:
                self.ready.put(group)

    def _keep(self, read: list[Read], note: Callable[..., None], number: int) -> None:
        config = self.config
        gallery = open_gallery(read, torch.device(config.device))
        keeper = Keeper(gallery, self.zoo_folder, config.zoo_steps, config.seed, lambda text: note(zoo=text))
        keeper.work(plan()[number :: config.keepers])
