"""Families A and E: a face blended over a face, its own or somebody else's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from scanner.training.forge.layers import Layers, Mask, Pixels, Scene
from scanner.training.forge.masks import blur, elastic, region, soften
from scanner.training.forge.paint import draw_texture, draw_tint, match_colour, over_clip
from scanner.training.forge.resynth import draw_renderer
from scanner.training.forge.warp import CONTROL, lay, similarity, spline, turn
from scanner.training.landmarks import OVAL, iod

_HULLS = ("face", "face", "inner", "box", "eyes", "mouth", "eyes_mouth", "lower")
_RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)


def self_blend(scene: Scene, rng: Generator) -> Layers:
    """A: the clip over itself, moved a little, in other colours, through a mask (SBI, replayed over the clip)."""
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    tint, texture = draw_tint(rng), draw_texture(rng)
    over = over_clip(clip, lambda picture: texture(tint(picture)))
    if rng.random() < 0.4:
        over = draw_renderer(scene, rng)(over, track)
    centre = track[0].mean(axis=0)
    shift = rng.uniform(-0.05, 0.05, 2).astype(np.float32) * unit
    matrix = turn(centre, rng.uniform(-0.02, 0.02), rng.uniform(0.95, 1.05), shift)
    over = over_clip(over, lambda picture: lay(picture, matrix, shape))
    name = str(rng.choice(_HULLS))
    mask = elastic(region(name, track, shape, rng.uniform(-0.08, 0.12)), rng, unit * 0.05)
    alpha = soften(mask, rng, unit) * float(rng.choice(_RATIOS))
    return Layers(over, alpha.astype(np.float32), seam_or_inside(alpha, name))


def face_swap(scene: Scene, rng: Generator) -> Layers:
    """E: a donor's face bent onto the clip's landmarks, colours matched, feathered or Poisson-blended."""
    if scene.donor is None or scene.donor_points is None:
        raise ValueError("a face swap needs a donor")
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    control = list(CONTROL)
    moving = len(scene.donor) >= len(clip) and rng.random() < 0.5
    strength, rigid = rng.uniform(0.5, 1.0), rng.random() < 0.3
    hard = region("face", track, shape, rng.uniform(-0.10, 0.02))
    alpha = soften(hard, rng, unit) * rng.uniform(0.75, 1.0)
    layers = []
    for t, (picture, face) in enumerate(zip(clip, track, strict=True)):
        source, points = scene.donor[t if moving else 0], scene.donor_points[t if moving else 0]
        if rigid:
            painted = lay(source, similarity(points[list(OVAL)], face[list(OVAL)]), shape)
        else:
            painted = spline(source, points[control], face[control], shape)
        layers.append(match_colour(painted, picture, hard[t], strength))
    over = np.stack(layers)
    if rng.random() < 0.7:
        over = draw_renderer(scene, rng)(over, track)
    if rng.random() < 0.25:
        over = _poisson(over, clip, hard)
    return Layers(over, alpha.astype(np.float32), alpha.astype(np.float32))


def _poisson(over: Pixels, under: Pixels, hard: Mask) -> Pixels:
    """The layer cloned seamlessly into each frame; frames whose mask touches the border stay as they are."""
    out = []
    for layer, picture, mask in zip(over, under, hard, strict=True):
        solid = (mask > 0.5).astype(np.uint8) * 255
        solid[[0, 1, -2, -1]] = 0
        solid[:, [0, 1, -2, -1]] = 0
        x, y, w, h = cv2.boundingRect(solid)
        if w < 8 or h < 8:
            out.append(layer)
            continue
        out.append(cv2.seamlessClone(layer, picture, solid, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE))
    return np.stack(out).astype(np.uint8)


def seam_or_inside(alpha: Mask, name: str) -> Mask:
    """Where a self-blend is called forged: everywhere the layer shows, strongest along the seam of large hulls."""
    if name in {"face", "box"}:
        return np.asarray(np.maximum(4 * alpha * (1 - alpha), 0.6 * alpha), np.float32)
    return blur(np.asarray(np.minimum(1.0, 1.5 * alpha), np.float32), 1.0)
