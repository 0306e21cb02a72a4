"""Families R and I: faces and mouths that a net drew from one picture and landmarks."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from scanner.training.forge.borrow import borrowed_mouth, near_pose, reanimation
from scanner.training.forge.layers import Layers, Mask, Pixels, Points, Redraw, Scene
from scanner.training.forge.masks import blur, region
from scanner.training.forge.paint import match_colour, over_clip, sharpen
from scanner.training.forge.resynth import draw_renderer, render_all, whole_picture
from scanner.training.forge.warp import STABLE, move, similarity
from scanner.training.landmarks import LIPS, LIPS_INNER, iod


def talking_head(scene: Scene, rng: Generator) -> Layers:
    """R: the picture, or the face alone, drawn from a still and each frame's landmarks; G where no net can."""
    if not scene.redraws:
        return reanimation(scene, rng)
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    still = near_pose(scene, rng)
    over = _net(scene, rng)(scene.whole[still], scene.points[still], clip, track, lower=False)
    whole = np.ones(clip.shape[:3], np.float32)
    if rng.random() < 0.7:
        over = _finished(over, clip, whole, rng)
        over = render_all(scene, over, rng) if rng.random() < 0.3 else over
        return whole_picture(over)
    hard = region("face", track, shape, rng.uniform(0.0, 0.15))
    over = _finished(over, clip, hard, rng)
    alpha = np.clip(blur(hard, unit * rng.uniform(0.04, 0.12)), 0, 1)
    return Layers(over, alpha, alpha)


def spoken_mouth(scene: Scene, rng: Generator) -> Layers:
    """I: the lower face drawn anew, most often with the lips of another moment; D where no net can."""
    if not scene.redraws:
        return borrowed_mouth(scene, rng)
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    spoken = _lips_of(track, scene.points[rng.integers(len(scene.points), size=len(track))])
    aim = spoken if rng.random() < 0.7 else track
    still = scene.start if rng.random() < 0.5 else near_pose(scene, rng)
    over = _net(scene, rng)(scene.whole[still], scene.points[still], clip, aim, lower=True)
    hard = region("lower" if rng.random() < 0.7 else "face", track, shape, rng.uniform(0.0, 0.1))
    over = _finished(over, clip, hard, rng)
    if rng.random() < 0.25:
        over = draw_renderer(scene, rng)(over, track)
    alpha = np.clip(blur(hard, unit * rng.uniform(0.02, 0.12)), 0, 1)
    return Layers(over, alpha, alpha)


def _net(scene: Scene, rng: Generator) -> Redraw:
    return scene.redraws[rng.integers(len(scene.redraws))]


def _finished(over: Pixels, under: Pixels, where: Mask, rng: Generator) -> Pixels:
    """Colours matched inside `where`; in three of ten clips sharpened, as enhancers do."""
    strength = rng.uniform(0.6, 1.0)
    over = np.stack([match_colour(o, u, w, strength) for o, u, w in zip(over, under, where, strict=True)])
    if rng.random() < 0.3:
        return over_clip(over, sharpen(rng.uniform(0.3, 1.2), rng.uniform(0.8, 1.6)))
    return over


def _lips_of(track: Points, other: Points) -> Points:
    """`track` (T, 468, 2) with the lips of `other` (T, 468, 2), whose heads are laid on its own."""
    stable, lips = list(STABLE), [*LIPS, *LIPS_INNER]
    out = track.copy()
    for face, said in zip(out, other, strict=True):
        face[lips] = move(said[lips], similarity(said[stable], face[stable]))
    return out
