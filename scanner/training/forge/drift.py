"""Families B and C: features that move against the head, or that no longer move together."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.training.forge.layers import Layers, Points, Scene
from scanner.training.forge.masks import blur, region
from scanner.training.forge.resynth import draw_renderer
from scanner.training.forge.warp import CONTROL, STABLE, corners, lay, move, similarity, spline, turn
from scanner.training.landmarks import BROW_A, BROW_B, EYE_A, EYE_B, LIPS, LIPS_INNER, iod

_LIMIT = 0.08
"""Largest displacement of a point in family C, in distances between the eyes."""


def time_law(rng: Generator, length: int, count: int) -> NDArray[np.float64]:
    """(T, count) of about unit size: independent draws, a walk with 3–15 frames of memory, or a slow wave."""
    kind = rng.choice(["iid", "walk", "wave"], p=[0.3, 0.4, 0.3])
    if kind == "iid":
        return rng.normal(0.0, 0.6, (length, count))
    if kind == "wave":
        phase, pace = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.3, 3.0, count) / 25.0
        return np.asarray(np.sin(2 * np.pi * pace * np.arange(length)[:, None] + phase), np.float64)
    keep = np.exp(-1.0 / rng.uniform(3, 15))
    out = np.zeros((length, count))
    out[0] = rng.normal(0.0, 0.7, count)
    for t in range(1, length):
        out[t] = keep * out[t - 1] + np.sqrt(1 - keep**2) * rng.normal(0.0, 0.7, count)
    return out


def feature_drift(scene: Scene, rng: Generator) -> Layers:
    """B: eyes, brows, nose, mouth or the inner face turned, scaled and shifted frame by frame, feathered."""
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    names = list(rng.choice(["eyes", "brows", "nose", "mouth", "inner", "lower"], rng.integers(1, 3), replace=False))
    over, alpha = clip.copy(), np.zeros(clip.shape[:3], np.float32)
    for name in names:
        mask = blur(region(str(name), track, shape, 0.10), unit * rng.uniform(0.04, 0.10))
        law = time_law(rng, len(clip), 4) * np.array([np.radians(4), 0.04, 0.03 * unit, 0.03 * unit])
        for t, (angle, scale, dx, dy) in enumerate(law):
            weight = mask[t] / max(float(mask[t].sum()), 1e-6)
            ys, xs = np.mgrid[: shape[0], : shape[1]]
            centre = np.array([(weight * xs).sum(), (weight * ys).sum()], np.float32)
            shift = np.array([dx, dy], np.float32)
            moved = lay(clip[t], turn(centre, angle, 1 + scale, shift), shape)
            picture = over[t] + mask[t][..., None] * (moved.astype(np.float32) - over[t])
            over[t] = np.clip(picture + 0.5, 0, 255)
        alpha = np.maximum(alpha, mask)
    if rng.random() < 0.4:
        over = draw_renderer(scene, rng)(over, track)
    return Layers(over, alpha, alpha)


def decoupled(scene: Scene, rng: Generator) -> Layers:
    """C: the landmarks' own motion bases scaled, a region delayed or frozen; the picture bent to follow."""
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    wanted = _decouple(scene, rng)
    limit = _LIMIT * unit
    offset = wanted - track
    size = np.linalg.norm(offset, axis=-1, keepdims=True)
    wanted = track + offset * np.minimum(1.0, limit / np.maximum(size, 1e-6))
    control, fixed = list(CONTROL), corners(shape)
    over = np.stack(
        [
            spline(picture, np.concatenate([now[control], fixed]), np.concatenate([then[control], fixed]), shape)
            for picture, now, then in zip(clip, track, wanted, strict=True)
        ]
    )
    moved = np.clip(size.max(axis=(1, 2)) / (0.02 * unit), 0.0, 1.0).astype(np.float32)
    alpha = blur(region("face", track, shape, 0.25), unit * 0.1)
    if rng.random() < 0.6:
        over = draw_renderer(scene, rng)(over, track)
        moved = np.ones_like(moved)
    return Layers(over, alpha, alpha * moved[:, None, None])


def _decouple(scene: Scene, rng: Generator) -> Points:
    """(T, 468, 2): where the points of the window should lie."""
    track, stable = scene.track, list(STABLE)
    head = [similarity(face[stable], scene.points[0][stable]) for face in scene.points]
    still = np.stack([move(face, matrix) for face, matrix in zip(scene.points, head, strict=True)])
    window = slice(scene.start, scene.start + scene.length)
    kind = rng.choice(["bases", "delay", "freeze"] if scene.length > 1 else ["bases", "delay"])
    if kind == "bases":
        flat = still.reshape(len(still), -1)
        mean = flat.mean(axis=0)
        _, _, bases = np.linalg.svd(flat - mean, full_matrices=False)
        bases = bases[: min(12, len(bases))]
        gains = np.ones(len(bases))
        chosen = rng.choice(len(bases), min(int(rng.integers(1, 4)), len(bases)), replace=False)
        gains[chosen] = rng.choice([0.0, 0.4, 1.6, 2.2], len(chosen))
        code = (flat - mean) @ bases.T
        changed = (flat + code * (gains - 1) @ bases).reshape(still.shape)[window]
    else:
        part = [LIPS + LIPS_INNER, EYE_A + EYE_B, BROW_A + BROW_B][rng.integers(3)]
        index = np.arange(scene.start, scene.start + scene.length)
        lag = int(rng.integers(2, 9)) * (1 if rng.random() < 0.5 else -1)
        source = np.clip(index + lag, 0, len(still) - 1) if kind == "delay" else np.full_like(index, index[0])
        changed = still[window].copy()
        changed[:, list(part)] = still[source][:, list(part)]
    back = [similarity(scene.points[0][stable], face[stable]) for face in track]
    return np.stack([move(face, matrix) for face, matrix in zip(changed, back, strict=True)])
