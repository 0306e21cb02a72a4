"""Scores of stored clips by a network in training."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from scanner.training.model import TempoNet


def score_clips(
    net: TempoNet, pixels: NDArray[np.uint8], length: int | None = None, batch: int = 2
) -> NDArray[np.float64]:
    """(n,) clip logits. With `length` 1 each clip is read as so many single frames, spread evenly, and averaged."""
    net.eval()
    device = next(net.parameters()).device
    out = []
    with torch.inference_mode():
        for first in range(0, len(pixels), batch):
            clips = torch.from_numpy(np.ascontiguousarray(pixels[first : first + batch])).to(device)
            if length == 1:
                few = clips[:, ::5].flatten(0, 1)[:, None]
                out.append(net(few).clip.unflatten(0, (len(clips), -1)).mean(dim=1))
            else:
                out.append(net(clips).clip)
    return torch.cat(out).double().cpu().numpy() if out else np.zeros(0)
