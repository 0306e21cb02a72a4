"""Batches on the card, a step ahead of the one that learns from them."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from scanner.training.gpu.config import GpuConfig
from scanner.training.gpu.table import LENGTH
from scanner.training.gpu.wear import cut
from scanner.training.gpu.workshop import Group, Workshop
from scanner.training.losses import Truth


@dataclass(frozen=True, slots=True)
class Batch:
    """2P clips on the card, the real ones first."""

    clips: Tensor
    "(2P, T, S, S, 3) uint8."
    truth: Truth
    families: list[str]
    "of the pairs"
    made: torch.cuda.Event | None

    def arrive(self) -> None:
        """Makes the current stream wait for the batch, and keeps its memory for it."""
        if self.made is None:
            return
        here = torch.cuda.current_stream()
        here.wait_event(self.made)
        for tensor in (self.clips, *(getattr(self.truth, field.name) for field in fields(self.truth))):
            tensor.record_stream(here)


class Loader(threading.Thread):
    """Brings what the encoders have finished back to the card and cuts it, a batch or two ahead."""

    def __init__(self, shop: Workshop, config: GpuConfig, device: torch.device) -> None:
        super().__init__(daemon=True)
        self.ready: queue.Queue[Batch | BaseException] = queue.Queue(2)
        self._shop, self._config, self._device = shop, config, device
        self._rng = np.random.default_rng(config.seed + 3)
        self.halt = False

    def run(self) -> None:
        try:
            if self._device.type == "cuda":
                with torch.cuda.stream(torch.cuda.Stream(self._device)):
                    self._load()
            else:
                self._load()
        except BaseException as wrong:  # noqa: BLE001  # raised again where batches are asked for
            self.ready.put(wrong)

    @torch.no_grad()
    def _load(self) -> None:
        while not self.halt:
            made = None
            got = self._batch()
            if got is None:
                return
            clips, truth, families = got
            if self._device.type == "cuda":
                made = torch.cuda.Event()
                made.record()
            self._put(Batch(clips, truth, families, made))

    def next(self) -> Batch:
        """The next batch; an error of any process is raised here."""
        batch = self.ready.get()
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def _group(self) -> Group | None:
        while not self.halt:
            try:
                group = self._shop.ready.get(timeout=0.5)
            except queue.Empty:
                continue
            if isinstance(group, str):
                raise RuntimeError(group)  # noqa: TRY004  # what is wrong is in the process that sent it
            if group.single == self._config.single:
                return group
            self._shop.give_back(group)
        return None

    def _put(self, batch: Batch) -> None:
        while not self.halt:
            try:
                self.ready.put(batch, timeout=0.5)
            except queue.Full:
                continue
            return

    def _batch(self) -> tuple[Tensor, Truth, list[str]] | None:
        config, device, rng = self._config, self._device, self._rng
        real, fake, masks, frames, families = [], [], [], [], []
        for _ in range(config.groups):
            group = self._group()
            if group is None:
                return None
            shown = torch.from_numpy(self._shop.slots.view(group.slot, group.shape)).to(device)
            clips = cut(shown, group.way, config.size)
            self._shop.give_back(group)
            mask = torch.from_numpy(group.mask).to(device).float() / 255
            if rng.random() < 0.5:
                clips, mask = clips.flip(3), mask.flip(3)
            one, other = clips.chunk(2)
            real.append(one)
            fake.append(other)
            masks.append(mask)
            frames.append(torch.from_numpy(group.frames).to(device))
            families += [group.family] * len(one)
        clips, mask, told = torch.cat(real + fake), torch.cat(masks), torch.cat(frames)
        own = torch.tensor([float(family != "true") for family in families]).to(device)
        if config.single:  # every frame is a clip
            clips, mask, told = clips.flatten(0, 1)[:, None], mask.flatten(0, 1)[:, None], told.flatten(0, 1)[:, None]
            own, families = own.repeat_interleave(LENGTH), [name for name in families for _ in range(LENGTH)]
        truth = Truth(
            clip=torch.cat([torch.zeros_like(own), torch.ones_like(own)]),
            frames=torch.cat([torch.zeros_like(told), told]),
            mask=torch.cat([torch.zeros_like(mask), mask]),
            masked=torch.cat([torch.ones_like(own), own]),
            own=own,
        )
        return clips, truth, families
