"""A run on one GPU, read top to bottom: config, pairs, batches, loop. Its length is set in seconds.

    python -m scanner.training.gpu.run CORPUS TABLE RUN --seconds 420
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scanner.evaluation.metrics import auc
from scanner.training.data import Kind, Role
from scanner.training.gpu.config import GpuConfig
from scanner.training.gpu.forgeries import LETTERS
from scanner.training.gpu.gallery import CANVAS, FACE_PX, LENGTH, Gallery, Place, open_gallery, read_entries, read_table
from scanner.training.gpu.wear import CROP_SCALE, cut
from scanner.training.gpu.workshop import Group, Workshop
from scanner.training.losses import Truth, total
from scanner.training.model import TempoNet, load_matching, parameters
from scanner.training.weights import average

# -----------------------------------------------------------------------------
# Batches


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
        except BaseException as wrong:
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

    def _group(self) -> Group | None:
        while not self.halt:
            try:
                group = self._shop.ready.get(timeout=0.5)
            except queue.Empty:
                continue
            if isinstance(group, str):
                raise RuntimeError(group)
            if group.single == self._config.single:
                return group
            self._shop.give_back(group)
        return None

    def _put(self, batch: Batch) -> None:
        while not self.halt:
            try:
                return self.ready.put(batch, timeout=0.5)
            except queue.Full:
                continue

    def _batch(self) -> tuple[Tensor, Truth, list[str]] | None:
        config, device, rng = self._config, self._device, self._rng
        real, fake, masks, frames, families = [], [], [], [], []
        for _ in range(config.groups):
            group = self._group()
            if group is None:
                return None
            shown = torch.from_numpy(self._shop.slots.view(group.slot, group.shape)).to(device)
            clips = cut(shown, group.way)
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


# -----------------------------------------------------------------------------
# Looking


@torch.no_grad()
def look(net: TempoNet, dev: Gallery, single: bool) -> dict[str, float]:
    """AUC of each held-out generator against held-out people, clean pictures; for reporting only."""
    rng = np.random.default_rng(5)
    crop = round(CROP_SCALE * FACE_PX / 2) * 2
    low = (CANVAS - crop) // 2

    def scores(places: list[Place]) -> list[float]:
        out: list[float] = []
        for k in range(0, len(places), 16):
            clips = dev.look(places[k : k + 16], rng).clips[..., low : low + crop, low : low + crop]
            small = nn.functional.interpolate(clips.flatten(0, 1), size=(160, 160), mode="bilinear", antialias=True)
            pixels = (small.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).unflatten(0, (-1, LENGTH))
            with torch.autocast(dev.device.type, torch.bfloat16):
                out += net(pixels[:, 3:4] if single else pixels).clip.float().tolist()
        return out

    net.eval()
    real = scores([Place(entry, len(entry.frames) // 3) for own in dev.people.values() for entry in own])
    told = {}
    for method, own in dev.methods.items():
        fake = scores([Place(entry, len(entry.frames) // 3) for entry in own])
        told[f"auc_{method}"] = auc(np.array(fake + real), np.array([1] * len(fake) + [0] * len(real)))
    return {**told, "auc_dev": float(np.mean(list(told.values()))), "dev_real_95": float(np.quantile(real, 0.95))}


# -----------------------------------------------------------------------------
# Loop


def optimiser_for(net: TempoNet, config: GpuConfig) -> torch.optim.AdamW:
    """AdamW; norms and biases are not decayed; fresh heads learn twice as fast as the backbone."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, weight in net.named_parameters():
        groups.setdefault((weight.ndim > 1, name.startswith("backbone")), []).append(weight)
    told = [
        {"params": weights, "weight_decay": config.weight_decay * decayed, "scale": 1.0 if old else 2.0}
        for (decayed, old), weights in groups.items()
    ]
    return torch.optim.AdamW(told, lr=config.lr, fused=config.device.startswith("cuda"))


def train(corpus: Path, table: Path, run: Path, config: GpuConfig) -> TempoNet:
    """The generators, then the detector; `run` gets metrics.jsonl and last.pt (the average, in half precision)."""
    run.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()

    def note(**told: Any) -> None:
        line = json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in told.items()})
        with (run / "metrics.jsonl").open("a") as sink:
            sink.write(line + "\n")
        print(f"{time.perf_counter() - began:6.1f} {line}", flush=True)

    rows = read_table(table)
    torch.set_num_threads(2)
    if config.limit:
        kinds = [[row for row in rows if row.kind == kind] for kind in Kind]
        rows = [row for kind in kinds for row in kind[:: max(len(kind) // config.limit, 1)]]
    read = read_entries(corpus, rows)
    note(stage="read", sources=len(read))

    def learnt(role: str) -> bool:
        return role == Role.TRAIN or (config.every_generator and role == Role.DEV)

    shop = Workshop(config, run, [one for one in read if learnt(one[1].role)], note)
    dev = open_gallery([one for one in read if one[1].role != Role.TRAIN], torch.device(config.device))
    del read
    net = learn(shop, dev, config, run, note)
    if config.baseline:
        shop.only_single()
        (run / "baseline").mkdir(exist_ok=True)
        learn(shop, dev, config.alone(), run / "baseline", note)
    shop.close()
    return net


def learn(shop: Workshop, dev: Gallery, config: GpuConfig, run: Path, note: Callable[..., None]) -> TempoNet:
    """The detector's own loop."""
    device = dev.device
    torch.manual_seed(config.seed)
    net = TempoNet(temporal=not config.single)
    if config.start:
        fresh = load_matching(net, torch.load(config.start, weights_only=True, map_location="cpu")["ema"])
        note(stage="start", fresh=len(fresh))
    net.to(device).backbone.to(memory_format=torch.channels_last)
    opt = optimiser_for(net, config)
    ema = {key: value.clone() for key, value in net.state_dict().items()}
    loader = Loader(shop, config, device)
    loader.start()
    note(stage="detector", weights=parameters(net), config=asdict(config))
    began, step, seen, waited, looked = time.perf_counter(), 0, 0, 0.0, 0.0
    sums: dict[str, list[float]] = {}
    kept: list[tuple[Tensor, list[str], dict[str, Tensor]]] = []
    while (done := (time.perf_counter() - began) / config.seconds) < 1:
        asked = time.perf_counter()
        batch = loader.ready.get()
        if isinstance(batch, BaseException):
            raise batch
        waited += time.perf_counter() - asked
        batch.arrive()
        net.train()
        rate = min((step + 1) / config.warmup, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in opt.param_groups:
            group["lr"] = config.lr * rate * group["scale"]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            out = net(batch.clips)
        loss, parts = total(out, batch.truth)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        opt.step()
        average(ema, net, step, config.ema)
        step, seen = step + 1, seen + batch.clips.shape[0] * batch.clips.shape[1]
        kept.append((out.clip.detach(), batch.families, parts))
        if step % config.note_every == 0:
            _count(kept, sums)
            kept.clear()
            spent = time.perf_counter() - began
            note(step=step, frames=seen, s=spent / step, waited=waited / spent, **{k: float(np.mean(v)) for k, v in sums.items()})
            sums.clear()
        if time.perf_counter() - began - looked > config.look_every:
            looked = time.perf_counter() - began
            _save(run, step, ema, config)
            judge = TempoNet(temporal=not config.single).to(device)
            judge.load_state_dict(ema)
            note(step=step, **look(judge, dev, config.single))
    loader.halt = True
    loader.join()
    _save(run, step, ema, config)
    net.load_state_dict(ema)
    note(step=step, frames=seen, **look(net, dev, config.single))
    return net


def _count(kept: list[tuple[Tensor, list[str], dict[str, Tensor]]], sums: dict[str, list[float]]) -> None:
    """Shares of pairs told right, by family: the fake above its real one (p), and both on their side of nought (r)."""
    for logits, families, parts in kept:
        real, fake = logits.float().cpu().chunk(2)
        for family in set(families):
            own = torch.tensor([name == family for name in families])
            letter = LETTERS[family]
            sums.setdefault(f"{letter}p", []).append(float((fake[own] > real[own]).float().mean()))
            sums.setdefault(f"{letter}r", []).append(float(((fake[own] > 0).float().mean() + (real[own] < 0).float().mean()) / 2))
        for name, value in parts.items():
            sums.setdefault(name, []).append(float(value))


def _save(run: Path, step: int, ema: dict[str, Tensor], config: GpuConfig) -> None:
    """The averaged weights as TempoNet's other checkpoints hold them, in half precision."""
    state = {k: v.half().cpu() if v.is_floating_point() else v.cpu() for k, v in ema.items()}
    stage = "frame" if config.single else "clip"
    part = run / "last.part"
    torch.save({"step": step, "ema": state, "config": {**asdict(config), "stage": stage, "shift": False}}, part)
    part.replace(run / "last.pt")
    if not (run / f"at{step}.pt").exists():
        os.link(run / "last.pt", run / f"at{step}.pt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("corpus", "table", "run"):
        parser.add_argument(name, type=Path)
    for field in fields(GpuConfig):
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default)
    values = vars(parser.parse_args())
    corpus, table, run = (values.pop(name) for name in ("corpus", "table", "run"))
    train(corpus, table, run, GpuConfig(**values))


if __name__ == "__main__":
    main()
