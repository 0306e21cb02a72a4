"""What happens to both members of a pair on their way: filmed size, light, noise, encoders, shown size; then the crop.

on the card  filmed size ─▶ light, blur, noise, freezes ─▶ (a first encoder's blocks) ─▶ shown size
on the cores                                                        ─▶ H.264 or MPEG-4, as a stream is encoded
on the card                                                         ─▶ the square that production would cut
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import av
import numpy as np
import torch
from numpy.random import Generator as Rng
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from scanner.training.gpu.steps import Draw, smoothed, spread
from scanner.training.gpu.table import CANVAS, FACE_PX, LENGTH

SHOWN_PX: Final = (56.0, 200.0)
_PRESETS: Final = ("ultrafast", "superfast", "veryfast", "veryfast", "faster", "medium")


@dataclass(frozen=True, slots=True)
class Way:
    """One draw of sizes, shared by a batch."""

    filmed: int
    "Side of the canvas in pixels where the clip was made."
    shown: int
    "… where it is shown; even."
    kernel: str
    crop: int
    "Side of the square that is cut, in shown pixels; even."
    corners: tuple[tuple[int, int], ...]
    "Left and top of each pair's square; even, as production cuts."

    @staticmethod
    def drawn(rng: Rng, pairs: int, box_scale: float) -> Way:
        face = float(np.exp(rng.uniform(*np.log(SHOWN_PX))))
        origin = min(float(FACE_PX), max(face, 80.0))
        if rng.random() < 0.45:
            origin = float(np.exp(rng.uniform(np.log(min(60.0, origin)), np.log(origin))))
        face = min(face, 3 * origin)
        side = _even(CANVAS / FACE_PX * face)
        crop = _even(box_scale * face * math.exp(rng.uniform(-0.12, 0.12)))
        jitter = rng.uniform(-0.06, 0.06, (pairs, 2)) * crop
        corners = np.clip(np.round(((side - crop) / 2 + jitter) / 2) * 2, 0, side - crop).astype(int).tolist()
        kernel = str(rng.choice(["bilinear", "bicubic", "bicubic"]))
        return Way(_even(CANVAS / FACE_PX * origin), side, kernel, crop, tuple((x, y) for x, y in corners))


def _even(size: float) -> int:
    return max(round(size / 2) * 2, 32)


def aged(clips: Tensor, way: Way, draw: Draw, *, last: bool) -> Tensor:
    """(2, P, T, 3, CANVAS, CANVAS) in [0, 1] → (2, P, T, shown, shown, 3) uint8, ready for an encoder.

    With `last` most of them end with the blocks of a still picture's encoder instead.
    """
    pairs = clips.shape[1]
    x = _sized(clips.flatten(0, 2), way.filmed, "bicubic")

    def both(values: Tensor) -> Tensor:
        """(P,) or (P, n) → one row a picture, the same for both members and all frames."""
        return spread(values).repeat(2, *[1] * (values.ndim - 1))

    gain = both(1 + draw.normal(0.08, pairs)).view(-1, 1, 1, 1)
    gamma = both(draw.normal(0.12, pairs).exp()).view(-1, 1, 1, 1)
    colour = both(_colour(draw, pairs)).view(-1, 1, 1, 1)
    x = x.clamp(1e-4, 1).pow(gamma) * gain
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * colour
    if draw.chance(0.25):
        x = smoothed(x, both(draw.uniform(0.1, 1.4, pairs)))
    if draw.chance(0.12):
        soft = smoothed(x, both(draw.uniform(0.6, 1.4, pairs)))
        x = x + both(draw.uniform(0.2, 1.0, pairs)).view(-1, 1, 1, 1) * (x - soft)
    if draw.chance(0.35):
        grain = torch.randn(len(x), 1, *x.shape[2:], device=x.device)
        x = x + grain * both(draw.uniform(0.002, 0.03, pairs)).view(-1, 1, 1, 1)
    if draw.chance(0.1):
        pattern = torch.randn(1, 3, *x.shape[2:], device=x.device)
        x = x + pattern * both(draw.uniform(0.002, 0.012, pairs)).view(-1, 1, 1, 1)
    x = x.clamp(0, 1).unflatten(0, (2, pairs, LENGTH))
    if draw.chance(0.1):
        at = int(draw.rng.integers(1, LENGTH))
        for t in range(at, min(at + int(draw.rng.integers(1, 5)), LENGTH)):
            x[:, :, t] = x[:, :, t - 1]
    x = x.flatten(0, 2)
    if draw.chance(0.45):
        x = blocked(x, both((draw.uniform(0.6, 3.6, pairs)).exp() / 255))
    x = _sized(x, way.shown, way.kernel).clamp(0, 1)
    if last and draw.chance(0.75):
        x = blocked(x, both((draw.uniform(0.6, 3.4, pairs)).exp() / 255))
    return (x.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).unflatten(0, (2, pairs, LENGTH))


def _colour(draw: Draw, pairs: int) -> Tensor:
    grey = draw.rng.random(pairs) < 0.06
    values = np.where(grey, draw.rng.uniform(0, 0.5, pairs), draw.rng.normal(1, 0.12, pairs))
    return torch.from_numpy(values.astype(np.float32)).to(draw.device, non_blocking=True)


def _sized(x: Tensor, side: int, mode: str) -> Tensor:
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, size=(side, side), mode=mode, antialias=side < x.shape[-1], align_corners=False)


def blocked(x: Tensor, step: Tensor) -> Tensor:
    """(N, 3, S, S) in [0, 1] after an 8 × 8 cosine transform with quantiser steps (N,): an encoder's intra blocks."""
    size = x.shape[-1]
    pad = -size % 8
    planes = F.pad(x, (0, pad, 0, pad), mode="replicate").reshape(-1, 1, size + pad, size + pad)
    basis = _cosines(x.device)
    code = F.conv2d(planes - 0.5, basis, stride=8)
    step = step.repeat_interleave(3).view(-1, 1, 1, 1)
    code = code.sign() * ((code.abs() / step + 0.36).floor() * step)
    out = F.conv_transpose2d(code, basis, stride=8) + 0.5
    return out.view(len(x), 3, size + pad, size + pad)[..., :size, :size].clamp(0, 1)


def _cosines(device: torch.device) -> Tensor:
    n = torch.arange(8, device=device, dtype=torch.float32)
    line = torch.cos((n[None] + 0.5) * n[:, None] * math.pi / 8) * math.sqrt(2 / 8)
    line[0] /= math.sqrt(2)
    return torch.einsum("ax,by->abxy", line, line).reshape(64, 1, 8, 8)


def cut(shown: Tensor, way: Way, size: int) -> Tensor:
    """(2, P, T, shown, shown, 3) uint8 → (2P, T, size, size, 3) uint8, the real ones first."""
    pairs, side = shown.shape[1], way.crop
    crops = [shown[:, p, :, y : y + side, x : x + side] for p, (x, y) in enumerate(way.corners)]
    x = torch.stack(crops, dim=1).flatten(0, 2).permute(0, 3, 1, 2).float()
    out = (_sized(x, size, "bilinear").clamp(0, 255) + 0.5).to(torch.uint8).permute(0, 2, 3, 1)
    return out.unflatten(0, (2 * pairs, LENGTH))


def cut_mask(mask: Tensor, way: Way, cells: int) -> Tensor:
    """(P, T, 1, CANVAS, CANVAS) → (P, T, cells, cells): the same squares of what was forged."""
    scale = CANVAS / way.shown
    side, out = round(way.crop * scale), []
    for own, (x, y) in zip(mask, way.corners, strict=True):
        left, top = round(x * scale), round(y * scale)
        out.append(F.interpolate(own[..., top : top + side, left : left + side], size=(cells, cells), mode="area"))
    return torch.stack(out).squeeze(2)


# -----------------------------------------------------------------------------
# Real encoders, on every core


@dataclass(frozen=True, slots=True)
class Encoder:
    """How one pair is encoded."""

    codec: str
    options: dict[str, str]
    kbps: int
    "0: constant quality."
    rate: Fraction

    @staticmethod
    def drawn(rng: Rng, face_px: float) -> Encoder:
        rate = (Fraction(25), Fraction(30), Fraction(30000, 1001), Fraction(24))[rng.integers(4)]
        if rng.random() < 0.06:
            return Encoder("mpeg4", {"qmin": "2", "qmax": str(rng.integers(3, 12))}, 900, rate)
        gop = str(rng.choice([12, 25, 50, 120, 250]))
        options = {"g": gop, "preset": str(rng.choice(_PRESETS))}
        if rng.random() < 0.15:
            return Encoder("libx264", options, max(int(face_px**2 * rng.uniform(0.012, 0.06)), 30), rate)
        return Encoder("libx264", {**options, "crf": str(18 + int(18 * rng.random() ** 1.7))}, 0, rate)


def coded(clip: NDArray[np.uint8], how: Encoder) -> NDArray[np.uint8]:
    """(T, H, W, 3) through the encoder and its decoder; H and W are even."""
    out = cast(av.VideoCodecContext, av.CodecContext.create(how.codec, "w"))
    out.width, out.height, out.pix_fmt = clip.shape[2], clip.shape[1], "yuv420p"
    out.framerate, out.time_base = how.rate, 1 / how.rate
    out.thread_count, out.options = 1, how.options
    if how.kbps:
        out.bit_rate = how.kbps * 1000
    into = cast(av.VideoCodecContext, av.CodecContext.create("h264" if how.codec == "libx264" else how.codec, "r"))
    into.thread_count = 1
    packets = []
    for number, picture in enumerate(clip):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, out.time_base
        packets += out.encode(frame)
    packets += out.encode(None)
    frames = [frame for packet in packets for frame in into.decode(packet)] + into.decode(None)
    if len(frames) != len(clip):
        raise ValueError(f"{how.codec}: {len(frames)} of {len(clip)} frames came back")
    frames.sort(key=lambda frame: frame.pts or 0)
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


def coded_pairs(both: NDArray[np.uint8], pairs: list[int], hows: list[Encoder]) -> None:
    """Puts some pairs of a slot (2, P, T, H, W, 3) through their encoders, in place."""
    for pair in pairs:
        try:
            out = [coded(member, hows[pair]) for member in both[:, pair]]
        except (av.FFmpegError, ValueError):
            continue  # neither goes through the encoder: what one had and the other had not would be a label
        for member, worn in zip(both[:, pair], out, strict=True):
            member[:] = worn


class Slots:
    """Room in memory that forked processes share, for groups on their way."""

    LARGEST_PX: Final = 352

    def __init__(self, count: int, pairs: int) -> None:
        """Room for `count` groups of `pairs` pairs."""
        self._bytes = 2 * pairs * LENGTH * self.LARGEST_PX**2 * 3
        self._room = mmap.mmap(-1, count * self._bytes)

    def view(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """A slot as an array of `shape`; ValueError where a slot has no room for it."""
        wanted = int(np.prod(shape))
        if wanted > self._bytes:
            raise ValueError(f"a group of {shape} takes {wanted} bytes, a slot has {self._bytes}")
        return np.frombuffer(self._room, np.uint8, wanted, slot * self._bytes).reshape(shape)
