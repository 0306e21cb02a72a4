"""How the sample moves: a seeded performance of head, eyes, brows and mouth, as smooth functions of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

BLINK_S = 0.28


@dataclass(frozen=True, slots=True)
class Pose:
    """One moment. Lengths in pixels of the portrait, angles in degrees."""

    shift: tuple[float, float]
    """of the head, right and down"""
    roll: float
    nod: tuple[float, float]
    """how far the nose leads the ears, right and down: what turning the head looks like from the front"""
    zoom: float
    """of the head, 1 at rest: leaning in"""
    breath: float
    """of the shoulders, down"""
    camera: tuple[float, float, float]
    """drift right and down, and zoom"""
    lids: float
    """0 open, 1 shut"""
    brows: float
    """raised by"""
    mouth: float
    """opening as a multiple of the portrait's smile"""
    purse: float
    """0 as smiled, 1 with corners drawn in"""
    light: float
    """gain of the exposure"""


class Performance:
    """A performance of any length: ask it for the pose at a time."""

    def __init__(self, seed: int, seconds: float) -> None:
        rng = np.random.default_rng(seed)
        self._sway = [_Wander(rng, rates) for rates in ((0.13, 0.31, 0.52),) * 6]
        self._fine = [_Wander(rng, rates) for rates in ((0.05, 0.11, 0.23),) * 5]
        self._phrase = _Wander(rng, (0.21, 0.43))
        self._syllable = _Wander(rng, (2.7, 3.6, 4.9))
        self._vowel = _Wander(rng, (0.9, 1.7))
        self._blinks = _blink_times(rng, seconds)

    def pose(self, t: float) -> Pose:
        x, y, roll, turn, tilt, lean = (wander.at(t) for wander in self._sway)
        drift_x, drift_y, zoom, light, brows = (wander.at(t) for wander in self._fine)
        talking = float(np.clip(0.75 + 0.7 * self._phrase.at(t), 0.0, 1.0))
        open_by = 0.55 + 0.5 * self._syllable.at(t)
        return Pose(
            shift=(5.0 * x + 1.5 * turn, 2.2 * y + 0.8 * talking * self._syllable.at(t - 0.06)),
            roll=2.2 * roll,
            nod=(3.6 * turn, 2.0 * tilt + 0.7 * talking * self._vowel.at(t)),
            zoom=1.0 + 0.018 * lean,
            breath=1.1 * float(np.sin(2 * np.pi * 0.27 * t)),
            camera=(2.2 * drift_x, 1.4 * drift_y, 1.0 + 0.012 * zoom),
            lids=max((_lid(t - at) for at in self._blinks), default=0.0),
            brows=1.4 * max(0.0, brows + 0.4 * talking * self._vowel.at(t)),
            mouth=1.0 - talking * (1.0 - float(np.clip(open_by * 1.2, 0.08, 1.34))),
            purse=talking * (0.35 + 0.35 * self._vowel.at(t)),
            light=1.0 + 0.012 * light,
        )


class _Wander:
    """A slow sum of sines with seeded phases, about within [-1, 1]."""

    def __init__(self, rng: np.random.Generator, rates_hz: tuple[float, ...]) -> None:
        self._rates = np.array(rates_hz) * rng.uniform(0.85, 1.15, len(rates_hz))
        self._phases = rng.uniform(0, 2 * np.pi, len(rates_hz))
        weights = 1 / np.sqrt(np.arange(1, len(rates_hz) + 1))
        self._weights: Doubles = weights / weights.sum() * 1.2

    def at(self, t: float) -> float:
        return float(self._weights @ np.sin(2 * np.pi * self._rates * t + self._phases))


def _blink_times(rng: np.random.Generator, seconds: float) -> tuple[float, ...]:
    times = [float(rng.uniform(0.6, 1.2))]
    while times[-1] < seconds:
        times.append(times[-1] + float(rng.uniform(1.4, 3.2)))
    return tuple(times)


def _lid(since: float) -> float:
    """Lids shut in a third of the time they take to open."""
    if not 0 <= since < BLINK_S:
        return 0.0
    shut_at = BLINK_S / 3
    part = since / shut_at if since < shut_at else (BLINK_S - since) / (BLINK_S - shut_at)
    return float(np.sin(part * np.pi / 2) ** 2)
