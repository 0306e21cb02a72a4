"""Training the generators, before anything is forged; `nets.py` says what they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator as Rng
from torch import Tensor, nn
from torch.nn import functional as F

from scanner.training.gpu.denoiser import DENOISERS, FARTHEST, Denoiser, DenoiserRecipe, drawn_levels, reach
from scanner.training.gpu.gallery import Gallery, Window
from scanner.training.gpu.geometry import bend
from scanner.training.gpu.nets import (
    PAINTERS,
    RENDERERS,
    Critic,
    Renderer,
    RendererRecipe,
    Swapper,
    aligned,
    hole,
    order,
)
from scanner.training.zoo import Generator as Painter
from scanner.training.zoo import Recipe

Asked = Recipe | RendererRecipe | DenoiserRecipe | None
"""What to train; None is the swapper."""


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
    weight: Callable[[], Tensor | float] = lambda: 1.0,
) -> float:
    """Adam and a one-cycle rate; with `gan` a hinge critic joins after a third. Gives the last fidelity.

    `weight` multiplies what is made and what is wanted, but not what a critic sees.
    """
    critic = Critic().to(next(net.parameters()).device) if loss == "gan" else None
    opt = torch.optim.AdamW(net.parameters(), 1e-3, betas=(0.8, 0.99), weight_decay=1e-4)
    judge = torch.optim.Adam(critic.parameters(), 5e-4, betas=(0.5, 0.99)) if critic else None
    device = next(net.parameters()).device
    far = torch.zeros((), device=device)
    for step in range(steps):
        for group in opt.param_groups:
            group["lr"] = 1.2e-3 * min(1.0, (step + 1) / 50) * (0.03 + 0.97 * (1 - step / steps))
        given, wanted = example()
        with torch.autocast(device.type, torch.bfloat16):
            made = make(given)
        made = made.float()
        near, goal = made * weight(), wanted * weight()
        far = F.l1_loss(near, goal)
        total = 4 * F.mse_loss(near, goal) if loss == "l2" else far
        if loss in ("edge", "gan"):
            total = total + 2 * _edges(near, goal)
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
    """Trains generators and leaves them in a folder; what is there already is not trained again.

    Processes share a card by turns, and beside a detector and its makers the generators came too late: so all of them
    are trained first, by a few keepers, each with its part of `plan`.
    """

    def __init__(
        self, gallery: Gallery, out: Path, steps: int, seed: int, note: Callable[[str], None], batch: int = 32
    ) -> None:
        self._people = sorted(gallery.people)
        self._gallery, self._out, self._steps, self._seed = gallery, out, steps, seed
        self._note, self._batch = note, batch
        self._rng = np.random.default_rng(seed)

    def work(self, part: list[Asked]) -> None:
        """Trains every recipe of a part of `plan`."""
        pool = _Pool(self._gallery, self._rng, self._people)
        for recipe in part:
            if self._path(recipe).exists():
                continue
            if recipe is None:
                self._swapper(pool)
            elif isinstance(recipe, RendererRecipe):
                self._renderer(recipe, pool)
            elif isinstance(recipe, DenoiserRecipe):
                self._denoiser(recipe, pool)
            else:
                self._painter(recipe, pool)

    def _path(self, recipe: Asked) -> Path:
        return self._out / f"{recipe.name if recipe else 'swapper'}.pt"

    def _painter(self, recipe: Recipe, pool: _Pool) -> None:
        torch.manual_seed(recipe.seed)
        net = Painter(recipe).to(self._gallery.device, memory_format=torch.channels_last)
        began = time.perf_counter()
        far = _fit(net, self._steps, lambda: pool.patches(self._batch), net, recipe.loss)
        self._keep("painter", net, recipe, far / 2, 0.07, began)

    def _renderer(self, recipe: RendererRecipe, pool: _Pool) -> None:
        torch.manual_seed(recipe.seed)
        net = Renderer(recipe).to(self._gallery.device, memory_format=torch.channels_last)
        began = time.perf_counter()
        loss = "gan" if recipe.critic else "edge"
        far = _fit(net, self._steps, lambda: pool.orders(self._batch // 2), net, loss)
        self._keep("renderer", net, recipe, far, 0.08, began)

    def _denoiser(self, recipe: DenoiserRecipe, pool: _Pool) -> None:
        torch.manual_seed(recipe.seed)
        net = Denoiser(recipe).to(self._gallery.device, memory_format=torch.channels_last)
        began = time.perf_counter()
        far = _fit(
            net,
            self._steps,
            lambda: pool.noised(self._batch),
            lambda x: net(x, pool.level),
            recipe.loss,
            lambda: 1 / reach(pool.level),
        )
        self._keep("denoiser", net, recipe, far, FARTHEST, began)

    def _swapper(self, pool: _Pool) -> None:
        torch.manual_seed(self._seed)
        net = Swapper(len(self._people)).to(self._gallery.device)
        began = time.perf_counter()
        far = _fit(net, 3 * self._steps, lambda: pool.faces(2 * self._batch), lambda x: net(x, pool.who), "edge")
        self._keep("swapper", net, None, far, 0.08, began)

    def _keep(self, kind: str, net: nn.Module, recipe: Asked, far: float, most: float, began: float) -> None:
        path = self._path(recipe)
        fine = far <= most
        if fine:
            told = asdict(recipe) if recipe else {}
            torch.save({"kind": kind, "recipe": told, "state": net.state_dict()}, path.with_suffix(".part"))
            path.with_suffix(".part").replace(path)
        fate = "kept" if fine else f"not kept (over {most})"
        self._note(f"{path.stem}: {time.perf_counter() - began:.1f} s, {far:.4f} from its task, {fate}")


def plan() -> list[Asked]:
    """All generators, the slow ones first."""
    return [None, *RENDERERS, *DENOISERS, *PAINTERS]


class _Pool:
    """Windows drawn now and then and used many times: drawing one costs more than a step of a small net."""

    def __init__(self, gallery: Gallery, rng: Rng, people: list[str], size: int = 6, clips: int = 16) -> None:
        self._source = _windows(gallery, rng, clips)
        self._gallery, self._rng = gallery, rng
        self._held = [next(self._source) for _ in range(size)]
        self._turn = 0
        self.people = people
        self.who = torch.zeros(0, dtype=torch.long)
        self.level = torch.zeros(0)
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

    def noised(self, count: int) -> tuple[Tensor, Tensor]:
        """Patches with noise and without it; `level` says how much."""
        patch, _ = self.patches(count)
        self.level = drawn_levels(len(patch), patch.device)
        return patch + torch.randn_like(patch) * self.level.view(-1, 1, 1, 1), patch

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
