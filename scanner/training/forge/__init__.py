"""Forgeries of nine families, each made from the real clip that it is paired with.

    Scene ──family──▶ Layers ──(faults in time)──▶ Layers ──compose──▶ Forged clip, mask, frame labels

Pure and deterministic: the same scene, family and seed give the same pixels. Sources of the ideas: A is SBI (CVPR 2022)
and its video form (ICCV 2025), B video-level blending (CVPR 2025), C kinematic decoupling (arXiv 2512.04175), F the
re-synthesis of FIA-USA (NeurIPS 2025); E follows BI (CVPR 2020); D and G imitate lip-sync and one-shot re-animation,
I and R are both by a net of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.random import Generator

from scanner.training.forge.blend import face_swap, self_blend
from scanner.training.forge.borrow import borrowed_mouth, reanimation
from scanner.training.forge.drawn import spoken_mouth, talking_head
from scanner.training.forge.drift import decoupled, feature_drift
from scanner.training.forge.faults import disturb
from scanner.training.forge.layers import Forged, Layers, Scene, compose
from scanner.training.forge.masks import coverage
from scanner.training.forge.resynth import resynthesis

__all__ = ["FAMILIES", "MOVING", "SHARES", "Forged", "Scene", "draw_family", "forge"]

FAMILIES: Final[dict[str, Callable[[Scene, Generator], Layers]]] = {
    "A": self_blend,
    "B": feature_drift,
    "C": decoupled,
    "D": borrowed_mouth,
    "E": face_swap,
    "F": resynthesis,
    "G": reanimation,
    "I": spoken_mouth,
    "R": talking_head,
}
SHARES: Final = {
    "A": 0.16, "B": 0.07, "C": 0.05, "D": 0.13, "E": 0.13, "F": 0.20, "G": 0.10, "I": 0.07, "R": 0.09,
}  # fmt: skip
"""How often each family is drawn, where it can be."""
MOVING: Final = frozenset("CDG")
"""Families that need a source that moves."""
_DRAWN: Final = frozenset("IR")
"""Families that need a net that draws faces; without one D and G take their place."""
_TRIES: Final = 6
_FAULTY: Final = frozenset("ADEFI")
"""Families that a quarter of the time also suffer a fault in time."""


def draw_family(rng: Generator, *, still: bool, drawn: bool, shares: Mapping[str, float] = SHARES) -> str:
    """A family by its share, of those that a source can be forged by.

    Args:
        still: whether the source is a single picture.
        drawn: whether there are nets that draw faces.
        shares: a share for each family that may come up.
    """
    away = (MOVING if still else frozenset()) | (frozenset() if drawn else _DRAWN)
    able = {name: share for name, share in shares.items() if name not in away}
    weights = np.array(list(able.values()))
    return str(rng.choice(list(able), p=weights / weights.sum()))


def forge(family: str, scene: Scene, seed: int) -> Forged:
    """The window of `scene` forged by `family`, a key of FAMILIES.

    Where a draw left the clip as it was, it is drawn again; where every draw does (a face that never moves cannot be
    forged by its motion), F takes the family's place and the result says so.
    """
    rng = np.random.default_rng([seed, ord(family)])
    for _ in range(_TRIES):
        made = _forged(family, scene, rng)
        if made.frames.any() and not np.array_equal(made.clip, scene.clip):
            return made
    return _forged("F", scene, rng)


def _forged(family: str, scene: Scene, rng: Generator) -> Forged:
    layers = FAMILIES[family](scene, rng)
    if family in _FAULTY and scene.length > 2 and rng.random() < 0.25:
        layers = disturb(layers, scene.track, rng)
    label = np.clip(layers.label, 0.0, 1.0)
    seen = coverage(label, scene.track)
    frames = np.where(seen > 0.003, np.clip(0.6 + seen, 0.0, 1.0), 0.0)
    return Forged(compose(scene.clip, layers), label, frames.astype(np.float32), family)
