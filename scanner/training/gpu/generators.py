"""Generators of our own, trained on the card before anything is forged: painters, renderers, and a swapper.

    painter    a face, painted again through a narrow code (autoencoders, VAEs, quantised codes, super-resolution)
    renderer   a still warped to other landmarks, or a face with its mouth cut out, made into a whole face: what
               talking heads, re-enactment and lip-sync do
    swapper    one encoder for everybody and a decoder conditioned on the person: the recipe of the first face swaps
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from numpy.random import Generator as Rng
from torch import Tensor, nn
from torch.nn import functional as F

from scanner.training.gpu.gallery import Gallery, Window
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
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(w[k], w[k], 4, 2, 1), _Mix(w[k], w[k + 1])) for k in range(4)
        )
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
# Training


@dataclass
class Zoo:
    """The trained generators."""

    painters: list[Painter] = field(default_factory=list)
    renderers: list[Renderer] = field(default_factory=list)
    swapper: Swapper | None = None
    people: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def _edges(x: Tensor, y: Tensor) -> Tensor:
    return F.l1_loss(x[..., 1:, :] - x[..., :-1, :], y[..., 1:, :] - y[..., :-1, :]) + F.l1_loss(
        x[..., 1:] - x[..., :-1], y[..., 1:] - y[..., :-1]
    )


def _fit(
    net: nn.Module,
    steps: int,
    example: Callable[[], tuple[Tensor, Tensor]],
    make: Callable[[Tensor], Tensor],
    loss: str,
    halted: Callable[[], bool],
) -> float:
    """Adam and a one-cycle rate; with `gan` a hinge critic joins after a third. Gives the last fidelity."""
    critic = Critic().to(next(net.parameters()).device) if loss == "gan" else None
    opt = torch.optim.AdamW(net.parameters(), 1e-3, betas=(0.8, 0.99), weight_decay=1e-4)
    judge = torch.optim.Adam(critic.parameters(), 5e-4, betas=(0.5, 0.99)) if critic else None
    device = next(net.parameters()).device
    far = torch.zeros((), device=device)
    for step in range(steps):
        if halted():
            break
        for group in opt.param_groups:
            group["lr"] = 1.2e-3 * min(1.0, (step + 1) / 50) * (0.03 + 0.97 * (1 - step / steps))
        given, wanted = example()
        with torch.autocast(device.type, torch.bfloat16):
            made = make(given)
        made = made.float()
        far = F.l1_loss(made, wanted)
        total = 4 * F.mse_loss(made, wanted) if loss == "l2" else far
        if loss in ("edge", "gan"):
            total = total + 2 * _edges(made, wanted)
        if critic is not None and judge is not None and step > steps // 3:
            total = total - 0.02 * critic(made).mean()
        opt.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        if critic is not None and judge is not None and step > steps // 4:
            verdict = F.relu(1 - critic(wanted)).mean() + F.relu(1 + critic(made.detach())).mean()
            judge.zero_grad(set_to_none=True)
            verdict.backward()
            judge.step()
    net.eval().requires_grad_(requires_grad=False)
    return float(far.detach())


def _windows(gallery: Gallery, rng: Rng, count: int) -> Iterator[Window]:
    while True:
        yield gallery.look([gallery.real(rng, 0.4) for _ in range(count)], rng)


class Keeper:
    """Trains generators beside the detector and leaves them in a folder: first every recipe, then new ones without end.

    A detector that always sees the same few painters learns their fingerprints. From the second round on each painter
    is drawn at random, and takes the place of the oldest.
    """

    def __init__(
        self, gallery: Gallery, out: Path, steps: int, seed: int, note: Callable[[str], None], batch: int = 32
    ) -> None:
        self._people = sorted(gallery.people)
        self._gallery, self._out, self._steps, self._seed = gallery, out, steps, seed
        self._note, self._batch = note, batch
        self._rng = np.random.default_rng(seed)
        self._kept = 0
        self._halted: Callable[[], bool] = lambda: False

    def work(self, halted: Callable[[], bool]) -> None:
        """Goes on until `halted` says so."""
        self._halted = halted
        pool = _Pool(self._gallery, self._rng, self._people)
        order: list[Recipe | RendererRecipe | None] = [None]  # None is the swapper
        painters, renderers = list(PAINTERS), list(RENDERERS)
        while painters or renderers:
            order += [*renderers[:1], *painters[:3]]
            renderers, painters = renderers[1:], painters[3:]
        for recipe in chain(order, self._new()):
            if halted():
                return
            if recipe is None:
                self._swapper(pool)
            elif isinstance(recipe, RendererRecipe):
                self._renderer(recipe, pool)
            else:
                self._painter(recipe, pool)

    def _new(self) -> Iterator[Recipe]:
        for number in count(100):
            yield random_recipe(self._rng, number)

    def _painter(self, recipe: Recipe, pool: _Pool) -> None:
        torch.manual_seed(recipe.seed)
        net = Painter(recipe).to(self._gallery.device, memory_format=torch.channels_last)
        began = time.perf_counter()
        far = _fit(net, self._steps, lambda: pool.patches(self._batch), net, recipe.loss, self._halted)
        self._keep("painter", net, recipe, far / 2, 0.07, began)

    def _renderer(self, recipe: RendererRecipe, pool: _Pool) -> None:
        torch.manual_seed(recipe.seed)
        net = Renderer(recipe).to(self._gallery.device, memory_format=torch.channels_last)
        began = time.perf_counter()
        loss = "gan" if recipe.critic else "edge"
        far = _fit(net, self._steps, lambda: pool.orders(self._batch // 2), net, loss, self._halted)
        self._keep("renderer", net, recipe, far, 0.08, began)

    def _swapper(self, pool: _Pool) -> None:
        torch.manual_seed(self._seed)
        net = Swapper(len(self._people)).to(self._gallery.device)
        began = time.perf_counter()
        example = lambda: pool.faces(2 * self._batch)  # noqa: E731  # read where it is used
        far = _fit(net, 3 * self._steps, example, lambda x: net(x, pool.who), "edge", self._halted)
        self._keep("swapper", net, None, far, 0.08, began)

    def _keep(
        self, kind: str, net: nn.Module, recipe: Recipe | RendererRecipe | None, far: float, most: float, began: float
    ) -> None:
        if self._halted():
            return
        name = recipe.name if recipe else kind
        fine = far <= most
        if fine:
            path = self._out / f"{self._kept:04d}-{kind}.pt"
            told = asdict(recipe) if recipe else {}
            torch.save({"kind": kind, "recipe": told, "state": net.state_dict()}, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
            self._kept += 1
        fate = "kept" if fine else f"not kept (over {most})"
        self._note(f"{name}: {time.perf_counter() - began:.1f} s, {far:.4f} from its task, {fate}")


MOST: Final = 16
"""Painters, and renderers, that forge at a time."""


def refreshed(zoo: Zoo, folder: Path, device: torch.device) -> None:
    """Takes in what the keeper has left in `folder` since; the oldest painters make room."""
    for path in sorted(folder.glob("*.pt")):
        if path.name in zoo.seen:
            continue
        zoo.seen.add(path.name)
        told = torch.load(path, weights_only=True, map_location=device)
        if told["kind"] == "painter":
            net: nn.Module = Painter(Recipe(**told["recipe"]))
        elif told["kind"] == "renderer":
            net = Renderer(RendererRecipe(**told["recipe"]))
        else:
            net = Swapper(len(zoo.people))
        net.load_state_dict(told["state"])
        net.to(device).eval().requires_grad_(requires_grad=False)
        if isinstance(net, Painter):
            zoo.painters.append(net.to(memory_format=torch.channels_last))
            del zoo.painters[:-MOST]
        elif isinstance(net, Renderer):
            zoo.renderers.append(net.to(memory_format=torch.channels_last))
        elif isinstance(net, Swapper):
            zoo.swapper = net


def random_recipe(rng: Rng, number: int) -> Recipe:
    """A painter that nobody wrote down."""
    shrink = int(rng.choice([1, 1, 1, 2, 4]))
    downs = int(rng.choice([2, 3])) if shrink == 1 else 0
    latent = int(rng.choice([4, 6, 8, 12, 16] if downs == 3 else [3, 4, 6, 8])) if downs else 24
    up = str(rng.choice(["nearest", "bilinear", "transposed", "shuffle"]))
    code = str(rng.choice(["plain", "noise", "rounded"])) if downs else "plain"
    loss = str(rng.choice(["l1", "l2", "edge", "gan", "gan"]))
    name = f"{number}-{downs}{shrink}-{latent}-{up}-{code}-{loss}"
    return Recipe(name, downs, latent, up, code, loss, shrink, int(rng.choice([16, 24, 32, 40])), seed=number)


class _Pool:
    """Windows drawn now and then and used many times: drawing one costs more than a step of a small net."""

    def __init__(self, gallery: Gallery, rng: Rng, people: list[str], size: int = 6, clips: int = 16) -> None:
        self._source = _windows(gallery, rng, clips)
        self._gallery, self._rng = gallery, rng
        self._held = [next(self._source) for _ in range(size)]
        self._turn = 0
        self.people = people
        self.who = torch.zeros(0, dtype=torch.long)
        self._named: list[tuple[Window, Tensor]] = []

    def _window(self) -> Window:
        self._turn += 1
        if self._turn % 4 == 0:
            self._held[self._rng.integers(len(self._held))] = next(self._source)
        return self._held[self._rng.integers(len(self._held))]

    def patches(self, count: int) -> tuple[Tensor, Tensor]:
        """Patches of 96 pixels in [-1, 1], at several sizes; input and target are the same."""
        window = self._window().flat
        some = window[torch.from_numpy(self._rng.permutation(len(window))[:count]).to(window.device)]
        side = int(self._rng.choice([144, 176, 208, 224]))
        some = F.interpolate(some, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        x, y = self._rng.integers(0, side - 96 + 1, 2).tolist()
        patch = (some[..., y : y + 96, x : x + 96] * 2 - 1).contiguous(memory_format=torch.channels_last)
        return patch, patch

    def orders(self, count: int) -> tuple[Tensor, Tensor]:
        """What a renderer is given and what it should make of it: two frames of one clip, 192 pixels a side."""
        window = self._window()
        device = window.clips.device
        clips = torch.from_numpy(self._rng.integers(0, len(window.clips), count)).to(device)
        a, b = torch.from_numpy(self._rng.integers(0, window.clips.shape[1], (2, count))).to(device)
        still, target = window.clips[clips, a], window.clips[clips, b]
        own, points = window.points[clips, a], window.points[clips, b]
        mask = hole(points, target.shape[-1], lower=bool(self._rng.random() < 0.4))
        if self._rng.random() < 0.35:
            mask = torch.ones_like(mask)
        given = order(still, own, target, points, mask)[..., 16:-16, 16:-16]
        return given, target[..., 16:-16, 16:-16]

    def faces(self, count: int) -> tuple[Tensor, Tensor]:
        """Faces cut for the swapper, bent a little; `who` says whose they are."""
        self._turn += 1
        if not self._named or (self._turn % 4 == 0):
            places = [self._gallery.clip(self._rng, 0.7) for _ in range(16)]
            who = torch.tensor([self.people.index(place.entry.row.person) for place in places])
            fresh = (self._gallery.look(places, self._rng), who.to(self._gallery.device))
            self._named = [*self._named[-7:], fresh]
        window, who = self._named[self._rng.integers(len(self._named))]
        pick = torch.from_numpy(self._rng.integers(0, len(window.flat), count)).to(who.device)
        self.who = who[pick // window.clips.shape[1]]
        face = aligned(window.flat[pick], window.marks[pick])[0]
        noise = torch.randn(count, 2, 6, 6, device=face.device) * 2.0
        field = F.interpolate(noise, size=(24, 24), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
        return bend(face, field, "bilinear"), face


# -----------------------------------------------------------------------------
# Faces for the swapper


def template(points: Tensor) -> Tensor:
    """(N, S, 2): where the stable points lie in the swapper's square: eyes level, mouth and chin inside."""
    side = Swapper.SIDE
    places = [(0.22, 0.34), (0.41, 0.35), (0.59, 0.35), (0.78, 0.34), (0.5, 0.31), (0.5, 0.37), (0.5, 0.55), (0.5, 0.61)]
    return points.new_tensor(places).expand(len(points), -1, -1) * side


def aligned(pictures: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The swapper's squares (N, 3, 96, 96), and the matrix and shift that brought pictures there."""
    matrix, shift = similarity(points[:, STABLE], template(points))
    return laid(pictures, matrix, shift, "bilinear")[..., : Swapper.SIDE, : Swapper.SIDE], matrix, shift
