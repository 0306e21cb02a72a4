"""An exported graph as a checkpoint again, so that anyone can train on from a model that ships.

python -m scanner.training.reopen onnx_models/NAME/model.onnx RUN/start.pt [--tolerance 1]

Export folds every batch norm into the convolution before it. Here the norm becomes the identity plus that bias, so
that the network computes what the graph does; train on with `--still-norms`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from scanner.core.types import ClipSpec
from scanner.training.config import TrainConfig
from scanner.training.export import PARITY, golden_clips, parity
from scanner.training.model import TempoNet

_FOLDED: Final = "onnx::"
_TAPS: Final = 5  # of the temporal residuals' filter


def reopen(graph: Path, tolerance: float = PARITY) -> TempoNet:
    """The network that computes what `graph` does, in evaluation mode; of a quantised graph, what it rounds.

    Raises:
        ValueError: if the graph was not exported from a TempoNet, or computes something else than these weights.
    """
    known = _tensors(onnx.load(str(graph)))
    named, folded, products = _weights(graph, known)
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
    in_time = _in_time(known) if net.temporal else {}
    net.load_state_dict({**net.state_dict(), **dict(zip(lacking, products, strict=True)), **in_time})
    net.eval()
    worst, _ = parity(net, graph, golden_clips(_geometry(graph)))
    if worst > tolerance:
        raise ValueError(f"{graph}: reopened, it differs by {worst:.2e}, more than {tolerance}")
    return net


def _geometry(graph: Path) -> ClipSpec:
    """Frames and side of the clips that `graph` takes."""
    _, length, size, *_ = onnx.load(str(graph)).graph.input[0].type.tensor_type.shape.dim
    return ClipSpec(length=length.dim_value, size=size.dim_value)


def _in_time(known: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the temporal layers multiply with and add, which loses its name in the graph: taps, then three norms."""
    factors = [known[name] for name in sorted(known, key=_number) if name.startswith(f"{_FOLDED}Mul_")]
    terms = [known[name] for name in sorted(known, key=_number) if name.startswith(f"{_FOLDED}Add_")]
    taps, scales = factors[:_TAPS], factors[_TAPS:]
    out = {"residuals.taps": torch.stack(taps)}
    for number, (scale, offset) in enumerate(zip(scales, terms, strict=True)):
        out[f"time.{number}.norm.weight"] = scale.flatten()
        out[f"time.{number}.norm.bias"] = offset.flatten()
    return out


def _weights(
    graph: Path, known: dict[str, Tensor]
) -> tuple[dict[str, Tensor], list[tuple[Tensor, Tensor]], list[Tensor]]:
    """Weights by name, folded convolutions in order, transposed linear layers in order."""
    model = onnx.load(str(graph))
    named = {name.removeprefix("net."): value for name, value in known.items() if not name.startswith(_FOLDED)}
    folded, products = {}, []
    for node in model.graph.node:
        inputs = [name for name in node.input if name.startswith(_FOLDED) and name in known]
        if node.op_type == "Conv" and len(inputs) == 2:
            folded[_number(inputs[0])] = (known[inputs[0]], known[inputs[1]])
        elif node.op_type == "MatMul" and inputs:
            products.append(known[inputs[0]].T.contiguous())
    return named, [folded[number] for number in sorted(folded)], products


def _number(name: str) -> int:
    """The exporter numbers what it folds in the order in which it runs; quantising shuffles the nodes."""
    digits = name.removesuffix("_DequantizeLinear_Output").rsplit("_", 1)[-1]
    return int(digits) if digits.isdigit() else -1


def _tensors(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Every constant by name; what was quantised is floats again, under the name of its tensor."""
    known = {part.name: numpy_helper.to_array(part) for part in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and all(name in known for name in node.input):
            codes, scale, zero = (known[name].astype(np.float32) for name in node.input)
            shape = (-1, *[1] * (codes.ndim - 1)) if scale.size > 1 else ()
            floats = (codes - zero.reshape(shape)) * scale.reshape(shape)
            known[node.output[0]] = known[node.output[0].removesuffix("_DequantizeLinear_Output")] = floats
    return {name: torch.from_numpy(np.array(value)) for name, value in known.items()}


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
    parser.add_argument("--tolerance", type=float, default=PARITY, help="largest difference; int8 graphs need 1 or so")
    args = parser.parse_args()
    net = reopen(args.graph, args.tolerance)
    stage, length = ("clip", _geometry(args.graph).length) if net.temporal else ("frame", 1)
    config = TrainConfig(packs=(), stage=stage, length=length, still_norms=True)
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"step": 0, "ema": net.state_dict(), "config": asdict(config)}, args.checkpoint)
    print(f"{args.checkpoint}: {config.stage} stage, equal to the graph within {args.tolerance}")


if __name__ == "__main__":
    main()
