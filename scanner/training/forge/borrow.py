"""Families D and G: a mouth from another moment, and one still made to move like the clip."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from scanner.training.forge.layers import Layers, Pixels, Scene
from scanner.training.forge.masks import blur, region
from scanner.training.forge.paint import draw_tint, match_colour, over_clip, sharpen
from scanner.training.forge.resynth import draw_renderer, render_all, whole_picture
from scanner.training.forge.warp import CONTROL, STABLE, corners, lay, move, similarity, spline
from scanner.training.landmarks import EYE_A, EYE_B, iod


def borrowed_mouth(scene: Scene, rng: Generator) -> Layers:
    """D: the lower face of another moment of the clip laid over this one, at a lip-syncer's resolution."""
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    over = _other_moment(scene, rng)
    style = rng.choice(["soft", "renderer", "sharp"], p=[0.35, 0.5, 0.15])
    if style == "soft":
        over = _at_resolution(over, unit, int(rng.choice([96, 96, 128, 256])))
    elif style == "renderer":
        over = draw_renderer(scene, rng)(over, track)
    else:
        over = over_clip(over, sharpen(rng.uniform(0.4, 1.2), rng.uniform(0.8, 1.6)))
    over = over_clip(over, draw_tint(rng, 0.25))
    feather = rng.uniform(0.02, 0.12) * unit
    jitter = rng.uniform(0.0, 1.5) * rng.normal(0.0, 0.5, (len(clip), 2))
    name = str(rng.choice(["lower", "mouth", "lower"]))
    grow = rng.uniform(-0.05, 0.08) if name == "lower" else rng.uniform(0.08, 0.3)
    hard = region(name, track + jitter[:, None].astype(np.float32), shape, grow)
    alpha = np.clip(blur(hard, feather), 0, 1)
    return Layers(over, alpha, alpha)


def _other_moment(scene: Scene, rng: Generator) -> Pixels:
    """(T, H, W, 3): frames from elsewhere in the source, their heads laid on the window's heads."""
    room = len(scene.whole) - scene.length
    gap = int(rng.integers(5, max(6, min(100, room + scene.length // 2)))) * (1 if rng.random() < 0.5 else -1)
    index = np.arange(scene.start, scene.start + scene.length) + gap
    last = len(scene.whole) - 1
    index = np.abs(index)
    index = np.where(index > last, 2 * last - index, index).clip(0, last)
    if rng.random() < 0.15:
        index = index[::-1]
    stable, shape = list(STABLE), scene.clip.shape[1:3]
    out = []
    for t, k in enumerate(index):
        laid = lay(scene.whole[k], similarity(scene.points[k][stable], scene.track[t][stable]), shape)
        out.append(laid)
    return np.stack(out)


def _at_resolution(clip: Pixels, unit_px: float, face_px: int) -> Pixels:
    """The pictures as if their faces had been painted at `face_px`, never sharper than they are."""
    factor = min(1.0, face_px / (unit_px * 1.9))
    height, width = clip.shape[1:3]
    small = (max(round(width * factor), 16), max(round(height * factor), 16))
    pictures = [cv2.resize(picture, small, interpolation=cv2.INTER_AREA) for picture in clip]
    return np.stack([cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR) for p in pictures]).astype(np.uint8)


def reanimation(scene: Scene, rng: Generator) -> Layers:
    """G: one still bent to each frame's landmarks, then painted again; the background bends along or stays."""
    clip, track = scene.clip, scene.track
    shape, unit = clip.shape[1:3], iod(track[0])
    still = near_pose(scene, rng)
    picture, face = scene.whole[still], scene.points[still]
    control = [i for i in CONTROL if i not in {*EYE_A, *EYE_B}] if rng.random() < 0.4 else list(CONTROL)
    anchors = corners(shape) if rng.random() < 0.7 else np.zeros((0, 2), np.float32)
    source = np.concatenate([face[control], anchors])
    over = np.stack([spline(picture, source, np.concatenate([now[control], anchors]), shape) for now in track])
    if rng.random() < 0.7:
        unmoved = still < scene.start + scene.length and still >= scene.start
        over = render_all(scene, over, rng) if unmoved or rng.random() < 0.8 else over
        return whole_picture(over)
    over = draw_renderer(scene, rng)(over, track)
    hard = region("face", track, shape, rng.uniform(0.0, 0.2))
    over = np.stack([match_colour(o, c, h, 0.7) for o, c, h in zip(over, clip, hard, strict=True)])
    alpha = np.clip(blur(hard, unit * rng.uniform(0.04, 0.12)), 0, 1)
    return Layers(over, alpha, alpha)


def near_pose(scene: Scene, rng: Generator) -> int:
    """A frame of the source whose face needs no more than a mild turn to look like the window's faces."""
    stable, aim = list(STABLE), scene.track[scene.length // 2]
    away = []
    for face in scene.points:
        laid = move(face, similarity(face[stable], aim[stable]))
        away.append(float(np.linalg.norm(laid - aim, axis=-1).mean()) / iod(aim))
    order = np.flatnonzero(np.array(away) < 0.12)
    return int(rng.choice(order)) if len(order) else scene.start
