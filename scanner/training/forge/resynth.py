"""Family F: the face painted again by something like a generator, without changing what it shows.

Every other family may send its layer through the same renderers: what reaches a viewer of a real forgery has always
passed through a decoder and its up-samplers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.training.forge.layers import Layers, Pixels, Points, Scene
from scanner.training.forge.masks import region, soften
from scanner.training.forge.paint import draw_resampler, draw_tint, over_clip
from scanner.training.forge.warp import STABLE, lay, similarity
from scanner.training.landmarks import iod

Renderer: TypeAlias = Callable[[Pixels, Points], Pixels]
"""Frames (T, H, W, 3) and landmarks (T, 468, 2) → frames with the face painted again."""

_SIDES = (64, 96, 96, 128, 128, 160, 192, 256)
"""Pixels a side at which published swappers, lip-syncers and talking heads paint a face."""
_NET_SIDE = 128
"""Least side of a patch that goes through a net: at 64 the small nets here leave no features at all."""


def draw_renderer(scene: Scene, rng: Generator) -> Renderer:
    """A renderer with everything drawn: the patch and its size, the net or resampler, how it follows the head."""
    side = int(rng.choice(_SIDES))
    reach = rng.uniform(1.6, 2.6)
    steady = rng.random() < 0.5
    seed = int(rng.integers(2**31))
    net = scene.nets[rng.integers(len(scene.nets))] if scene.nets and rng.random() < 0.75 else None
    side = side if net is None else max(side, _NET_SIDE)
    resample = draw_resampler(rng, side)

    def render(clip: Pixels, track: Points) -> Pixels:
        matrices = _patches(track, side, reach, steady=steady)
        patches = np.stack([_cut(picture, m, side) for picture, m in zip(clip, matrices, strict=True)])
        painted = over_clip(patches, resample) if net is None else net(patches, seed)
        return np.stack([_paste(*parts) for parts in zip(clip, painted, matrices, strict=True)])

    return render


def resynthesis(scene: Scene, rng: Generator) -> Layers:
    """F: face (60 %) or whole picture (40 %, nets only) through a renderer.

    A whole picture that was only resampled is what happens to real video too; it is a nuisance and no forgery.
    """
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    if scene.nets and rng.random() < 0.4:
        over = render_all(scene, clip, rng)
        return whole_picture(over)
    over = draw_renderer(scene, rng)(clip, track)
    if rng.random() < 0.4:
        over = over_clip(over, draw_tint(rng, 0.3))
    name = str(rng.choice(["face", "face", "lower", "inner", "mouth", "eyes_mouth", "box"]))
    alpha = soften(region(name, track, shape, rng.uniform(0.0, 0.15)), rng, unit)
    return Layers(over, alpha, alpha)


def whole_picture(over: Pixels) -> Layers:
    """Every pixel of `over` shows, and every pixel is called forged."""
    everything = np.ones(over.shape[:3], np.float32)
    return Layers(over, everything, everything)


def render_all(scene: Scene, clip: Pixels, rng: Generator) -> Pixels:
    """The whole picture painted again, as talking-head generators do, at 192 to 320 pixels a side."""
    side = int(rng.choice([192, 256, 256, 320]))
    height, width = clip.shape[1:3]
    seed = int(rng.integers(2**31))
    small = np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in clip])
    if scene.nets:
        painted = scene.nets[rng.integers(len(scene.nets))](small, seed)
    else:
        painted = over_clip(small, draw_resampler(rng, side))
    out = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC) for picture in painted]
    return np.stack(out).astype(np.uint8)


def _patches(track: Points, side: int, reach: float, *, steady: bool) -> list[NDArray[np.float64]]:
    """2 × 3 matrices from picture to patch: turned with the head, or (steady) one for the whole clip."""
    mean = track.mean(axis=0)
    eyes = mean[263] - mean[33]
    roll = float(np.arctan2(eyes[1], eyes[0]))
    scale = side / (reach * iod(mean) * 1.6)
    cos, sin = np.cos(roll) * scale, np.sin(roll) * scale
    matrix = np.array([[cos, sin], [-sin, cos]])
    first = np.column_stack([matrix, side / 2 - matrix @ mean.mean(axis=0)])
    if steady:
        return [first] * len(track)
    stable = list(STABLE)
    target = mean[stable] @ first[:, :2].T + first[:, 2]
    return [similarity(face[stable], target) for face in track]


def _cut(picture: Pixels, matrix: NDArray[np.float64], side: int) -> Pixels:
    return lay(picture, matrix, (side, side))


def _paste(picture: Pixels, patch: Pixels, matrix: NDArray[np.float64]) -> Pixels:
    shape = picture.shape[1::-1]
    out = cv2.warpAffine(
        patch, matrix, shape, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    inside = np.ones(patch.shape[:2], np.float32)
    inside[[0, -1]] = 0
    inside[:, [0, -1]] = 0
    soft = cv2.blur(inside, (5, 5))
    cover = cv2.warpAffine(soft, matrix, shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)[..., None]
    return np.asarray(np.clip(picture + cover * (out.astype(np.float32) - picture) + 0.5, 0, 255), np.uint8)
