"""What a forgery is made of: a scene, a layer painted over it, and where and when it was painted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
Points: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.float32]
Resynth: TypeAlias = Callable[[Pixels, int], Pixels]
"""A net: face patches (T, S, S, 3) and a seed → the same patches, painted again."""


class Redraw(Protocol):
    """A net that draws faces from one picture and landmarks, as talking heads and lip-sync are made."""

    def __call__(self, still: Pixels, own: Points, frames: Pixels, points: Points, *, lower: bool) -> Pixels:
        """The frames with their faces drawn anew.

        Args:
            still: (H, W, 3), what the face looks like.
            own: (468, 2), its landmarks.
            frames: (T, H, W, 3), what surrounds the faces.
            points: (T, 468, 2), what the faces are to show.
            lower: whether only what lies below the nose is drawn, or the whole picture.

        Returns:
            (T, H, W, 3); outside the net's square the frames as they were.
        """
        ...


@dataclass(frozen=True, slots=True)
class Generators:
    """Nets of our own that forge; without any, resamplers and splines take their place."""

    nets: tuple[Resynth, ...] = ()
    redraws: tuple[Redraw, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """A real clip, what surrounds it in its source, and somebody else's face."""

    whole: Pixels
    "(N, H, W, 3) RGB, every frame of the source."
    points: Points
    "(N, 468, 2) landmarks in pixels."
    start: int
    length: int
    donor: Pixels | None = None
    "(M, H', W', 3) frames of another person."
    donor_points: Points | None = None
    "(M, 468, 2)."
    generators: Generators = field(default=Generators())

    def __post_init__(self) -> None:
        if self.whole.ndim != 4 or self.points.shape[:1] != self.whole.shape[:1]:
            msg = f"frames and points disagree: {self.whole.shape = }, {self.points.shape = }"
            raise ValueError(msg)
        if not 0 <= self.start <= self.start + self.length <= len(self.whole):
            msg = f"no such window: {self.start = }, {self.length = }, {len(self.whole) = }"
            raise ValueError(msg)

    @property
    def nets(self) -> tuple[Resynth, ...]:
        """What paints faces again."""
        return self.generators.nets

    @property
    def redraws(self) -> tuple[Redraw, ...]:
        """What draws faces from landmarks."""
        return self.generators.redraws

    @property
    def clip(self) -> Pixels:
        """(T, H, W, 3): the window to forge."""
        return self.whole[self.start : self.start + self.length]

    @property
    def track(self) -> Points:
        """(T, 468, 2): its landmarks."""
        return self.points[self.start : self.start + self.length]


@dataclass(frozen=True, slots=True)
class Layers:
    """A painted layer; nothing is blended yet."""

    over: Pixels
    "(T, H, W, 3)."
    alpha: Mask
    "(T, H, W) in [0, 1]: how much of the layer shows."
    label: Mask
    "(T, H, W) in [0, 1]: which pixels are called forged."


@dataclass(frozen=True, slots=True)
class Forged:
    """A forged clip with its truth."""

    clip: Pixels
    "(T, H, W, 3)."
    mask: Mask
    "(T, H, W) in [0, 1]."
    frames: NDArray[np.float32]
    "(T,) in [0, 1]: how much of each frame's face is forged."
    family: str


def compose(under: Pixels, layers: Layers) -> Pixels:
    """The layer blended over the real clip."""
    alpha = layers.alpha[..., None]
    mixed = under + alpha * (layers.over.astype(np.float32) - under)
    return np.asarray(np.clip(mixed + 0.5, 0, 255), np.uint8)
