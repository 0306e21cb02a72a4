"""Evenly sharp pairs: neither member shows more detail at any scale than the other, so sharpness is no label.

Forged faces are softer than filmed ones, and so is every poor stream. A model that reads softness sorts streams by
their quality, and calls a clean forgery more real than a poor recording.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scanner.training.forge.layers import Mask, Pixels

Square: TypeAlias = tuple[int, int, int]
"""y, x and side in pixels."""

EVEN_SHARE: Final = 0.85
"Of the pairs that a detector learns from."
BINS: Final = 24
LOOKS: Final = 2
"Frames of a clip whose spectrum is measured."
_WIDEST: Final = 0.5  # cycles a pixel; corners beyond take the outermost value
_GAIN: Final = (0.02, 3.0)


def evened(real: Tensor, made: Tensor, mask: Tensor, face: Square, *, sharpen: bool) -> tuple[Tensor, Tensor]:
    """Both members with one spectrum of the face: the forged one sharpened where forged, or the real one softened.

    Args:
        real: (P, T, 3, H, W) in [0, 1].
        made: Its forgeries, of the same shape.
        mask: (P, T, 1, H, W) in [0, 1]; nought everywhere (a true generator output) stands for the whole picture.
        face: Where the spectrum is measured.
    """
    y, x, side = face
    at = (..., slice(y, y + side), slice(x, x + side))
    ratio = spectrum(made[at]) / spectrum(real[at])  # Shape: (P, BINS); below one where the forgery is softer
    if not sharpen:
        return filtered(real, ratio.sqrt().clamp(*_GAIN)), made
    whole = (mask.amax(dim=(1, 2, 3, 4), keepdim=True) == 0).to(mask)
    share = torch.maximum(mask.gt(0.02).to(mask), whole)
    return real, made + (filtered(made, ratio.rsqrt().clamp(*_GAIN)) - made) * share


def evened_pictures(
    real: Pixels, made: Pixels, mask: Mask, box: NDArray[np.float32], *, sharpen: bool
) -> tuple[Pixels, Pixels]:
    """`evened` for one pair of clips in bytes.

    Args:
        real: (T, H, W, 3).
        made: (T, H, W, 3).
        mask: (T, H, W) in [0, 1].
        box: (4,) of the face in pixels, somewhere in the clip.
    """
    where = torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, :, None]
    face = _square(box, int(max(box[2] - box[0], box[3] - box[1], 32)), real)
    one, two = evened(_tensor(real), _tensor(made), where, face, sharpen=sharpen)
    return _pixels(one), _pixels(two)


def evened_apart(
    real: Pixels, made: Pixels, places: tuple[NDArray[np.float32], NDArray[np.float32]], *, sharpen: bool
) -> tuple[Pixels, Pixels]:
    """A real clip and a generator's output of other people, one of them filtered whole to the other's spectrum.

    Args:
        real: (T, H, W, 3).
        made: (T, H', W', 3), its face as large in pixels.
        places: (4,) each, the faces as fractions of their pictures.
    """
    clips = (real, made)
    boxes = [p * np.tile(np.array(c.shape[2:0:-1], np.float32), 2) for p, c in zip(places, clips, strict=True)]
    side = int(max(32, *(max(box[2] - box[0], box[3] - box[1]) for box in boxes)))
    side = min(side, *real.shape[1:3], *made.shape[1:3])
    powers = []
    for clip, box in zip(clips, boxes, strict=True):
        y, x, _ = _square(box, side, clip)
        powers.append(spectrum(_tensor(clip[:, y : y + side, x : x + side])))
    gain = (powers[1] / powers[0]).sqrt()
    if sharpen:
        return real, _pixels(filtered(_tensor(made), gain.reciprocal().clamp(*_GAIN)))
    return _pixels(filtered(_tensor(real), gain.clamp(*_GAIN))), made


def _square(box: NDArray[np.float32], side: int, clip: Pixels) -> Square:
    """A square of `side` around a box in pixels, moved and made smaller until it lies inside the clip."""
    side = min(side, *clip.shape[1:3])
    middle = (box[1] + box[3]) / 2, (box[0] + box[2]) / 2
    y, x = (int(np.clip(m - side / 2, 0, most - side)) for m, most in zip(middle, clip.shape[1:3], strict=True))
    return y, x, side


def _tensor(clip: Pixels) -> Tensor:
    """(T, H, W, 3) → (1, T, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2)[None].float() / 255


def _pixels(clip: Tensor) -> Pixels:
    return np.asarray((clip[0] * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).numpy(), np.uint8)


def spectrum(faces: Tensor) -> Tensor:
    """(P, T, 3, S, S) → (P, BINS): mean power of the luma by radius, smoothed over neighbours."""
    side = faces.shape[-1]
    grey = faces[:, :: max(faces.shape[1] // LOOKS, 1)].mean(dim=2)
    window = torch.hann_window(side, periodic=False, device=faces.device)
    grey = (grey - grey.mean(dim=(2, 3), keepdim=True)) * window * window[:, None]
    power = torch.fft.rfft2(grey).abs().square().mean(dim=1).flatten(1)  # Shape: (P, places)
    which = _radius(side, side, faces.device).flatten() / _WIDEST * (BINS - 1)
    bins = which.round().clamp(max=BINS - 1).long()
    count = torch.zeros(BINS, device=faces.device).index_add_(0, bins, torch.ones_like(which)).clamp(min=1)
    total = torch.zeros(len(power), BINS, device=faces.device).index_add_(1, bins, power) / count
    floor = total.mean(dim=1, keepdim=True) * 1e-7 + 1e-9
    return F.avg_pool1d(F.pad(total.log1p()[:, None], (1, 1), mode="replicate"), 3, 1)[:, 0].expm1() + floor


def filtered(clips: Tensor, gain: Tensor) -> Tensor:
    """(P, T, 3, H, W) with `gain` (P, BINS) by radius; the mean stays as it is."""
    sides = (clips.shape[-2], clips.shape[-1])
    gain = torch.cat([torch.ones_like(gain[:, :1]), gain[:, 1:]], dim=1)
    place = (_radius(*sides, clips.device) / _WIDEST * (BINS - 1)).clamp(max=BINS - 1)
    below = place.floor().long().clamp(max=BINS - 2)
    share = place - below
    fields = gain[:, below] * (1 - share) + gain[:, below + 1] * share  # Shape: (P, H, W/2 + 1)
    code = torch.fft.rfft2(clips) * fields[:, None, None]
    return torch.fft.irfft2(code, s=sides).clamp(0, 1)


def _radius(height: int, width: int, device: torch.device) -> Tensor:
    """(height, width/2 + 1): cycles a pixel of every place of `rfft2`."""
    down, across = torch.fft.fftfreq(height, device=device), torch.fft.rfftfreq(width, device=device)
    return torch.hypot(down[:, None], across[None])
