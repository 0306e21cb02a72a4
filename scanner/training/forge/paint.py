"""Colour and texture: what a renderer does to the pixels of a face. Every draw holds for a whole clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.training.forge.layers import Mask, Pixels

Filter: TypeAlias = Callable[[Pixels], Pixels]
"""One picture (H, W, 3) → one picture of the same size."""

_GREY: Final = np.array([0.299, 0.587, 0.114])


def over_clip(clip: Pixels, paint: Filter) -> Pixels:
    """`paint` on each frame of (T, H, W, 3)."""
    return np.stack([paint(picture) for picture in clip])


def draw_tint(rng: Generator, strength: float = 1.0) -> Filter:
    """RGB shift, hue, saturation, brightness and contrast in SBI's ranges times `strength`, as one colour matrix."""
    angle = rng.uniform(-0.25, 0.25) * strength
    saturation = 1.0 + rng.uniform(-0.3, 0.3) * strength
    contrast = 1.0 + rng.uniform(-0.12, 0.12) * strength
    shift = rng.uniform(-20, 20, 3) * strength * (rng.random() < 0.5)
    brightness = rng.uniform(-0.1, 0.1) * 255 * strength
    axis = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    hue = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    dull = saturation * np.eye(3) + (1 - saturation) * np.outer(np.ones(3), _GREY)
    matrix = contrast * (dull @ hue)
    offset = (1 - contrast) * 128 + brightness + shift
    full = np.column_stack([matrix, offset])
    return lambda picture: np.asarray(cv2.transform(picture, full), np.uint8)


def draw_texture(rng: Generator) -> Filter:
    """SBI's frequency change: down and up by 2 or 4, or sharpening, or a slight blur."""
    kind = rng.choice(["down", "sharpen", "blur"], p=[0.5, 0.3, 0.2])
    if kind == "down":
        return _down_up(rng.uniform(1.3, 3.5), cv2.INTER_AREA, cv2.INTER_LINEAR)
    if kind == "sharpen":
        return sharpen(rng.uniform(0.3, 1.2), rng.uniform(0.8, 1.6))
    sigma = rng.uniform(0.4, 1.2)
    return lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def sharpen(amount: float, sigma: float) -> Filter:
    """Unsharp mask."""

    def paint(picture: Pixels) -> Pixels:
        soft = cv2.GaussianBlur(picture, (0, 0), sigma)
        return np.asarray(cv2.addWeighted(picture, 1 + amount, soft, -amount, 0), np.uint8)

    return paint


def _down_up(factor: float, down: int, up: int) -> Filter:
    def paint(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (max(round(width / factor), 8), max(round(height / factor), 8)), interpolation=down)
        return np.asarray(cv2.resize(small, (width, height), interpolation=up), np.uint8)

    return paint


def draw_resampler(rng: Generator, side: int) -> Filter:
    """A decoder without a network: a bottleneck of at least 64 pixels a side, then an up-sampler with its faults."""
    factor = int(rng.integers(1, min(max(side // 64, 1), 4) + 1))
    smooth = rng.uniform(0.25, 0.45) * factor
    up = _UPSAMPLERS[rng.integers(len(_UPSAMPLERS))](rng, factor)
    denoise = rng.random() < 0.5
    finish = sharpen(rng.uniform(0.2, 1.5), rng.uniform(0.8, 1.8)) if rng.random() < 0.6 else None
    grain = rng.uniform(0.0, 1.5) if rng.random() < 0.3 else 0.0
    noise = np.random.default_rng(rng.integers(2**32))

    def paint(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        size = (-(-width // factor), -(-height // factor))
        small = cv2.resize(cv2.GaussianBlur(picture, (0, 0), smooth), size, interpolation=cv2.INTER_AREA)
        if denoise:
            small = cv2.bilateralFilter(small, 5, 25, 2)
        code = np.asarray(small, np.float32)
        if grain:
            code = code + noise.standard_normal(code.shape, np.float32) * np.float32(grain)
        out = np.clip(up(code)[:height, :width], 0, 255).astype(np.uint8)
        return finish(out) if finish else out

    return paint


_Up: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def _interpolated(rng: Generator, factor: int) -> _Up:
    how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4]))
    return lambda code: np.asarray(cv2.resize(code, None, fx=factor, fy=factor, interpolation=how), np.float32)


def _nearest(rng: Generator, factor: int) -> _Up:
    sigma = rng.uniform(0.25, 0.5) * factor

    def up(code: NDArray[np.float32]) -> NDArray[np.float32]:
        large = cv2.resize(code, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
        return np.asarray(cv2.GaussianBlur(large, (0, 0), sigma), np.float32)

    return up


def _transposed(rng: Generator, factor: int) -> _Up:
    """Zeros between the samples, then a kernel that does not sum to one at every phase: the checkerboard."""
    side = 2 * factor + int(rng.integers(0, 2))
    ramp = np.maximum(1.0 - np.abs(np.arange(side) - (side - 1) / 2) / factor, 0.0)
    kernel = np.outer(ramp, ramp) * (1 + rng.normal(0.0, rng.uniform(0.004, 0.025), (side, side)))

    def up(code: NDArray[np.float32]) -> NDArray[np.float32]:
        large = np.zeros((code.shape[0] * factor, code.shape[1] * factor, 3), np.float32)
        large[::factor, ::factor] = code
        weight = np.zeros(large.shape[:2], np.float32)
        weight[::factor, ::factor] = 1.0
        even = cv2.filter2D(weight, -1, np.outer(ramp, ramp), borderType=cv2.BORDER_REFLECT)
        made = cv2.filter2D(large, -1, kernel, borderType=cv2.BORDER_REFLECT)
        return np.asarray(made / np.maximum(even, 1e-3)[..., None], np.float32)

    return up


def _shuffled(rng: Generator, factor: int) -> _Up:
    """A smooth picture with its own gain and offset at each of factor × factor phases: pixel shuffle."""
    gain = 1 + rng.normal(0.0, 0.012, (factor, factor, 3)).astype(np.float32)
    offset = rng.normal(0.0, 1.2, (factor, factor, 3)).astype(np.float32)

    def up(code: NDArray[np.float32]) -> NDArray[np.float32]:
        large = cv2.resize(code, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        tiles = (code.shape[0], code.shape[1], 1)
        return np.asarray(large * np.tile(gain, tiles) + np.tile(offset, tiles), np.float32)

    return up


_UPSAMPLERS: Final = (_interpolated, _nearest, _transposed, _shuffled)


def match_colour(over: Pixels, under: Pixels, mask: Mask, strength: float) -> Pixels:
    """`over` (H, W, 3) with mean and spread of each Lab channel pulled towards `under` inside `mask` (Reinhard)."""
    inside = mask > 0.5
    if inside.sum() < 16:
        return over
    a = cv2.cvtColor(over, cv2.COLOR_RGB2LAB).astype(np.float32)
    b = cv2.cvtColor(under, cv2.COLOR_RGB2LAB).astype(np.float32)
    mean_a, std_a = a[inside].mean(axis=0), a[inside].std(axis=0) + 1e-3
    mean_b, std_b = b[inside].mean(axis=0), b[inside].std(axis=0) + 1e-3
    ratio = np.clip(std_b / std_a, 0.5, 2.0)
    out = a + strength * ((a - mean_a) * ratio + mean_b - a)
    return np.asarray(cv2.cvtColor(np.clip(out, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)
