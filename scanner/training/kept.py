"""Trained generators as the forgeries of the bank and the packs call them, on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanner.training.forge.layers import Generators, Pixels, Points
from scanner.training.forge.warp import lay
from scanner.training.gpu.denoiser import RENEWED, Denoiser, fields, renew
from scanner.training.gpu.geometry import KEPT
from scanner.training.gpu.nets import Renderer, hole, order
from scanner.training.gpu.nets import open_zoo as open_kept
from scanner.training.gpu.table import CANVAS, FACE_PX
from scanner.training.zoo import Painter, open_zoo

MOST_NOISE: Final = 0.25
"""Levels above this leave grain where a denoiser was trained for minutes on a CPU."""
_EXTENT: Final = 1.11
"""Longer side of the landmarks' extent over that of the face box: the median of 8,000 faces."""


def open_generators(folder: Path) -> Generators:
    """What `scanner.training.zoo` and the keepers of `scanner.training.gpu` left in `folder`.

    Swappers stay out: they know the people they were trained on alone.
    """
    kept = open_kept(folder, [], torch.device("cpu"), swapper=False)
    painters = tuple(Painter(net) for net in kept.painters)
    renewers = tuple(Renewer(net) for net in kept.denoisers)
    return Generators((*open_zoo(folder), *painters, *renewers), tuple(Redrawer(net) for net in kept.renderers))


class Renewer:
    """A denoiser as the forgeries call it."""

    def __init__(self, net: Denoiser) -> None:
        self._net = net

    def __call__(self, patches: Pixels, seed: int) -> Pixels:
        """(T, S, S, 3) renewed from one level for all; the noise is the same in every frame for odd seeds."""
        torch.manual_seed(seed)
        side = patches.shape[1]
        pad = -side % 8
        whole = np.pad(patches, ((0, 0), (0, pad), (0, pad), (0, 0)), mode="edge")
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            level = RENEWED[0] * (MOST_NOISE / RENEWED[0]) ** torch.rand(1)
            noise = fields(torch.tensor([seed % 2 == 1]), len(patches), side + pad)
            parts = zip(_unit(whole).split(1), noise.split(1), strict=True)
            made = torch.cat([renew(self._net, picture, field, level) for picture, field in parts])
        return _bytes(made)[:, :side, :side]


class Redrawer:
    """A renderer as the forgeries call it."""

    def __init__(self, net: Renderer) -> None:
        self._net = net

    def __call__(self, still: Pixels, own: Points, frames: Pixels, points: Points, *, lower: bool) -> Pixels:
        """See `forge.layers.Redraw`; the still and each frame are laid upright on the net's canvas, at its scale."""
        place = _canvas(own)
        source, texture = _marks(own[None], place), _unit(_laid(still, place)[None])
        aim = _canvas(points.mean(axis=0))
        out = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for frame, face in zip(frames, points, strict=True):
                marks, target = _marks(face[None], aim), _unit(_laid(frame, aim)[None])
                mask = hole(marks, CANVAS, lower=True) if lower else torch.ones_like(target[:, :1])
                asked = order(texture, source, target, marks, mask).contiguous(memory_format=torch.channels_last)
                out.append(_returned(frame, _bytes(self._net(asked).clamp(0, 1))[0], aim))
        return np.stack(out)


def _canvas(points: Points) -> NDArray[np.float64]:
    """The 2 × 3 matrix that brings a face of landmarks (468, 2) upright to the middle of the canvas, FACE_PX large."""
    low, high = points.min(axis=0), points.max(axis=0)
    scale = FACE_PX * _EXTENT / max(float((high - low).max()), 1.0)
    return np.column_stack([scale * np.eye(2), (CANVAS - 1) / 2 - scale * (low + high) / 2])


def _marks(points: Points, place: NDArray[np.float64]) -> Tensor:
    """(N, K, 2): the landmarks that renderers are shown, in pixels of the canvas."""
    own = points[:, list(KEPT)] @ place[:, :2].T + place[:, 2]
    return torch.from_numpy(own.astype(np.float32))


def _laid(picture: Pixels, place: NDArray[np.float64]) -> Pixels:
    return lay(picture, place, (CANVAS, CANVAS), cv2.BORDER_REPLICATE)


def _returned(frame: Pixels, made: Pixels, place: NDArray[np.float64]) -> Pixels:
    """`frame` with the canvas laid back where it was taken from, its border of four pixels faded."""
    size, flags = frame.shape[1::-1], cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(made, place, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    inside = np.zeros((CANVAS, CANVAS), np.float32)
    inside[2:-2, 2:-2] = 1
    cover = cv2.warpAffine(cv2.blur(inside, (5, 5)), place, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(np.clip(frame + cover[..., None] * (back - frame) + 0.5, 0, 255), np.uint8)


def _unit(pictures: Pixels) -> Tensor:
    """(N, H, W, 3) → (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255


def _bytes(pictures: Tensor) -> Pixels:
    """(N, 3, H, W) in [0, 1] → (N, H, W, 3)."""
    return np.asarray((pictures.float() * 255 + 0.5).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy())
