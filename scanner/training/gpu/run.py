"""A run on one GPU, read top to bottom: config, pairs, batches, loop. Its length is set in seconds.

python -m scanner.training.gpu.run CORPUS TABLE RUN --seconds 420
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from scanner.evaluation.metrics import auc
from scanner.training.data import Kind, Role
from scanner.training.gpu.config import GpuConfig
from scanner.training.gpu.forgeries import LETTERS
from scanner.training.gpu.gallery import Gallery, Place, open_gallery
from scanner.training.gpu.loader import Batch, Loader
from scanner.training.gpu.table import CANVAS, FACE_PX, LENGTH, read_entries, read_table
from scanner.training.gpu.workshop import Workshop
from scanner.training.losses import total
from scanner.training.model import TempoNet, Variant, load_matching, parameters
from scanner.training.weights import average

Kept: TypeAlias = tuple[Tensor, list[str], dict[str, Tensor]]
"""Logits (2P,), families of the pairs, parts of the loss."""

PAUSE_S: Final = 30.0
"""A longer step was a pause of the machine or of the run: no more of it counts."""


# -----------------------------------------------------------------------------
# Looking


@torch.no_grad()
def look(like: TempoNet, ema: dict[str, Tensor], dev: Gallery, config: GpuConfig) -> dict[str, float]:
    """AUC of each held-out generator against held-out people, clean pictures; for reporting only."""
    net = TempoNet(like.backbone.variant, temporal=like.temporal).to(dev.device).eval()
    net.load_state_dict(ema)
    rng = np.random.default_rng(5)
    crop = round(config.box_scale * FACE_PX / 2) * 2
    low = (CANVAS - crop) // 2

    def scores(places: list[Place]) -> list[float]:
        out: list[float] = []
        for k in range(0, len(places), 16):
            clips = dev.look(places[k : k + 16], rng).clips[..., low : low + crop, low : low + crop]
            size = config.size, config.size
            small = nn.functional.interpolate(clips.flatten(0, 1), size=size, mode="bilinear", antialias=True)
            pixels = (small.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).unflatten(0, (-1, LENGTH))
            with torch.autocast(dev.device.type, torch.bfloat16):
                out += net(pixels[:, 3:4] if config.single else pixels).clip.float().tolist()
        return out

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
        if not weight.requires_grad:
            continue
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
    net = started(config, note).to(device)
    net.backbone.to(memory_format=torch.channels_last)
    opt = optimiser_for(net, config)
    ema = {key: value.clone() for key, value in net.state_dict().items()}
    loader = Loader(shop, config, device)
    loader.start()
    note(stage="detector", weights=parameters(net), config=asdict(config))
    step, seen, spent, waited, looked = 0, 0, 0.0, 0.0, 0.0
    kept: list[Kept] = []
    while (done := spent / config.seconds) < 1:
        asked = time.perf_counter()
        batch = loader.next()
        waited += time.perf_counter() - asked
        kept.append(learn_from(batch, net, opt, config.lr * rate_at(step, done, config)))
        average(ema, net, step, config.ema)
        step, seen = step + 1, seen + batch.clips.shape[0] * batch.clips.shape[1]
        spent += min(time.perf_counter() - asked, PAUSE_S)
        if step % config.note_every == 0:
            note(step=step, frames=seen, s=spent / step, waited=waited / spent, **counted(kept))
            kept.clear()
        if spent - looked > config.look_every:
            looked = spent
            _save(run, step, ema, config)
            note(step=step, **look(net, ema, dev, config))
    loader.halt = True
    loader.join()
    _save(run, step, ema, config)
    note(step=step, frames=seen, **look(net, ema, dev, config))
    net.load_state_dict(ema)
    return net


def started(config: GpuConfig, note: Callable[..., None]) -> TempoNet:
    """The network as the run begins."""
    torch.manual_seed(config.seed)
    net = TempoNet(Variant(config.backbone), temporal=not config.single)
    if config.start:
        fresh = load_matching(net, torch.load(config.start, weights_only=True, map_location="cpu")["ema"])
        note(stage="start", fresh=len(fresh))
    net.backbone.frozen = config.freeze
    for part in net.backbone.still():
        part.requires_grad_(requires_grad=False)
    return net


def rate_at(step: int, done: float, config: GpuConfig) -> float:
    """Linear warm-up, then a cosine over the run's time to a hundredth."""
    return min((step + 1) / config.warmup, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def learn_from(batch: Batch, net: TempoNet, opt: torch.optim.Optimizer, lr: float) -> Kept:
    """One step; gives logits, families and the parts of the loss, without waiting for the card."""
    batch.arrive()
    net.train()
    for part in net.backbone.still():
        part.eval()
    for group in opt.param_groups:
        group["lr"] = lr * group["scale"]
    kind = batch.clips.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda"):
        out = net(batch.clips)
    loss, parts = total(out, batch.truth)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 2.0)
    opt.step()
    return out.clip.detach(), batch.families, parts


def counted(kept: list[Kept]) -> dict[str, float]:
    """Means: of each family the fake above its real one (p) and both on their side of nought (r), and the loss."""
    sums: dict[str, list[float]] = {}
    for logits, families, parts in kept:
        real, fake = logits.float().cpu().chunk(2)
        for family in set(families):
            own = torch.tensor([name == family for name in families])
            right = torch.cat([fake[own] > 0, real[own] < 0]).float().mean()
            sums.setdefault(f"{LETTERS[family]}p", []).append(float((fake[own] > real[own]).float().mean()))
            sums.setdefault(f"{LETTERS[family]}r", []).append(float(right))
        for name, value in parts.items():
            sums.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in sums.items()}


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
