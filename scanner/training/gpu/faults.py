"""Faults in time confined to the face, and where in the clip a forgery begins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scanner.training.gpu.steps import Draw, Forged, smoothed
from scanner.training.gpu.table import LENGTH

SHARE = 0.3
PARTIAL_SHARE = 0.12


def faulty(forged: Forged, real: Tensor, draw: Draw) -> Forged:
    """Now and then a fault on top of the forgery: the face holds, its light or sharpness flickers, its border jumps.

    Args:
        real: (P, T, 3, S, S), what the forgery was laid over.
    """
    if not draw.chance(SHARE):
        return forged
    clips, mask, count = forged.clips, forged.mask, len(real)
    kind = draw.one("hold", "light", "sharpness", "border")
    if kind == "hold":
        at = int(draw.rng.integers(1, LENGTH))
        held = clips.clone()
        for t in range(at, min(at + int(draw.rng.integers(1, 4)), LENGTH)):
            held[:, t] = held[:, t - 1]
        clips = real + (held - real) * mask
    elif kind == "light":
        gain = 1 + draw.normal(1, count, LENGTH) * draw.uniform(0.005, 0.025, count, 1)
        clips = clips * (1 + (gain[..., None, None, None] - 1) * mask)
    elif kind == "sharpness":
        sigma = (draw.uniform(0, 1.2, count, LENGTH) * (draw.uniform(0, 1, count, LENGTH) < 0.4)).flatten()
        soft = smoothed(clips.flatten(0, 1), sigma).unflatten(0, (count, LENGTH))
        clips = clips + (soft - clips) * mask
    else:
        share = (1 + draw.normal(0.12, count, LENGTH)).clamp(0.5, 1)[..., None, None, None]
        clips = real + (clips - real) * share
    return Forged(clips.clamp(0, 1), mask)


def partial(forged: Forged, real: Tensor, draw: Draw) -> tuple[Forged, Tensor]:
    """Now and then only a part of the clip is forged; gives (P, T), 1 where a frame is."""
    count = len(real)
    label = np.ones((count, LENGTH), np.float32)
    if draw.chance(PARTIAL_SHARE):
        for own in label:
            at = int(draw.rng.integers(2, LENGTH - 1))
            own[:at] = 0
            if draw.chance(0.5):
                own[:] = 1 - own
    told = torch.from_numpy(label).to(real.device, non_blocking=True)
    shown = told[..., None, None, None]
    return Forged(real + (forged.clips - real) * shown, forged.mask * shown), told
