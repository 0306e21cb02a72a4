"""Faults in time that a forged face has and the picture around it has not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scanner.training.forge.layers import Layers, Points
from scanner.training.forge.warp import STABLE, lay, similarity


def disturb(layers: Layers, track: Points, rng: Generator) -> Layers:
    """One fault drawn and put on the layer; the picture below it stays as it is."""
    return _FAULTS[rng.integers(len(_FAULTS))](layers, track, rng)


def _hold(layers: Layers, track: Points, rng: Generator) -> Layers:
    """The face stands still for one to four frames while the head goes on."""
    over, stable, length = layers.over.copy(), list(STABLE), len(track)
    at = int(rng.integers(1, length - 1))
    for t in range(at, min(at + int(rng.integers(1, 5)), length)):
        over[t] = lay(layers.over[at - 1], similarity(track[at - 1][stable], track[t][stable]), over.shape[1:3])
    return replace(layers, over=over)


def _ghost(layers: Layers, track: Points, rng: Generator) -> Layers:
    """Neighbouring faces mixed, as frame interpolation does."""
    over, weight = layers.over.copy(), rng.uniform(0.3, 0.7)
    step = int(rng.integers(1, 3))
    for t in range(int(rng.integers(0, 2)), len(track) - 1, step):
        over[t] = cv2.addWeighted(layers.over[t], 1 - weight, layers.over[t + 1], weight, 0)
    return replace(layers, over=over)


def _gain(layers: Layers, track: Points, rng: Generator) -> Layers:
    """The face flickers by half a percent to two and a half."""
    gains = 1 + rng.normal(0.0, rng.uniform(0.005, 0.025), len(track))
    return replace(layers, over=_scaled(layers.over, gains))


def _pulses(layers: Layers, track: Points, rng: Generator) -> Layers:
    """Sharpness comes and goes."""
    sigmas = np.abs(rng.normal(0.0, rng.uniform(0.4, 1.2), len(track)))
    pictures = [cv2.GaussianBlur(p, (0, 0), s) if s > 0.2 else p for p, s in zip(layers.over, sigmas, strict=True)]
    return replace(layers, over=np.stack(pictures).astype(np.uint8))


def _opacity(layers: Layers, track: Points, rng: Generator) -> Layers:
    """The layer shows more and less, each frame on its own."""
    factor = 1 - np.abs(rng.normal(0.0, 0.1, len(track))).astype(np.float32)
    return replace(layers, alpha=layers.alpha * factor[:, None, None])


def _scaled(clip: NDArray[np.uint8], gains: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(clip * gains[:, None, None, None] + 0.5, 0, 255).astype(np.uint8)


_FAULTS = (_hold, _ghost, _gain, _pulses, _opacity)
