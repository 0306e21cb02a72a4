"""Few-step denoisers: noise is laid over a face and taken off again, as talking heads and enhancers of that kind do.

The net, its preconditioning, its loss and its solver are those of Karras et al. 2022, "Elucidating the Design Space of
Diffusion-Based Generative Models"; that a picture is renewed from part of the way, after Meng et al. 2022, "SDEdit".
Levels are standard deviations of the noise, in units of pictures in [-1, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanner.training.zoo import upsampler

LEARNT: Final = (0.02, 1.0)
"""Levels that a denoiser learns to take off."""
RENEWED: Final = (0.08, 0.7)
"""Levels that a face is renewed from: its pores are made anew, or its features too."""
FARTHEST: Final = 0.3
"""Mean error of a denoiser's own part, in the scale of `reach`: 0.8 if it has learnt nothing; at 0.37 grain is left."""
_DATA: Final = 0.5  # standard deviation of pictures in [-1, 1]
_BEND: Final = 2.0  # how much closer steps lie near the end; few steps want less than the paper's 7
_CODE: Final = 64


@dataclass(frozen=True, slots=True)
class DenoiserRecipe:
    """One denoiser."""

    name: str
    width: int
    up: str
    "nearest, bilinear, transposed or shuffle."
    steps: int
    "From the drawn level to none, at forging."
    loss: str
    "l2 (the paper's), edge, or gan: a critic makes one step enough, as in distilled models."
    heun: bool = False
    "Steps of second order: two evaluations each, but for the last."
    seed: int = 0


DENOISERS: Final = (
    DenoiserRecipe("d24-nearest-gan", 24, "nearest", steps=1, loss="gan", seed=31),
    DenoiserRecipe("d24-shuffle-l2", 24, "shuffle", steps=4, loss="l2", seed=32),
    DenoiserRecipe("d20-bilinear-edge", 20, "bilinear", steps=2, loss="edge", heun=True, seed=33),
)


class _Block(nn.Module):
    """Two convolutions with a norm; the level scales and shifts the channels between them."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(cin, cout, 3, padding=1), nn.Conv2d(cout, cout, 3, padding=1)
        self.norm, self.style = nn.GroupNorm(4, cout), nn.Linear(_CODE, 2 * cout)
        self.end = nn.Sequential(nn.GroupNorm(4, cout), nn.SiLU())

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.style(code)[..., None, None].chunk(2, dim=1)
        out = self.norm(self.first(x)) * (1 + scale) + shift
        return cast(Tensor, self.end(self.second(F.silu(out))))


class Denoiser(nn.Module):
    """A U-Net that is told the level and says what the picture was without noise."""

    def __init__(self, recipe: DenoiserRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        w = [recipe.width * k for k in (1, 2, 4, 4)]
        self.code = nn.Sequential(nn.Linear(16, _CODE), nn.SiLU(), nn.Linear(_CODE, _CODE), nn.SiLU())
        self.enter = _Block(3, w[0])
        self.halve = nn.ModuleList(nn.Conv2d(w[k], w[k], 4, 2, 1) for k in range(3))
        self.down = nn.ModuleList(_Block(w[k], w[k + 1]) for k in range(3))
        self.up = nn.ModuleList(upsampler(recipe.up, w[k + 1], w[k]) for k in reversed(range(3)))
        self.join = nn.ModuleList(_Block(2 * w[k], w[k]) for k in reversed(range(3)))
        self.leave = nn.Conv2d(w[0], 3, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(cast(Tensor, self.leave.bias))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(N, 3, S, S): pictures in [-1, 1] with noise of `level` (N,) → without it, not clamped; S divides by 8."""
        turn = level.log()[:, None] * torch.exp2(torch.arange(8, device=x.device) / 2 - 1)
        code = self.code(torch.cat([turn.sin(), turn.cos()], dim=1))
        whole = (level.square() + _DATA**2).view(-1, 1, 1, 1)
        kept = [self.enter(x * whole.rsqrt(), code)]
        for halve, down in zip(self.halve, self.down, strict=True):
            kept.append(down(halve(kept[-1]), code))
        out = kept.pop()
        for up, join in zip(self.up, self.join, strict=True):
            out = join(torch.cat([up(out), kept.pop()], dim=1), code)
        return x * (_DATA**2 / whole) + self.leave(out).float() * reach(level)


def reach(level: Tensor) -> Tensor:
    """(N, 1, 1, 1): how far a denoiser's own part carries at `level` (N,); errors are weighed by its inverse."""
    return (level * _DATA * (level.square() + _DATA**2).rsqrt()).view(-1, 1, 1, 1)


def drawn_levels(count: int, device: torch.device) -> Tensor:
    """(count,) levels of LEARNT, even in their logarithm: one of each part, so that batches are alike."""
    low, high = (math.log(level) for level in LEARNT)
    place = (torch.arange(count, device=device) + torch.rand(count, device=device)) / count
    return (low + (high - low) * place).exp()


def fields(held: Tensor, frames: int, side: int) -> Tensor:
    """(P·frames, 3, side, side) of unit noise: one field for the whole clip where `held` (P,), else one a frame."""
    fresh = torch.randn(len(held), frames, 3, side, side, device=held.device)
    return torch.where(held.view(-1, 1, 1, 1, 1), fresh[:, :1], fresh).flatten(0, 1)


def renew(net: Denoiser, pictures: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Pictures with `noise` up to `level`, brought back in the recipe's number of deterministic steps.

    Args:
        net: a trained denoiser.
        pictures: (N, 3, S, S) in [0, 1]; S divides by 8.
        noise: (N, 3, S, S) of unit variance.
        level: (N,), within RENEWED.

    Returns:
        (N, 3, S, S) in [0, 1].
    """
    count = net.recipe.steps
    x = ((pictures * 2 - 1) + noise * level.view(-1, 1, 1, 1)).contiguous(memory_format=torch.channels_last)
    for k in range(count):
        now, then = (level * (1 - j / count) ** _BEND for j in (k, k + 1))
        step, slope = (then - now).view(-1, 1, 1, 1), _slope(net, x, now)
        if net.recipe.heun and k + 1 < count:
            slope = (slope + _slope(net, x + step * slope, then)) / 2
        x = x + step * slope
    return (x / 2 + 0.5).clamp(0, 1)


def _slope(net: Denoiser, x: Tensor, level: Tensor) -> Tensor:
    return (x - net(x, level)) / level.view(-1, 1, 1, 1)
