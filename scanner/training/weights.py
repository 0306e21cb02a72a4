"""The running average of a network's weights, which is what is judged and shipped."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def average(ema: dict[str, Tensor], net: nn.Module, step: int, decay: float) -> None:
    """Moves the running average towards the weights; early on it follows them closely."""
    keep = min(decay, (1 + step) / (10 + step))
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            ema[key].lerp_(value, 1 - keep)
        else:
            ema[key].copy_(value)
