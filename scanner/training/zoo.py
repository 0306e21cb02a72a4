"""A zoo of small generators of our own: what paints a forged face, in many kinds.

Each is trained for minutes on patches of real faces and then only re-paints what it is shown. Their faults differ by
bottleneck, up-sampler, loss and seed, as those of published generators do. Weights stay out of the repository; the
recipes are here.

    python -m scanner.training.zoo CORPUS CACHE ZOO [NAME…]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from scanner.training.data import Kind, Role, Source, read_corpus, roles
from scanner.training.forge.layers import Pixels, Resynth
from scanner.training.forge.warp import lay


@dataclass(frozen=True, slots=True)
class Recipe:
    """One generator."""

    name: str
    downs: int
    "Halvings between picture and code."
    latent: int
    up: str
    "nearest, bilinear, transposed or shuffle."
    code: str = "plain"
    "plain, noise (a VAE's sampling) or rounded (finite scalar quantisation)."
    loss: str = "l1"
    "l1, l2, edge (l1 and gradients) or gan (edge and a patch critic)."
    shrink: int = 1
    "How much smaller the net's input is than its output: 2 and 4 make a super-resolver."
    width: int = 16
    steps: int = 2500
    seed: int = 0


RECIPES: Final = (
    Recipe("ae4-nearest-l1", 2, 8, "nearest", seed=1),
    Recipe("ae4-transposed-l2", 2, 6, "transposed", loss="l2", seed=2),
    Recipe("vae8-nearest-gan", 3, 16, "nearest", code="noise", loss="gan", seed=3),
    Recipe("fsq4-bilinear-edge", 2, 8, "bilinear", code="rounded", loss="edge", seed=4),
    Recipe("sr4-shuffle-gan", 0, 32, "shuffle", loss="gan", shrink=4, seed=5),
    Recipe("sr2-transposed-edge", 0, 24, "transposed", loss="edge", shrink=2, seed=6),
    Recipe("ae8-shuffle-edge", 3, 24, "shuffle", loss="edge", seed=7),
    Recipe("sr3-bilinear-gan", 0, 24, "bilinear", loss="gan", shrink=4, seed=8, width=14),
)
PATCH_PX: Final = 64
FARTHEST: Final = 0.25
"""A generator whose paintings differ by more from what they are of has collapsed (one colour is 0.5 away)."""
_LEVELS: Final = 7  # values a rounded code can take
_NOISE: Final = 0.15  # standard deviation of a sampled code, in units of the code's own


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.body(x))


def upsampler(kind: str, cin: int, cout: int) -> nn.Module:
    """Doubles the sides: nearest, bilinear, transposed or shuffle."""
    if kind == "transposed":
        return nn.ConvTranspose2d(cin, cout, 4, 2, 1)
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(cin, cout * 4, 3, padding=1), nn.PixelShuffle(2))
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=kind), nn.Conv2d(cin, cout, 3, padding=1))


class Generator(nn.Module):
    """Encoder, code, decoder; fully convolutional, so that it paints patches of any size that divides by 16."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        widths = [recipe.width * 2**k for k in range(4)]
        ups = recipe.downs + {1: 0, 2: 1, 4: 2}[recipe.shrink]
        encoder: list[nn.Module] = [nn.Conv2d(3, widths[min(ups - recipe.downs, 3)], 3, padding=1)]
        for k in range(ups - recipe.downs, ups):
            encoder += [nn.SiLU(), nn.Conv2d(widths[k], widths[min(k + 1, 3)], 4, 2, 1)]
        deep = widths[min(ups, 3)]
        encoder += [_Residual(deep), nn.SiLU(), nn.Conv2d(deep, recipe.latent, 3, padding=1)]
        decoder: list[nn.Module] = [nn.Conv2d(recipe.latent, deep, 3, padding=1), _Residual(deep), _Residual(deep)]
        for k in range(ups, 0, -1):
            decoder += [upsampler(recipe.up, widths[min(k, 3)], widths[k - 1]), nn.SiLU()]
        decoder += [nn.Conv2d(widths[0], widths[0], 3, padding=1), nn.SiLU(), nn.Conv2d(widths[0], 3, 3, padding=1)]
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] → the same, painted again."""
        if self.recipe.shrink > 1:
            x = F.interpolate(x, scale_factor=1 / self.recipe.shrink, mode="area")
        code = self.encoder(x)
        if self.recipe.code == "rounded":
            bounded = torch.tanh(code) * (_LEVELS - 1) / 2
            code = bounded + (bounded.round() - bounded).detach()
        elif self.recipe.code == "noise":
            drawn = torch.randn_like(code) if noise is None else noise.expand_as(code)
            code = F.layer_norm(code, code.shape[1:]) + _NOISE * drawn
        return cast(Tensor, self.decoder(code))


def _critic() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(24, 48, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Conv2d(48, 96, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(96, 1, 3, 1, 1),
    )  # fmt: skip


def _edges(x: Tensor) -> Tensor:
    return torch.cat([(x[..., 1:, :] - x[..., :-1, :]).flatten(1), (x[..., 1:] - x[..., :-1]).flatten(1)], dim=1)


def _fidelity(made: Tensor, real: Tensor, loss: str) -> Tensor:
    if loss == "l2":
        return 4 * F.mse_loss(made, real)
    out = F.l1_loss(made, real)
    return out if loss == "l1" else out + 2 * F.l1_loss(_edges(made), _edges(real))


def train_generator(recipe: Recipe, patches: NDArray[np.uint8], batch: int = 8) -> Generator:
    """A generator trained on patches (n, P, P, 3), in bfloat16: a third of the time where the CPU has AMX."""
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    net, critic = Generator(recipe).to(memory_format=torch.channels_last), _critic()
    opt = torch.optim.Adam(net.parameters(), 1e-3)
    judge = torch.optim.Adam(critic.parameters(), 4e-4, betas=(0.5, 0.99))
    for step in range(recipe.steps):
        for group in opt.param_groups:
            group["lr"] = 1.5e-3 * min(1.0, (step + 1) / 30) * (0.05 + 0.95 * (1 - step / recipe.steps))
        real = _tensor(patches[rng.integers(0, len(patches), batch)]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            made = net(real)
        made = made.float()
        loss = _fidelity(made, real, recipe.loss)
        adversarial = recipe.loss == "gan" and step > recipe.steps // 3
        if adversarial:
            loss = loss - 0.03 * critic(made).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        if recipe.loss == "gan" and step > recipe.steps // 4:
            verdict = F.relu(1 - critic(real)).mean() + F.relu(1 + critic(made.detach())).mean()
            judge.zero_grad(set_to_none=True)
            verdict.backward()
            judge.step()
        if step % 100 == 99:
            print(f"{recipe.name} {step + 1} {float(loss.detach()):.4f}", flush=True)
    net.eval()
    return net


@torch.inference_mode()
def distance(net: Generator, patches: NDArray[np.uint8]) -> float:
    """Mean absolute difference, in [0, 2], between patches (n, P, P, 3) and what the generator makes of them."""
    real = _tensor(patches)
    return float(F.l1_loss(net(real), real))


def _tensor(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


class Painter:
    """A trained generator as the forgeries call it."""

    def __init__(self, net: Generator) -> None:
        self._net = net

    def __call__(self, patches: Pixels, seed: int) -> Pixels:
        """(T, S, S, 3) painted again, frame by frame; a VAE's noise is the same in every frame for odd seeds."""
        torch.manual_seed(seed)
        side = patches.shape[1]
        pad = -side % 16
        whole = np.pad(patches, ((0, 0), (0, pad), (0, pad), (0, 0)), mode="edge")
        out = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            noise = self._noise(side + pad) if seed % 2 else None
            for picture in whole:
                made = self._net(_tensor(picture[None]), noise)[0].permute(1, 2, 0).float()
                out.append(((made + 1) * 127.5 + 0.5).clamp(0, 255).byte().numpy()[:side, :side])
        return np.stack(out)

    def _noise(self, side: int) -> Tensor:
        recipe = self._net.recipe
        cells = side // 2**recipe.downs // recipe.shrink
        return torch.randn(1, recipe.latent, cells, cells)


def open_zoo(folder: Path) -> tuple[Resynth, ...]:
    """The trained generators in `folder`."""
    nets: list[Resynth] = []
    for recipe in RECIPES:
        path = folder / f"{recipe.name}.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            if "kind" in state:
                continue  # of a GPU run, which has other recipes of that name
            net = Generator(recipe)
            net.load_state_dict(state)
            nets.append(Painter(net.eval()))
    return tuple(nets)


def patch_bank(sources: list[Source], cache: Path, count: int, seed: int = 0) -> NDArray[np.uint8]:
    """(count, P, P, 3): patches of real faces of people who may be trained on, at many sizes."""
    from scanner.training.sources import load  # noqa: PLC0415  # it brings the face detector

    rng = np.random.default_rng(seed)
    allowed = roles(sources)
    real = [s for s in sources if not s.fake and allowed[s.path] is Role.TRAIN]
    stills = [s for s in real if s.kind is Kind.STILL]
    clips = [s for s in real if s.kind is Kind.CLIP]
    out: list[NDArray[np.uint8]] = []
    while len(out) < count:
        group = stills if rng.random() < 0.5 else clips
        footage = load(group[rng.integers(len(group))], cache)
        if footage is None:
            continue
        for _ in range(8):
            t = int(rng.integers(len(footage.frames)))
            x0, y0, x1, y1 = footage.boxes[t]
            side = max(x1 - x0, y1 - y0) * rng.uniform(0.45, 1.4)
            centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.normal(0, 0.15, 2) * (x1 - x0)
            side = max(side, PATCH_PX * 0.9)
            scale = PATCH_PX / side
            matrix = np.array(
                [[scale, 0, PATCH_PX / 2 - scale * centre[0]], [0, scale, PATCH_PX / 2 - scale * centre[1]]]
            )
            out.append(lay(footage.frames[t], matrix, (PATCH_PX, PATCH_PX)))
    return np.stack(out[:count])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("names", nargs="*", help="recipes to train; all that are missing when none is named")
    args = parser.parse_args()
    args.zoo.mkdir(parents=True, exist_ok=True)
    bank = args.zoo / "patches.npy"
    if not bank.exists():
        np.save(bank, patch_bank(read_corpus(args.corpus), args.cache, 4000))
    patches = np.load(bank)
    for recipe in RECIPES:
        path = args.zoo / f"{recipe.name}.pt"
        if path.exists() or (args.names and recipe.name not in args.names):
            continue
        began = time.perf_counter()
        net = train_generator(recipe, patches)
        away = distance(net, patches[:64])
        if away <= FARTHEST:
            torch.save(net.state_dict(), path)
        fate = "kept" if away <= FARTHEST else f"not kept: farther than {FARTHEST}, it paints something else"
        print(f"{recipe.name}: {time.perf_counter() - began:.0f} s, {away:.3f} from its input, {fate}", flush=True)


if __name__ == "__main__":
    main()
