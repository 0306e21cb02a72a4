"""Forgeries of seven families, each made from the real clip that it is paired with.

    Scene ──family──▶ Layers ──(faults in time)──▶ Layers ──compose──▶ Forged clip, mask, frame labels

Pure and deterministic: the same scene, family and seed give the same pixels. Sources of the ideas: A is SBI (CVPR 2022)
and its video form (ICCV 2025), B video-level blending (CVPR 2025), C kinematic decoupling (arXiv 2512.04175), F the
re-synthesis of FIA-USA (NeurIPS 2025); E follows BI (CVPR 2020); D and G imitate lip-sync and one-shot re-animation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator

from scanner.training.forge.blend import face_swap, self_blend
from scanner.training.forge.borrow import borrowed_mouth, reanimation
from scanner.training.forge.drift import decoupled, feature_drift
from scanner.training.forge.faults import disturb
from scanner.training.forge.layers import Forged, Layers, Scene, compose
from scanner.training.forge.masks import coverage
from scanner.training.forge.resynth import resynthesis

__all__ = ["FAMILIES", "SHARES", "Forged", "Scene", "forge"]

FAMILIES: Final[dict[str, Callable[[Scene, Generator], Layers]]] = {
    "A": self_blend,
    "B": feature_drift,
    "C": decoupled,
    "D": borrowed_mouth,
    "E": face_swap,
    "F": resynthesis,
    "G": reanimation,
}
SHARES: Final = {"A": 0.18, "B": 0.08, "C": 0.07, "D": 0.20, "E": 0.12, "F": 0.20, "G": 0.15}
"""How often each family is drawn; stills lack D, and their C and G move little."""
_FAULTY: Final = frozenset("ADEF")
"""Families that a quarter of the time also suffer a fault in time."""


def forge(family: str, scene: Scene, seed: int) -> Forged:
    """The window of `scene` forged by `family`, a key of FAMILIES."""
    rng = np.random.default_rng([seed, ord(family)])
    layers = FAMILIES[family](scene, rng)
    if family in _FAULTY and scene.length > 2 and rng.random() < 0.25:
        layers = disturb(layers, scene.track, rng)
    label = np.clip(layers.label, 0.0, 1.0)
    seen = coverage(label, scene.track)
    frames = np.where(seen > 0.003, np.clip(0.6 + seen, 0.0, 1.0), 0.0)
    return Forged(compose(scene.clip, layers), label, frames.astype(np.float32), family)
