"""What training minimises: the clip, its frames, the place of the forgery, and the order inside a pair."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from scanner.training.model import Outputs


@dataclass(frozen=True, slots=True)
class Truth:
    """A batch of P pairs as 2P clips, the real ones first."""

    clip: Tensor
    "(2P,) 0 or 1."
    frames: Tensor
    "(2P, T) in [0, 1]."
    mask: Tensor
    "(2P, T, M, M) in [0, 1]."
    masked: Tensor
    "(2P,) 1 where the mask is known."
    own: Tensor
    "(P,) 1 where the fake was made from the real clip beside it."

    def to(self, device: torch.device) -> Truth:
        return Truth(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


def total(out: Outputs, truth: Truth, *, smoothing: float = 0.02) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum, and its parts for the log."""
    soft = truth.clip * (1 - 2 * smoothing) + smoothing
    frames = truth.frames * (1 - 2 * smoothing) + smoothing
    parts = {
        "clip": F.binary_cross_entropy_with_logits(out.clip, soft),
        "frame": 0.5 * F.binary_cross_entropy_with_logits(out.frames, frames),
        "map": 0.5 * _map_loss(out.map, truth),
        "pair": 0.3 * _pair_loss(out.clip, truth.own),
    }
    loss = torch.stack(list(parts.values())).sum()
    return loss, {name: part.detach() for name, part in parts.items()}


def _map_loss(seen: Tensor, truth: Truth) -> Tensor:
    each = F.binary_cross_entropy_with_logits(seen, truth.mask, reduction="none").mean(dim=(1, 2, 3))
    return (each * truth.masked).sum() / truth.masked.sum().clamp(min=1)


def _pair_loss(logits: Tensor, own: Tensor) -> Tensor:
    real, fake = logits.chunk(2)
    return (F.relu(1 - (fake - real)) * own).sum() / own.sum().clamp(min=1)
