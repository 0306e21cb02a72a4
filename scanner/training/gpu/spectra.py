"""Evenly sharp pairs: neither member shows more detail at any scale than the other, so sharpness is no label.

Forged faces are softer than filmed ones, and so is every poor stream. A model that reads softness sorts streams by
their quality, and calls a clean forgery more real than a poor recording.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from scanner.training.gpu.steps import Draw, Forged

BINS: Final = 24
LOOKS: Final = 2
"Frames of a clip whose spectrum is measured."
_WIDEST: Final = 0.5  # cycles a pixel; corners beyond take the outermost value
_GAIN: Final = (0.02, 3.0)


def evened(real: Tensor, made: Forged, draw: Draw) -> tuple[Tensor, Forged]:
    """Both members with one spectrum of the face: the forged one sharpened where forged, or the real one softened.

    Args:
        real: (P, T, 3, S, S) in [0, 1].
        made: Its forgeries. A mask of nought everywhere (a true generator output) stands for the whole picture.
    """
    ratio = spectrum(made.clips) / spectrum(real)  # Shape: (P, BINS); below one where the forgery is softer
    if draw.chance(0.5):
        return filtered(real, ratio.sqrt().clamp(*_GAIN)), made
    whole = (made.mask.amax(dim=(1, 2, 3, 4), keepdim=True) == 0).to(made.mask)
    mask = torch.maximum(made.mask.gt(0.02).to(made.mask), whole)
    clips = made.clips + (filtered(made.clips, ratio.rsqrt().clamp(*_GAIN)) - made.clips) * mask
    return real, Forged(clips, made.mask)


def spectrum(clips: Tensor) -> Tensor:
    """(P, T, 3, S, S) → (P, BINS): mean power of the luma of the middle half, by radius, smoothed over neighbours."""
    side = clips.shape[-1]
    low, high = side // 4, side - side // 4
    grey = clips[:, :: max(clips.shape[1] // LOOKS, 1), :, low:high, low:high].mean(dim=2)
    window = torch.hann_window(high - low, periodic=False, device=clips.device)
    grey = (grey - grey.mean(dim=(2, 3), keepdim=True)) * window * window[:, None]
    power = torch.fft.rfft2(grey).abs().square().mean(dim=1).flatten(1)  # Shape: (P, places)
    which = _radius(high - low, clips.device).flatten() / _WIDEST * (BINS - 1)
    bins = which.round().clamp(max=BINS - 1).long()
    count = torch.zeros(BINS, device=clips.device).index_add_(0, bins, torch.ones_like(which)).clamp(min=1)
    total = torch.zeros(len(power), BINS, device=clips.device).index_add_(1, bins, power) / count
    floor = total.mean(dim=1, keepdim=True) * 1e-7 + 1e-9
    return F.avg_pool1d(F.pad(total.log1p()[:, None], (1, 1), mode="replicate"), 3, 1)[:, 0].expm1() + floor


def filtered(clips: Tensor, gain: Tensor) -> Tensor:
    """(P, T, 3, S, S) with `gain` (P, BINS) by radius; the mean stays as it is."""
    side = clips.shape[-1]
    gain = torch.cat([torch.ones_like(gain[:, :1]), gain[:, 1:]], dim=1)
    place = (_radius(side, clips.device) / _WIDEST * (BINS - 1)).clamp(max=BINS - 1)
    below = place.floor().long().clamp(max=BINS - 2)
    share = place - below
    fields = gain[:, below] * (1 - share) + gain[:, below + 1] * share  # Shape: (P, S, S/2 + 1)
    code = torch.fft.rfft2(clips) * fields[:, None, None]
    return torch.fft.irfft2(code, s=(side, side)).clamp(0, 1)


def _radius(side: int, device: torch.device) -> Tensor:
    """(side, side/2 + 1): cycles a pixel of every place of `rfft2`."""
    down, across = torch.fft.fftfreq(side, device=device), torch.fft.rfftfreq(side, device=device)
    return torch.hypot(down[:, None], across[None])
