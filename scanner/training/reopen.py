"""An exported graph as a checkpoint again, so that anyone can train on from a model that ships.

python -m scanner.training.reopen onnx_models/NAME/model.onnx RUN/start.pt

Export folds every batch norm into the convolution before it. Here the norm becomes the identity plus that bias, so
that the network computes what the graph does; train on with `--still-norms`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Final

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from scanner.core.types import ClipSpec
from scanner.training.export import PARITY, golden_clips, parity
from scanner.training.model import TempoNet
from scanner.training.train import TrainConfig

_FOLDED: Final = "onnx::"


def reopen(graph: Path) -> TempoNet:
    """The network that computes what `graph` does, in evaluation mode.

    Raises:
        ValueError: if the graph was not exported from a TempoNet, or computes something else than these weights.
    """
    named, folded, products = _weights(graph)
    net = TempoNet(temporal=any(name.startswith("residuals.") for name in named))
    own = net.state_dict()
    fresh = {name: value for name, value in named.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict({**own, **fresh})
    pairs = _norms(net)
    if len(pairs) != len(folded):
        raise ValueError(f"{graph}: {len(folded)} folded convolutions, a TempoNet has {len(pairs)}")
    for (conv, norm), (weight, bias) in zip(pairs, folded, strict=True):
        _unfold(conv, norm, weight, bias)
    lacking = [name for name in ("frame.weight", "weigh.weight") if name not in fresh]
    if len(lacking) != len(products):
        raise ValueError(f"{graph}: {len(products)} products for {', '.join(lacking) or 'nothing'}")
    net.load_state_dict({**net.state_dict(), **dict(zip(lacking, products, strict=True))})
    net.eval()
    worst, _ = parity(net, graph, golden_clips(ClipSpec()))
    if worst > PARITY:
        raise ValueError(f"{graph}: reopened, it differs by {worst:.2e}, more than {PARITY}")
    return net


def _weights(graph: Path) -> tuple[dict[str, Tensor], list[tuple[Tensor, Tensor]], list[Tensor]]:
    """Weights by name, folded convolutions in order, transposed linear layers in order."""
    model = onnx.load(str(graph))
    known = {part.name: torch.from_numpy(numpy_helper.to_array(part).copy()) for part in model.graph.initializer}
    named = {name.removeprefix("net."): value for name, value in known.items() if not name.startswith(_FOLDED)}
    folded, products = [], []
    for node in model.graph.node:
        inputs = [name for name in node.input if name.startswith(_FOLDED) and name in known]
        if node.op_type == "Conv" and len(inputs) == 2:
            folded.append((known[inputs[0]], known[inputs[1]]))
        elif node.op_type == "MatMul" and inputs:
            products.append(known[inputs[0]].T.contiguous())
    return named, folded, products


def _norms(net: TempoNet) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Every convolution that a batch norm follows, in the order in which they run."""
    layers = [part for part in net.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d)]
    return [
        (conv, norm)
        for conv, norm in pairwise(layers)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    ]


def _unfold(conv: nn.Conv2d, norm: nn.BatchNorm2d, weight: Tensor, bias: Tensor) -> None:
    if conv.weight.shape != weight.shape:
        raise ValueError(f"a convolution of {tuple(weight.shape)}, a TempoNet has {tuple(conv.weight.shape)} there")
    with torch.no_grad():
        conv.weight.copy_(weight)
        norm.weight.fill_(1.0)
        norm.bias.copy_(bias)
        if norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0 - norm.eps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path)
    parser.add_argument("checkpoint", type=Path)
    args = parser.parse_args()
    net = reopen(args.graph)
    config = TrainConfig(packs=(), stage="clip" if net.temporal else "frame", still_norms=True)
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"step": 0, "ema": net.state_dict(), "config": asdict(config)}, args.checkpoint)
    print(f"{args.checkpoint}: {config.stage} stage, equal to the graph within {PARITY}")


if __name__ == "__main__":
    main()
