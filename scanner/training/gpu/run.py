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
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.random import Generator as Rng
from torch import Tensor, nn

from scanner.evaluation.metrics import auc
from scanner.training.data import Kind, Role
from scanner.training.gpu.faults import evened, faulty, partial
from scanner.training.gpu.forgeries import FAMILIES, LETTERS, MOVING, SHARES, Bench, Draw, Forged
from scanner.training.gpu.gallery import CANVAS, FACE_PX, LENGTH, Gallery, Place, open_gallery, read_entries, read_table
from scanner.training.gpu.geometry import pixel_grid
from scanner.training.gpu.generators import Keeper, Swapper, Zoo
from scanner.training.gpu.wear import CROP_SCALE, Codecs, Encoder, Way, aged, cut, cut_mask
from scanner.training.losses import Truth, total
from scanner.training.model import TempoNet, load_matching, parameters
from scanner.training.weights import average

CELLS = 20
EVEN_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class GpuConfig:
    """Everything that decides what a run computes."""

    seconds: float = 420.0
    "of training, generators not counted"
    zoo_steps: int = 1000
    groups: int = 4
    "groups of pairs a batch; each has one family and one way"
    pairs: int = 16
    "pairs a group"
    lr: float = 8e-4
    weight_decay: float = 0.03
    warmup: int = 150
    ema: float = 0.998
    true_share: float = 0.10
    "of the groups: true generator outputs against other people"
    still_share: float = 0.35
    only: str = ""
    "one family instead of all"
    single: bool = False
    "a model of single frames, which is shown one frame a clip"
    every_generator: bool = False
    "train on the generators that choose between designs, too"
    start: str = ""
    seed: int = 0
    device: str = "cuda:0"
    workers: int = 0
    "encoding processes; 0: one a core but two"
    ahead: int = 14
    "groups on their way at a time"
    look_every: float = 60.0
    note_every: int = 50
    baseline: float = 0.0
    "seconds of training for a model of single frames and self-blending alone, to compare with"
    limit: int = 0
    "sources of each kind at most, for a trial; 0: all"


# -----------------------------------------------------------------------------
# Pairs


@dataclass(frozen=True, slots=True)
class Group:
    """P pairs of one family on their way."""

    family: str
    way: Way
    mask: Tensor
    "(P, T, 1, CANVAS, CANVAS)."
    frames: Tensor
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
    made, frames = partial(made, window.clips, draw)
    real = evened(window.clips, made.clips) if draw.chance(EVEN_SHARE) else window.clips
    return family, real, made, frames


def _true(gallery: Gallery, config: GpuConfig, draw: Draw) -> tuple[str, Tensor, Forged, Tensor]:
    rng = draw.rng

    def host() -> Place:
        return gallery.still(rng) if rng.random() < 0.2 else gallery.clip(rng, 0.25)

    real = gallery.look([host() for _ in range(config.pairs)], rng).clips
    fake = gallery.look([gallery.generated(rng) for _ in range(config.pairs)], rng).clips
    real = evened(real, fake) if draw.chance(EVEN_SHARE) else real
    mask = torch.zeros(config.pairs, LENGTH, 1, CANVAS, CANVAS, device=real.device)
    return "true", real, Forged(fake, mask), torch.ones(config.pairs, LENGTH, device=real.device)


class Maker(threading.Thread):
    """Forges group after group and sends them through the encoders; `ready` gives what has come back."""

    def __init__(self, gallery: Gallery, zoo: Zoo, config: GpuConfig, codecs: Codecs, seed: int) -> None:
        super().__init__(daemon=True)
        self.ready: queue.Queue[Group | BaseException] = queue.Queue()
        self.free: queue.Queue[int] = queue.Queue()
        for slot in range(config.ahead):
            self.free.put(slot)
        self._parts = (gallery, zoo, config, codecs)
        self._rng = np.random.default_rng(seed)
        self.halt = False

    def run(self) -> None:
        try:
            gallery = self._parts[0]
            if gallery.device.type == "cuda":
                with torch.cuda.stream(torch.cuda.Stream(gallery.device)):
                    self._make()
            else:
                self._make()
        except BaseException as wrong:
            self.ready.put(wrong)

    @torch.no_grad()
    def _make(self) -> None:
        gallery, zoo, config, codecs = self._parts
        while not self.halt:
            try:
                slot = self.free.get(timeout=0.5)
            except queue.Empty:
                continue
            family, real, made, frames = forge(gallery, zoo, config, self._rng)
            way = Way.drawn(self._rng)
            shown = aged(torch.stack([real, made.clips]), way, Draw(self._rng, gallery.device))
            shape = tuple(shown.shape)
            codecs.view(slot, shape)[:] = shown.cpu().numpy()
            group = Group(family, way, made.mask, frames, slot, shape)
            hows = [Encoder.drawn(self._rng, way.shown * FACE_PX / CANVAS) for _ in range(config.pairs)]
            codecs.send(slot, shape, hows, lambda group=group: self.ready.put(group), self.ready.put)


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

    def __init__(self, maker: Maker, codecs: Codecs, config: GpuConfig, device: torch.device) -> None:
        super().__init__(daemon=True)
        self.ready: queue.Queue[Batch | BaseException] = queue.Queue(2)
        self._maker, self._codecs, self._config, self._device = maker, codecs, config, device
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
                group = self._maker.ready.get(timeout=0.5)
            except queue.Empty:
                continue
            if isinstance(group, BaseException):
                raise group
            return group
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
            shown = torch.from_numpy(self._codecs.view(group.slot, group.shape)).to(device)
            self._maker.free.put(group.slot)
            clips, corners = cut(shown, group.way, Draw(rng, device))
            mask = cut_mask(group.mask, group.way, corners, CELLS)
            if rng.random() < 0.5:
                clips, mask = clips.flip(3), mask.flip(3)
            if device.type == "cuda":
                for tensor in (group.mask, group.frames):
                    tensor.record_stream(torch.cuda.current_stream(device))
            one, other = clips.chunk(2)
            real.append(one)
            fake.append(other)
            masks.append(mask)
            frames.append(group.frames)
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


@torch.no_grad()
def sheet(gallery: Gallery, zoo: Zoo, config: GpuConfig, path: Path, rows: int = 3) -> None:
    """A picture of every family: real, forged at three times, mask."""
    rng, lines = np.random.default_rng(11), []
    for family in SHARES:
        one = replace(config, only=family, pairs=rows)
        _, real, made, _ = forge(gallery, zoo, one, rng)
        shown = [real[:, 0], made.clips[:, 0], made.clips[:, 3], made.clips[:, 7], made.mask[:, 3].expand(-1, 3, -1, -1)]
        line = torch.stack(shown, dim=1).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
        picture = np.ascontiguousarray((line.clamp(0, 1) * 255).byte().cpu().numpy()[..., ::-1])
        cv2.putText(picture, family, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 255, 255), 2)
        lines.append(picture)
    cv2.imwrite(str(path), np.concatenate(lines))


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

    codecs = Codecs(config.workers or max((os.cpu_count() or 3) - 2, 1), config.ahead)
    device = torch.device(config.device)
    rows = read_table(table)
    torch.set_num_threads(2)
    if config.limit:
        kinds = [[row for row in rows if row.kind == kind] for kind in Kind]
        rows = [row for kind in kinds for row in kind[:: max(len(kind) // config.limit, 1)]]
    read = read_entries(corpus, rows)
    note(stage="read", sources=len(read))

    def learnt(role: str) -> bool:
        return role == Role.TRAIN or (config.every_generator and role == Role.DEV)

    gallery = open_gallery([one for one in read if learnt(one[1].role)], device)
    dev = open_gallery([one for one in read if one[1].role != Role.TRAIN], device)
    del read
    for size, step in ((CANVAS, 1), (CANVAS, 2), (CANVAS, 4), (Swapper.SIDE, 1)):
        pixel_grid(size, device, step)
    if device.type == "cuda":
        torch.cuda.synchronize()
    note(stage="gallery", people=len(gallery.people), methods=len(gallery.methods))
    keeper = Keeper(gallery, config.zoo_steps, config.seed, lambda text: note(zoo=text))
    if config.zoo_steps:
        keeper.start()
    net = learn(gallery, dev, keeper.zoo, config, run, codecs, note)
    sheet(gallery, keeper.zoo, config, run / "sheet.png")
    if config.baseline:
        alone = replace(config, only="self_blend", single=True, seconds=config.baseline, warmup=60)
        (run / "baseline").mkdir(exist_ok=True)
        learn(gallery, dev, keeper.zoo, alone, run / "baseline", codecs, note)
    keeper.halt = True
    if config.zoo_steps:
        keeper.join()
    codecs.close()
    return net


def learn(
    gallery: Gallery, dev: Gallery, zoo: Zoo, config: GpuConfig, run: Path, codecs: Codecs, note: Any
) -> TempoNet:
    """The detector's own loop."""
    device = gallery.device
    torch.manual_seed(config.seed)
    net = TempoNet(temporal=not config.single)
    if config.start:
        fresh = load_matching(net, torch.load(config.start, weights_only=True, map_location="cpu")["ema"])
        note(stage="start", fresh=len(fresh))
    net.to(device).backbone.to(memory_format=torch.channels_last)
    opt = optimiser_for(net, config)
    ema = {key: value.clone() for key, value in net.state_dict().items()}
    maker = Maker(gallery, zoo, config, codecs, config.seed + 2)
    maker.start()
    loader = Loader(maker, codecs, config, device)
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
    maker.halt = loader.halt = True
    maker.join()
    loader.join()
    codecs.settle()
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
