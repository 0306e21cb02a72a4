"""Generators of our own, trained on the card before anything is forged: painters, renderers, and a swapper.

painter    a face, painted again through a narrow code (autoencoders, VAEs, quantised codes, super-resolution)
renderer   a still warped to other landmarks, or a face with its mouth cut out, made into a whole face: what
           talking heads, re-enactment and lip-sync do
denoiser   noise laid over a face and taken off again in a few steps: talking heads and enhancers of the diffusion kind
swapper    one encoder for everybody and a decoder conditioned on the person: the recipe of the first face swaps
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scanner.training.gpu.denoiser import Denoiser, DenoiserRecipe
from scanner.training.gpu.geometry import (
    BROW,
    CONTROL,
    EYES,
    JAWLINE,
    MOUTH,
    NOSES,
    STABLE,
    bend,
    depth,
    laid,
    pixel_grid,
    similarity,
    spline,
    with_frame,
)
from scanner.training.zoo import Generator as Painter
from scanner.training.zoo import Recipe, upsampler

NetT = TypeVar("NetT", bound=nn.Module)

PAINTERS: Final = (
    Recipe("ae4-nearest-l1", 2, 8, "nearest", seed=1, width=24),
    Recipe("ae4-transposed-l2", 2, 6, "transposed", loss="l2", seed=2, width=24),
    Recipe("vae8-nearest-gan", 3, 8, "nearest", code="noise", loss="gan", seed=3, width=40),
    Recipe("vae8-bilinear-edge", 3, 6, "bilinear", code="noise", loss="edge", seed=9, width=40),
    Recipe("ae8-shuffle-gan", 3, 16, "shuffle", loss="gan", seed=7, width=40),
    Recipe("ae8-transposed-gan", 3, 12, "transposed", loss="gan", seed=10, width=32),
    Recipe("fsq4-bilinear-edge", 2, 8, "bilinear", code="rounded", loss="edge", seed=4, width=32),
    Recipe("fsq8-nearest-gan", 3, 16, "nearest", code="rounded", loss="gan", seed=11, width=40),
    Recipe("sr4-shuffle-gan", 0, 32, "shuffle", loss="gan", shrink=4, seed=5, width=24),
    Recipe("sr4-nearest-gan", 0, 32, "nearest", loss="gan", shrink=4, seed=8, width=32),
    Recipe("sr2-transposed-edge", 0, 24, "transposed", loss="edge", shrink=2, seed=6, width=24),
    Recipe("sr2-shuffle-gan", 0, 24, "shuffle", loss="gan", shrink=2, seed=12, width=24),
)


@dataclass(frozen=True, slots=True)
class RendererRecipe:
    """One renderer."""

    name: str
    width: int
    up: str
    critic: bool
    seed: int


RENDERERS: Final = (
    RendererRecipe("r24-nearest-gan", 24, "nearest", critic=True, seed=21),
    RendererRecipe("r32-transposed-gan", 32, "transposed", critic=True, seed=22),
    RendererRecipe("r24-bilinear-l1", 24, "bilinear", critic=False, seed=23),
    RendererRecipe("r32-shuffle-gan", 32, "shuffle", critic=True, seed=24),
)


class Critic(nn.Sequential):
    """A patch critic with spectral norms."""

    def __init__(self, channels: int = 3, width: int = 48) -> None:
        sn = nn.utils.parametrizations.spectral_norm
        super().__init__(
            sn(nn.Conv2d(channels, width, 4, 2, 1)), nn.LeakyReLU(0.2),
            sn(nn.Conv2d(width, 2 * width, 4, 2, 1)), nn.LeakyReLU(0.2),
            sn(nn.Conv2d(2 * width, 4 * width, 4, 2, 1)), nn.LeakyReLU(0.2),
            sn(nn.Conv2d(4 * width, 4 * width, 3, 1, 1)), nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, 1, 1),
        )  # fmt: skip


class _Mix(nn.Module):
    """Two convolutions with a norm."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(cin, cout, 3, padding=1), nn.GroupNorm(4, cout), nn.SiLU(),
            nn.Conv2d(cout, cout, 3, padding=1), nn.GroupNorm(4, cout), nn.SiLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.body(x))


class Renderer(nn.Module):
    """A U-Net: what the picture should show, and with what texture → the picture."""

    INPUTS: Final = 3 + 3 + 1 + 5

    def __init__(self, recipe: RendererRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        w = [recipe.width * k for k in (1, 2, 4, 6, 6)]
        self.enter = _Mix(self.INPUTS, w[0])
        self.down = nn.ModuleList(nn.Sequential(nn.Conv2d(w[k], w[k], 4, 2, 1), _Mix(w[k], w[k + 1])) for k in range(4))
        self.up = nn.ModuleList(upsampler(recipe.up, w[k + 1], w[k]) for k in reversed(range(4)))
        self.join = nn.ModuleList(_Mix(2 * w[k], w[k]) for k in reversed(range(4)))
        self.leave = nn.Conv2d(w[0], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, INPUTS, S, S) → (N, 3, S, S) in [0, 1]; S divides by 16."""
        kept = [self.enter(x)]
        for down in self.down:
            kept.append(down(kept[-1]))
        out = kept.pop()
        for up, join in zip(self.up, self.join, strict=True):
            out = join(torch.cat([up(out), kept.pop()], dim=1))
        return self.leave(out).float().sigmoid()


class Swapper(nn.Module):
    """Faces of 96 pixels; one encoder, and a decoder whose channels are scaled and shifted for the person."""

    SIDE: Final = 96

    def __init__(self, people: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 64, 5, 2, 2), nn.LeakyReLU(0.1), nn.Conv2d(64, 128, 5, 2, 2), nn.LeakyReLU(0.1),
            nn.Conv2d(128, 256, 5, 2, 2), nn.LeakyReLU(0.1), nn.Conv2d(256, 384, 5, 2, 2), nn.LeakyReLU(0.1),
            nn.Flatten(), nn.Linear(384 * 36, 512), nn.Linear(512, 384 * 36),
        )  # fmt: skip
        self.person = nn.Embedding(people, 128)
        widths = (384, 320, 192, 128, 64)
        self.style = nn.ModuleList(nn.Linear(128, 2 * c) for c in widths[:-1])
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[k], widths[k + 1] * 4, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(0.1))
            for k in range(4)
        )
        self.leave = nn.Conv2d(64, 3, 5, padding=2)

    def forward(self, x: Tensor, person: Tensor) -> Tensor:
        """(N, 3, 96, 96) in [0, 1] and (N,) people → the same expressions on those people's faces."""
        out = self.encoder(x).view(-1, 384, 6, 6)
        who = self.person(person)
        for style, up in zip(self.style, self.up, strict=True):
            scale, shift = style(who)[..., None, None].chunk(2, dim=1)
            out = up(out * (1 + scale) + shift)
        return self.leave(out).float().sigmoid()


# -----------------------------------------------------------------------------
# What a renderer is shown


def drawing(points: Tensor, size: int) -> Tensor:
    """(N, 5, size, size): soft dots of the mouth, eyes, brows, nose and jaw."""
    grid = pixel_grid(size, points.device, 2).reshape(1, -1, 2).expand(len(points), -1, -1)
    layers = []
    for part in (MOUTH, EYES, BROW, NOSES, JAWLINE):
        near = torch.cdist(grid, points[:, part]).amin(dim=2)
        layers.append(torch.exp(-near.square() / 18))
    out = torch.stack(layers, dim=1).unflatten(2, (size // 2, size // 2))
    return F.interpolate(out, scale_factor=2.0, mode="bilinear", align_corners=False)


def hole(points: Tensor, size: int, lower: bool) -> Tensor:
    """(N, 1, size, size) in [0, 1]: what the renderer has to fill: the lower face, or the whole face and its border."""
    inside = depth("lower" if lower else "face", points, size)[:, None]
    mask = torch.sigmoid((inside + (0.02 if lower else 0.25)) / 0.02)
    return F.interpolate(mask, scale_factor=2.0, mode="bilinear", align_corners=False)


def order(still: Tensor, own: Tensor, target: Tensor, points: Tensor, mask: Tensor) -> Tensor:
    """The renderer's input: the still warped from its `own` points to `points`, the target with a hole, the drawing.

    Args:
        still: (N, 3, S, S), own: (N, K, 2), target: (N, 3, S, S), points: (N, K, 2), mask: (N, 1, S, S).
    """
    size = target.shape[-1]
    field = spline(with_frame(own[:, CONTROL], size), with_frame(points[:, CONTROL], size), size)
    warped = bend(still, field, "bilinear")
    return torch.cat([warped, target * (1 - mask), mask, drawing(points, size)], dim=1)


# -----------------------------------------------------------------------------
# Faces for the swapper


def template(points: Tensor) -> Tensor:
    """(N, S, 2): where the stable points lie in the swapper's square: eyes level, mouth and chin inside."""
    side = Swapper.SIDE
    places = [
        (0.22, 0.34),
        (0.41, 0.35),
        (0.59, 0.35),
        (0.78, 0.34),
        (0.5, 0.31),
        (0.5, 0.37),
        (0.5, 0.55),
        (0.5, 0.61),
    ]
    return points.new_tensor(places).expand(len(points), -1, -1) * side


def aligned(pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The swapper's squares (N, 3, 96, 96), and the matrix and shift that brought pictures there."""
    matrix, shift = similarity(points[:, STABLE], template(points))
    return laid(pictures, matrix, shift, "bilinear")[..., : Swapper.SIDE, : Swapper.SIDE], matrix, shift


@dataclass
class Zoo:
    """The trained generators."""

    painters: list[Painter] = field(default_factory=list)
    renderers: list[Renderer] = field(default_factory=list)
    swapper: Swapper | None = None
    people: list[str] = field(default_factory=list)
    denoisers: list[Denoiser] = field(default_factory=list)


def open_zoo(folder: Path, people: list[str], device: torch.device, *, swapper: bool = True) -> Zoo:
    """What keepers have left in `folder`; a swapper wants the people whom it was trained on."""
    zoo = Zoo(people=people)
    for path in sorted(folder.glob("*.pt")):
        told = torch.load(path, weights_only=True, map_location=device)
        if "kind" not in told:
            continue  # weights alone, of the zoo of the CPU
        if told["kind"] == "painter":
            zoo.painters.append(_ready(Painter(Recipe(**told["recipe"])), told["state"], device))
        elif told["kind"] == "renderer":
            zoo.renderers.append(_ready(Renderer(RendererRecipe(**told["recipe"])), told["state"], device))
        elif told["kind"] == "denoiser":
            zoo.denoisers.append(_ready(Denoiser(DenoiserRecipe(**told["recipe"])), told["state"], device))
        elif swapper:
            zoo.swapper = _ready(Swapper(len(people)), told["state"], device)
    return zoo


def _ready(net: NetT, state: dict[str, Tensor], device: torch.device) -> NetT:
    net.load_state_dict(state)
    return net.to(device, memory_format=torch.channels_last).eval().requires_grad_(requires_grad=False)
