"""The forgery families on the card: pure functions of windows, generators and one stream of draws.

Each gives the forged clips and a mask of what was forged; the caller lays the forgery over its own source through the
mask. One call forges a batch with one family; what varies inside the batch is drawn per clip and holds for all its
frames, unless it says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.random import Generator as Rng
from torch import Tensor
from torch.nn import functional as F

from scanner.training.gpu.gallery import CANVAS, LENGTH, Gallery, Place, Window
from scanner.training.gpu.generators import Zoo, aligned, hole, order
from scanner.training.gpu.geometry import (
    BROW,
    CONTROL,
    EYES,
    MOUTH,
    NOSES,
    STABLE,
    bend,
    depth,
    eye_distance,
    laid,
    pixel_grid,
    similarity,
    spline,
    with_frame,
)

SHARES: Final = {
    "self_blend": 0.17, "drift": 0.09, "kinematic": 0.06, "borrow": 0.10, "swap": 0.12, "repaint": 0.14,
    "reanimate": 0.08, "render": 0.10, "inpaint": 0.07, "deepfake": 0.07,
}  # fmt: skip
LETTERS: Final = {
    "self_blend": "A", "drift": "B", "kinematic": "C", "borrow": "D", "swap": "E", "repaint": "F", "reanimate": "G",
    "render": "R", "inpaint": "I", "deepfake": "S", "true": "X",
}  # fmt: skip
MOVING: Final = frozenset({"kinematic", "borrow", "reanimate", "render"})
"""Families that need a source that moves."""


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


# -----------------------------------------------------------------------------
# Shared steps


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


def machined(bench: Bench, pictures: Tensor, share: float) -> Tensor:
    """With chance `share` what a generator would make of the pictures, or a resampler; else as they are."""
    if not bench.draw.chance(share):
        return pictures
    return painted(bench, pictures) if bench.draw.chance(0.75) else resampled(bench, pictures)


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


# -----------------------------------------------------------------------------
# Families


def self_blend(bench: Bench) -> Forged:
    """A: a changed copy of the same faces, laid over them (SBI, SBV; with FIA-USA's re-synthesis and regions)."""
    draw, count, base = bench.draw, bench.count, bench.window.flat
    angle, scale = draw.normal(0.02, count), draw.normal(0.02, count).exp()
    cos, sin = angle.cos() * scale, angle.sin() * scale
    matrix = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], 1)
    middle = bench.window.points.mean(dim=(1, 2))
    move = draw.normal(0.018, count, 2) * 128
    shift = middle - torch.einsum("nij,nj->ni", matrix, middle) + move
    source = laid(base, spread(matrix), spread(shift)) if draw.chance(0.85) else base
    source = machined(bench, tinted(bench, source), 0.6)
    if draw.chance(0.3):
        source = sharpened(bench, source)
    mask = soft_mask(bench, bench.window.marks, ("face", "face", "inner", "lower", "mouth", "eyes", "eyes_mouth", "box"))
    return _blended(bench, source, mask)


def drift(bench: Bench) -> Forged:
    """B: eyes, brows, nose and mouth wander on their own (after VB, Yan et al. 2025)."""
    draw, window, count = bench.draw, bench.window, bench.count
    unit = eye_distance(window.marks)
    grid = pixel_grid(CANVAS, window.clips.device, 4)
    field = torch.zeros(len(unit), *grid.shape, device=grid.device)
    touched = torch.zeros(len(unit), 1, CANVAS // 2, CANVAS // 2, device=grid.device)
    for part, name in ((EYES, "eyes"), (BROW, "brows"), (NOSES, "nose"), (MOUTH, "mouth")):
        if draw.chance(0.35):
            continue
        law = draw.law(count, 4).flatten(0, 1)
        size = spread(draw.uniform(0.3, 1.0, count))[:, None]
        law = law * size * torch.tensor([0.045, 0.025, 0.022, 0.022], device=grid.device)
        middle = window.marks[:, part].mean(dim=1)
        away = grid[None] - middle[:, None, None]
        angle, zoom = law[:, 0, None, None], law[:, 1, None, None]
        turned = torch.stack([away[..., 0] * zoom - away[..., 1] * angle, away[..., 0] * angle + away[..., 1] * zoom], -1)
        moved = turned + (law[:, 2:] * unit[:, None])[:, None, None]
        near = torch.sigmoid((depth(name, window.marks, CANVAS)[:, None] + 0.06) / 0.06)
        field = field + moved * F.interpolate(near, size=grid.shape[:2], mode="area").permute(0, 2, 3, 1)
        touched = torch.maximum(touched, near)
    made = machined(bench, bend(window.flat, field), 0.25)
    mask = F.interpolate(touched, scale_factor=2.0, mode="bilinear", align_corners=False)
    return _forged(bench, made, mask)


def kinematic(bench: Bench) -> Forged:
    """C: parts of the face lag, overdo or hold still against the others (after KiMoI)."""
    draw, window, count = bench.draw, bench.window, bench.count
    points = window.points
    stable = points[:, :, STABLE]
    anchor = stable[:, :1].expand_as(stable).flatten(0, 1)
    matrix, shift = similarity(stable.flatten(0, 1), anchor)
    still = torch.einsum("nij,nkj->nki", matrix, window.marks) + shift[:, None]
    still = still.unflatten(0, (count, LENGTH))  # the face with the head's motion taken out
    moved = still.clone()
    for part in (MOUTH, EYES, BROW):
        kind = draw.rng.random()
        own = still[:, :, part]
        middle = own.mean(dim=1, keepdim=True)
        if kind < 0.3:
            own = middle + (own - middle) * draw.uniform(0.0, 2.2, count).view(-1, 1, 1, 1)
        elif kind < 0.6:
            lag = int(draw.rng.integers(1, 5))
            own = torch.cat([own[:, :1].expand(-1, lag, -1, -1), own[:, :-lag]], dim=1)
        elif kind < 0.8:
            own = own + (draw.law(count, 1) * 0.05)[..., None] * (own - own.mean(dim=2, keepdim=True)) * 2
        moved[:, :, part] = own
    limit = eye_distance(points)[..., None, None] * 0.09
    change = (moved - still).clamp(-limit, limit)
    back = torch.linalg.inv(matrix)
    change = torch.einsum("nij,nkj->nki", back, change.flatten(0, 1))
    marks = window.marks
    field = spline(with_frame(marks[:, CONTROL], CANVAS), with_frame((marks + change)[:, CONTROL], CANVAS), CANVAS)
    made = machined(bench, bend(window.flat, field), 0.25)
    mask = torch.sigmoid((depth("face", marks, CANVAS)[:, None] + 0.05) / 0.05)
    return _forged(bench, made, F.interpolate(mask, scale_factor=2.0, mode="bilinear", align_corners=False))


def borrow(bench: Bench) -> Forged:
    """D: the mouth or lower face of another moment of the same clip, through a generator more often than not."""
    draw, window = bench.draw, bench.window
    other = bench.gallery.look([bench.gallery.elsewhere(place, draw.rng) for place in bench.places], draw.rng)
    matrix, shift = similarity(other.marks[:, STABLE], window.marks[:, STABLE])
    made = machined(bench, laid(other.flat, matrix, shift), 0.6)
    mask = soft_mask(bench, window.marks, ("lower", "lower", "mouth"))
    made = matched(made, window.flat, mask) if draw.chance(0.6) else tinted(bench, made, 0.4)
    return _blended(bench, made, mask)


def swap(bench: Bench) -> Forged:
    """E: another person's face, bent to these landmarks."""
    draw, window = bench.draw, bench.window
    donor = bench.gallery.look([bench.gallery.donor(place, draw.rng) for place in bench.places], draw.rng)
    pictures, own = donor.flat, donor.marks
    if draw.chance(0.4):  # one still, its texture frozen
        pictures = spread(donor.clips[:, 0])
        own = spread(donor.points[:, 0])
    made = machined(bench, fitted(window, pictures, own), 0.6)
    mask = soft_mask(bench, window.marks, ("face", "face", "inner"))
    made = matched(made, window.flat, mask) if draw.chance(0.85) else made
    return _blended(bench, made, mask, least=0.75)


def repaint(bench: Bench) -> Forged:
    """F: the face or the whole picture through a generator."""
    draw, window = bench.draw, bench.window
    made = painted(bench, window.flat)
    if draw.chance(0.25):
        made = painted(bench, made)
    if draw.chance(0.3):
        made = sharpened(bench, made)
    if draw.chance(0.5):
        return _forged(bench, made, torch.ones_like(made[:, :1]))
    return _blended(bench, made, soft_mask(bench, window.marks, ("face", "inner", "box", "lower")), least=0.7)


def reanimate(bench: Bench) -> Forged:
    """G: one picture bent to the motion of the clip; the whole picture is made of it."""
    window, which = bench.window, int(bench.draw.rng.integers(LENGTH))
    pictures, own = spread(window.clips[:, which]), spread(window.points[:, which])
    made = machined(bench, fitted(window, pictures, own), 0.75)
    if bench.draw.chance(0.3):
        return _blended(bench, made, soft_mask(bench, window.marks, ("face", "inner")), least=0.9)
    return _forged(bench, made, torch.ones_like(made[:, :1]))


def render(bench: Bench) -> Forged:
    """R: a renderer makes every frame from one picture and the landmarks, as talking heads are made."""
    window, draw = bench.window, bench.draw
    if not bench.zoo.renderers:
        return reanimate(bench)
    if draw.chance(0.5):
        source = bench.gallery.look([bench.gallery.elsewhere(place, draw.rng) for place in bench.places], draw.rng)
    else:
        source = window
    still, own = spread(source.clips[:, 0]), spread(source.points[:, 0])
    whole = draw.chance(0.6)
    mask = torch.ones_like(still[:, :1]) if whole else hole(window.marks, CANVAS, lower=False)
    made = _rendered(bench, still, own, mask)
    if draw.chance(0.3):
        made = sharpened(bench, made)
    if draw.chance(0.25):
        made = painted(bench, made)
    return _forged(bench, made, mask)


def inpaint(bench: Bench) -> Forged:
    """I: a renderer fills the lower face, with landmarks of another moment where there is one, as lip-sync does."""
    window, draw = bench.window, bench.draw
    if not bench.zoo.renderers:
        return borrow(bench)
    still, own = spread(window.clips[:, 0]), spread(window.points[:, 0])
    other = bench.gallery.look([bench.gallery.elsewhere(place, draw.rng) for place in bench.places], draw.rng)
    matrix, shift = similarity(other.marks[:, STABLE], window.marks[:, STABLE])
    spoken = torch.einsum("nij,nkj->nki", matrix, other.marks) + shift[:, None]
    marks = window.marks.clone()
    if draw.chance(0.7):
        marks[:, MOUTH] = spoken[:, MOUTH]
    mask = hole(marks, CANVAS, lower=True)
    made = _rendered(bench, still, own, mask, marks)
    if draw.chance(0.3):
        made = sharpened(bench, made)
    if draw.chance(0.5):
        mask = soft_mask(bench, window.marks, ("lower", "mouth"))
    return _blended(bench, made, mask, least=0.9)


def deepfake(bench: Bench) -> Forged:
    """S: another person's decoder says what the face shows; laid back with a mask and matched colours."""
    window, draw, zoo = bench.window, bench.draw, bench.zoo
    if zoo.swapper is None:
        return swap(bench)
    face, matrix, shift = aligned(window.flat, window.marks)
    who = torch.from_numpy(draw.rng.integers(0, len(zoo.people), bench.count)).to(face.device)
    with torch.inference_mode(), torch.autocast(face.device.type, torch.bfloat16):
        made = zoo.swapper(face, spread(who))
    made = made.clone()
    if draw.chance(0.4):
        made = made + draw.uniform(0.3, 1.2, 1) * (made - smoothed(made, torch.ones(len(made), device=made.device)))
    wide = F.pad(made.clamp(0, 1), (0, CANVAS - made.shape[-1], 0, CANVAS - made.shape[-2]), mode="replicate")
    back = torch.linalg.inv(matrix)
    made = laid(wide, back, -torch.einsum("nij,nj->ni", back, shift))
    mask = soft_mask(bench, window.marks, ("inner", "inner", "face"))
    edge = F.pad(torch.ones_like(face[:, :1]), (0, CANVAS - face.shape[-1], 0, CANVAS - face.shape[-2]))
    mask = mask * laid(edge, back, -torch.einsum("nij,nj->ni", back, shift), "bilinear").clamp(0, 1)
    made = matched(made, window.flat, mask) if draw.chance(0.9) else made
    return _blended(bench, made, mask, least=0.85)


def _rendered(bench: Bench, still: Tensor, own: Tensor, mask: Tensor, marks: Tensor | None = None) -> Tensor:
    window, zoo = bench.window, bench.zoo
    net = zoo.renderers[bench.draw.rng.integers(len(zoo.renderers))]
    asked = order(still, own, window.flat, window.marks if marks is None else marks, mask)
    with torch.inference_mode(), torch.autocast(still.device.type, torch.bfloat16):
        made = net(asked.contiguous(memory_format=torch.channels_last))
    return made.clone().clamp(0, 1)


def _blended(bench: Bench, made: Tensor, mask: Tensor, least: float = 0.0) -> Forged:
    """Laid over the window with a share drawn a clip: SBI's ratios, or at least `least`."""
    if least:
        share = bench.draw.uniform(least, 1, bench.count)
    else:
        options = np.array([0.3, 0.5, 0.75, 1, 1, 1, 1])
        picked = options[bench.draw.rng.integers(0, len(options), bench.count)]
        share = torch.from_numpy(picked.astype(np.float32)).to(made.device, non_blocking=True)
    return _forged(bench, made, mask * spread(share).view(-1, 1, 1, 1))


def _forged(bench: Bench, made: Tensor, mask: Tensor) -> Forged:
    base = bench.window.flat
    out = base + (made - base) * mask
    shape = (bench.count, LENGTH)
    return Forged(out.clamp(0, 1).unflatten(0, shape), mask.unflatten(0, shape))


FAMILIES: Final[dict[str, Callable[[Bench], Forged]]] = {
    "self_blend": self_blend, "drift": drift, "kinematic": kinematic, "borrow": borrow, "swap": swap,
    "repaint": repaint, "reanimate": reanimate, "render": render, "inpaint": inpaint, "deepfake": deepfake,
}  # fmt: skip
