"""What the families share: draws, soft masks, light, resampling, generators, and laying a forgery over its source."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator as Rng
from torch import Tensor
from torch.nn import functional as F

from scanner.training.gpu.denoiser import RENEWED, fields, renew
from scanner.training.gpu.gallery import Gallery, Place, Window
from scanner.training.gpu.geometry import CONTROL, bend, depth, spline, with_frame
from scanner.training.gpu.nets import Zoo
from scanner.training.gpu.table import CANVAS, LENGTH


@dataclass(frozen=True, slots=True)
class Forged:
    """P clips of T frames."""

    clips: Tensor
    "(P, T, 3, S, S) in [0, 1]."
    mask: Tensor
    "(P, T, 1, S, S) in [0, 1]."


class Draw:
    """Numbers for a batch: drawn on the CPU, brought to the card without waiting for it."""

    def __init__(self, rng: Rng, device: torch.device) -> None:
        self.rng, self.device = rng, device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return self._sent(self.rng.uniform(low, high, shape))

    def normal(self, sigma: float, *shape: int) -> Tensor:
        return self._sent(self.rng.normal(0, sigma, shape))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def one(self, *options: str) -> str:
        return str(options[self.rng.integers(len(options))])

    def field(self, sigma: Tensor, count: int, cells: int, side: int, channels: int = 1) -> Tensor:
        """(count, channels, side, side): smooth noise of about `sigma` (count,)."""
        noise = torch.randn(count, channels, cells, cells, device=self.device)
        fine = F.interpolate(noise, size=(side, side), mode="bicubic", align_corners=False)
        return fine * sigma.view(-1, 1, 1, 1)

    def law(self, count: int, channels: int) -> Tensor:
        """(count, T, channels) of unit size: how a fault goes on in time: shiver, a walk with memory, or a sway."""
        kind, time = self.rng.random(), np.arange(LENGTH)[None, :, None]
        if kind < 0.3:
            out = self.rng.normal(0, 1, (count, LENGTH, channels))
        elif kind < 0.7:
            keep = math.exp(-1 / self.rng.uniform(3, 15))
            out = self.rng.normal(0, 1, (count, LENGTH, channels))
            for t in range(1, LENGTH):
                out[:, t] = keep * out[:, t - 1] + math.sqrt(1 - keep**2) * out[:, t]
        else:
            turn = 2 * np.pi * self.rng.uniform(0.3, 3, (count, 1, channels)) / 25
            out = math.sqrt(2) * np.sin(turn * time + self.rng.uniform(0, 6.28, (count, 1, channels)))
        return self._sent(out)

    def _sent(self, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
        return torch.from_numpy(np.asarray(array, np.float32)).to(self.device, non_blocking=True)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a family works with."""

    gallery: Gallery
    zoo: Zoo
    draw: Draw
    places: list[Place]
    window: Window

    @property
    def count(self) -> int:
        return len(self.places)


def spread(values: Tensor) -> Tensor:
    """(P, …) → (P·T, …): the same for all frames of a clip."""
    return values.repeat_interleave(LENGTH, dim=0)


def soft_mask(bench: Bench, points: Tensor, names: tuple[str, ...]) -> Tensor:
    """(P·T, 1, S, S): one region a batch, its border moved, bent and feathered once a clip."""
    draw, count = bench.draw, bench.count
    inside = depth(draw.one(*names), points, CANVAS)[:, None]
    bent = spread(draw.field(draw.uniform(0, 0.06, count), count, 7, CANVAS // 2))
    grow = spread(draw.uniform(-0.10, 0.14, count)).view(-1, 1, 1, 1)
    soft = spread(draw.uniform(0.012, 0.09, count)).view(-1, 1, 1, 1)
    mask = torch.sigmoid((inside + bent + grow) / soft)
    return F.interpolate(mask, scale_factor=2.0, mode="bilinear", align_corners=False)


def tinted(bench: Bench, pictures: Tensor, amount: float = 1.0) -> Tensor:
    """(P·T, 3, S, S) with other light: gain and offset a channel, gamma, saturation."""
    draw, count = bench.draw, bench.count
    gain = 1 + spread(draw.normal(0.06 * amount, count, 1) + draw.normal(0.035 * amount, count, 3))[..., None, None]
    lift = spread(draw.normal(0.02 * amount, count, 3))[..., None, None]
    gamma = spread(draw.normal(0.10 * amount, count)).exp().view(-1, 1, 1, 1)
    grey = pictures.mean(dim=1, keepdim=True)
    colour = 1 + spread(draw.normal(0.15 * amount, count)).view(-1, 1, 1, 1)
    out = (grey + (pictures - grey) * colour).clamp(1e-4, 1).pow(gamma)
    return (out * gain + lift).clamp(0, 1)


def matched(pictures: Tensor, like: Tensor, mask: Tensor) -> Tensor:
    """Mean and spread of each channel inside `mask` brought to those of `like` (Reinhard)."""
    weight = mask / mask.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)

    def moments(x: Tensor) -> tuple[Tensor, Tensor]:
        mean = (x * weight).sum(dim=(2, 3), keepdim=True)
        return mean, ((x - mean).square() * weight).sum(dim=(2, 3), keepdim=True).clamp(min=1e-5).sqrt()

    (mean, size), (goal, wanted) = moments(pictures), moments(like)
    return ((pictures - mean) * (wanted / size).clamp(0.5, 2.0) + goal).clamp(0, 1)


def resampled(bench: Bench, pictures: Tensor) -> Tensor:
    """Smaller and larger again."""
    draw = bench.draw
    side = int(CANVAS / draw.rng.uniform(1.3, 3.6))
    if draw.chance(0.7):
        small = F.interpolate(pictures, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    else:
        small = F.interpolate(pictures, size=(side, side), mode="nearest")
    how = draw.one("nearest", "bilinear", "bicubic", "bicubic")
    if how == "nearest":
        return F.interpolate(small, size=(CANVAS, CANVAS), mode=how)
    return F.interpolate(small, size=(CANVAS, CANVAS), mode=how, align_corners=False).clamp(0, 1)


def painted(bench: Bench, pictures: Tensor) -> Tensor:
    """Through one painter, at the size of face that it works at; noise holds for a clip or changes with each frame."""
    draw = bench.draw
    if not bench.zoo.painters:
        return resampled(bench, pictures)
    net = bench.zoo.painters[draw.rng.integers(len(bench.zoo.painters))]
    side = int(draw.rng.choice([128, 144, 160, 192, 224, 224]))
    x = F.interpolate(pictures, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    recipe = net.recipe
    noise = None
    if recipe.code == "noise" and draw.chance(0.5):
        cells = side // 2**recipe.downs // recipe.shrink
        noise = torch.randn(1, recipe.latent, cells, cells, device=x.device)
    with torch.inference_mode(), torch.autocast(x.device.type, torch.bfloat16):
        out = net((x * 2 - 1).contiguous(memory_format=torch.channels_last), noise)
    out = (out.float() / 2 + 0.5).clone()
    return F.interpolate(out, size=(CANVAS, CANVAS), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def renewed(bench: Bench, pictures: Tensor) -> Tensor:
    """Noise laid over and taken off by one denoiser; its level, and whether its field holds, are drawn a clip."""
    draw, count = bench.draw, bench.count
    if not bench.zoo.denoisers:
        return painted(bench, pictures)
    net = bench.zoo.denoisers[draw.rng.integers(len(bench.zoo.denoisers))]
    side = int(draw.rng.choice([128, 144, 160, 192, 224, 224]))
    x = F.interpolate(pictures, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    level = draw.uniform(math.log(RENEWED[0]), math.log(RENEWED[1]), count).exp()
    noise = fields(draw.uniform(0, 1, count) < 0.5, LENGTH, side)
    with torch.inference_mode(), torch.autocast(x.device.type, torch.bfloat16):
        out = renew(net, x, noise, spread(level))
    out = out.clone()
    return F.interpolate(out, size=(CANVAS, CANVAS), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def machined(bench: Bench, pictures: Tensor, share: float) -> Tensor:
    """With chance `share` what a generator would make of the pictures, or a resampler; else as they are."""
    if not bench.draw.chance(share):
        return pictures
    if bench.draw.chance(0.25):
        return resampled(bench, pictures)
    return renewed(bench, pictures) if bench.draw.chance(0.2) else painted(bench, pictures)


def smoothed(pictures: Tensor, sigma: Tensor) -> Tensor:
    """(N, C, S, S) with Gaussian blurs of `sigma` (N,) pixels; up to about 3."""
    radius = 7
    line = torch.arange(-radius, radius + 1, device=pictures.device, dtype=torch.float32)
    kernel = torch.exp(-line.square() / (2 * sigma.clamp(min=0.05)[:, None].square()))
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).to(pictures.dtype)
    count, channels, high, wide = pictures.shape
    taps = kernel.repeat_interleave(channels, dim=0)[:, None]
    x = pictures.reshape(1, count * channels, high, wide)
    x = F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), taps[..., None], groups=count * channels)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), taps[:, :, None], groups=count * channels)
    return x.view(count, channels, high, wide)


def sharpened(bench: Bench, pictures: Tensor) -> Tensor:
    """An unsharp mask, as face enhancers leave it."""
    draw, count = bench.draw, bench.count
    soft = smoothed(pictures, spread(draw.uniform(0.7, 1.6, count)))
    return (pictures + spread(draw.uniform(0.2, 1.2, count)).view(-1, 1, 1, 1) * (pictures - soft)).clamp(0, 1)


def fitted(window: Window, pictures: Tensor, own: Tensor) -> Tensor:
    """`pictures` (P·T, …) bent from their `own` landmarks to those of the window."""
    marks = window.marks
    field = spline(with_frame(own[:, CONTROL], CANVAS), with_frame(marks[:, CONTROL], CANVAS), CANVAS)
    return bend(pictures, field)


def blended(bench: Bench, made: Tensor, mask: Tensor, least: float = 0.0) -> Forged:
    """Laid over the window with a share drawn a clip: SBI's ratios, or at least `least`."""
    if least:
        share = bench.draw.uniform(least, 1, bench.count)
    else:
        options = np.array([0.3, 0.5, 0.75, 1, 1, 1, 1])
        picked = options[bench.draw.rng.integers(0, len(options), bench.count)]
        share = torch.from_numpy(picked.astype(np.float32)).to(made.device, non_blocking=True)
    return forged(bench, made, mask * spread(share).view(-1, 1, 1, 1))


def forged(bench: Bench, made: Tensor, mask: Tensor) -> Forged:
    base = bench.window.flat
    out = base + (made - base) * mask
    shape = (bench.count, LENGTH)
    return Forged(out.clamp(0, 1).unflatten(0, shape), mask.unflatten(0, shape))
