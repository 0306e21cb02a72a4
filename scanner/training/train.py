"""Training, read top to bottom: model, state, loop. Kill it at any time; the same command goes on.

python -m scanner.training.train RUN PACK… --stage frame
python -m scanner.training.train RUN PACK… --stage clip --length 8 --start RUN_OF_FRAME/last.pt
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scanner.evaluation.crops import open_store
from scanner.evaluation.files import file_scores, thinned
from scanner.evaluation.metrics import auc
from scanner.training.bank import Bank
from scanner.training.config import TrainConfig, read_config
from scanner.training.cut import GEOMETRY
from scanner.training.forge import SHARES
from scanner.training.forge.layers import Generators
from scanner.training.kept import open_generators
from scanner.training.loader import Pack, Steps, batches
from scanner.training.losses import total
from scanner.training.model import TempoNet, load_matching, parameters
from scanner.training.scoring import score_clips
from scanner.training.weights import average

# -----------------------------------------------------------------------------
# Model, optimiser, average


def build(config: TrainConfig) -> TempoNet:
    """The network as the run begins."""
    torch.manual_seed(config.seed)
    net = TempoNet(temporal=config.stage == "clip", shift=config.shift)
    net.backbone.load_imagenet()
    if config.start:
        fresh = load_matching(net, torch.load(config.start, weights_only=True)["ema"])
        print(f"fresh: {len(fresh)} tensors", flush=True)
    net.backbone.to(memory_format=torch.channels_last)  # 1.4–1.8 times faster on CPU
    net.to(config.device)
    net.backbone.frozen = config.freeze
    for part in net.backbone.still():
        part.requires_grad_(requires_grad=False)
    return net


def set_mode(net: TempoNet, config: TrainConfig) -> None:
    """Training mode, but for norms whose statistics are to stay."""
    net.train()
    for part in [net.backbone] if config.still_norms else net.backbone.still():
        for module in part.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def optimiser_for(net: TempoNet, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW; norms and biases are not decayed; fresh heads learn twice as fast as the backbone."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, weight in net.named_parameters():
        if weight.requires_grad:
            groups.setdefault((weight.ndim > 1, name.startswith("backbone")), []).append(weight)
    return torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": config.weight_decay * decayed, "scale": 1.0 if old else 2.0}
            for (decayed, old), weights in groups.items()
        ],
        lr=config.lr,
    )


def rate_at(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine to a fiftieth."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def open_bank(config: TrainConfig) -> Bank | None:
    """The bank that the run forges from, if it has one."""
    if not config.bank:
        return None
    generators = open_generators(Path(config.zoo)) if config.zoo else Generators()
    if unknown := set(config.only) - SHARES.keys():
        raise ValueError(f"no family {', '.join(sorted(unknown))}; there are {''.join(SHARES)}")
    chosen = {name: SHARES[name] for name in config.only} or SHARES
    spec = replace(GEOMETRY, size=config.size, box_scale=config.box_scale)
    return Bank(Path(config.bank), spec, generators, 0.0 if config.only else config.true_share, chosen)


# -----------------------------------------------------------------------------
# State


def save(
    run: Path,
    step: int,
    net: TempoNet,
    ema: dict[str, Tensor],
    opt: torch.optim.Optimizer,
    config: TrainConfig,
) -> None:
    """Everything that the run needs to go on, written whole or not at all."""
    state = {
        "step": step,
        "net": net.state_dict(),
        "ema": ema,
        "optimiser": opt.state_dict(),
        "random": torch.get_rng_state(),
        "config": asdict(config),
    }
    part = run / "last.part"
    torch.save(state, part)
    part.replace(run / "last.pt")


def resume(run: Path, net: TempoNet, ema: dict[str, Tensor], opt: torch.optim.Optimizer) -> int:
    """The step to go on from; 0 when the run is new."""
    path = run / "last.pt"
    if not path.exists():
        return 0
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    net.load_state_dict(state["net"])
    for key, value in state["ema"].items():
        ema[key].copy_(value)
    opt.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["random"])
    return int(state["step"])


def note(run: Path, record: dict[str, Any]) -> None:
    """One JSON line more in the run's metrics, and on the terminal."""
    line = json.dumps({key: round(v, 5) if isinstance(v, float) else v for key, v in record.items()})
    with (run / "metrics.jsonl").open("a") as sink:
        sink.write(line + "\n")
    print(line, flush=True)


def look(config: TrainConfig, ema: dict[str, Tensor]) -> dict[str, float]:
    """AUC of each held-out generator against held-out real people, two clips a file; for reporting only."""
    store = open_store(Path(config.dev))
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn, and the run's own draws must not move on
        net = TempoNet(temporal=config.stage == "clip", shift=config.shift)
    net.load_state_dict(ema)
    net.backbone.to(memory_format=torch.channels_last)
    net.to(config.device)
    places = thinned(store, 1 if config.stage == "clip" else 2)
    logits = score_clips(net, store.pixels[places], 1 if config.stage == "frame" else None)
    scores = file_scores([store.cuts[place] for place in places], logits)
    items = [item for item in store.items if item.file in scores]
    real = [scores[item.file] for item in items if not item.fake]
    out = {}
    for method in sorted({item.method for item in items if item.fake}):
        fake = [scores[item.file] for item in items if item.method == method]
        out[f"auc_{method}"] = auc(np.array(fake + real), np.array([1] * len(fake) + [0] * len(real)))
    return {**out, "auc_dev": float(np.mean(list(out.values())))}


# -----------------------------------------------------------------------------
# Loop


def train(run: Path, config: TrainConfig, until: int | None = None) -> TempoNet:
    """Runs to `config.steps`, or stops early at `until` as if killed."""
    run.mkdir(parents=True, exist_ok=True)
    net = build(config)
    opt = optimiser_for(net, config)
    ema = {key: value.clone() for key, value in net.state_dict().items()}
    first = resume(run, net, ema, opt)
    pack = Pack(tuple(Path(folder) for folder in config.packs))
    note(run, {"step": first, "weights": parameters(net), "pool": len(pack), "config": asdict(config)})
    began, seen, sums = time.perf_counter(), 0, {"right": 0.0}
    stop = min(config.steps, until or config.steps)
    if first >= stop:
        return net
    device = torch.device(config.device)
    steps = Steps(
        pack, partial(open_bank, config), config.seed, config.pairs, config.length, fresh_pairs=config.fresh_pairs
    )
    for step, made in enumerate(batches(steps, first, stop, config.workers), start=first):
        batch = made.to(device)
        set_mode(net, config)
        for group in opt.param_groups:
            group["lr"] = config.lr * rate_at(step, config) * group["scale"]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            out = net(batch.clips)
        loss, told = total(out, batch.truth)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        opt.step()
        average(ema, net, step, config.ema)

        seen += 1
        parts = {name: float(part) for name, part in told.items()}
        parts["right"] = float(((out.clip > 0) == (batch.truth.clip > 0.5)).float().mean())
        for key, value in parts.items():
            sums[key] = sums.get(key, 0.0) + value
        done = step + 1
        if done % 25 == 0:
            pace = (time.perf_counter() - began) / seen
            eta_min = pace * (config.steps - done) / 60
            means = {key: value / seen for key, value in sums.items()}
            note(run, {"step": done, **means, "s": pace, "eta_min": eta_min, "pool": len(pack)})
            began, seen, sums = time.perf_counter(), 0, {"right": 0.0}
        if done % config.save_every == 0 or done == stop:
            save(run, done, net, ema, opt, config)
        if config.dev and (done % config.look_every == 0 or done == config.steps):
            note(run, {"step": done, **look(config, ema)})
            began = time.perf_counter()
    return net


def main() -> None:
    run, config = read_config(sys.argv[1:], __doc__ or "")
    train(run, config)


if __name__ == "__main__":
    main()
