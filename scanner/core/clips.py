"""Which frames make a clip, and which square of the picture it shows.

frames   0 1 2 3 4 5 6 7 8 9 A      T = 4
patrol   [-----)                    one look at the head, or one every so often (see Pace)
inspect  [-----)[-----)
full     [-----)[-----)
                   [-----)          ends at the last frame; its first frame repeats (`repeats` = 1)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from scanner.core.types import Box, Floats, Mode

FrameT = TypeVar("FrameT")
CUT_LUMA = 28.0  # mean absolute change of luma between two pictures in a row that no camera move makes
LEAST_NEW = 4  # the last burst of a full pass must show at least T / 4 new frames to be worth its price


@dataclass(frozen=True, slots=True)
class Burst(Generic[FrameT]):
    """T consecutive frames."""

    frames: tuple[FrameT, ...]
    repeats: int = 0
    """leading frames that the burst before showed too"""
    follows: bool = False
    """its first frame comes right after the last one of the burst before, in the same scene"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a patrol looks at a segment, and how long each time."""

    clips: int = 1
    """bursts back to back in each look"""
    every_s: float = 0.0
    """media time from the beginning of a look to that of the next one; 0: one look a segment, at its head"""

    def __post_init__(self) -> None:
        if self.clips < 1 or self.every_s < 0:
            raise ValueError(f"not a pace: {self}")


ONE_LOOK = Pace()


def bursts(
    frames: Iterable[FrameT],
    length: int,
    mode: Mode,
    is_cut: Callable[[FrameT], bool],
    *,
    wanted: Callable[[FrameT], bool] = lambda _: True,
    most: int = 1,
) -> Iterator[Burst[FrameT]]:
    """Frames in presentation order to bursts. A burst never spans a scene cut; frames left over are not shown.

    Args:
        is_cut: whether the picture changed at once between the frame before and this one.
        wanted: whether a burst may hold this frame.
        most: bursts of a patrol.
    """
    held: list[FrameT] = []
    shown: deque[FrameT] = deque(maxlen=length)
    follows = False
    for frame in frames:
        if is_cut(frame):
            yield from _tail(held, shown, length, mode)
            held, shown, follows = [], deque(maxlen=length), False
        if not wanted(frame):
            continue
        held.append(frame)
        if len(held) == length:
            yield Burst(tuple(held), follows=follows)
            most -= 1
            if mode is Mode.PATROL and not most:
                return
            if mode is Mode.FULL:
                shown.extend(held)
            held, follows = [], True
    yield from _tail(held, shown, length, mode)


def _tail(held: list[FrameT], shown: deque[FrameT], length: int, mode: Mode) -> Iterator[Burst[FrameT]]:
    repeats = length - len(held)
    if mode is Mode.FULL and len(held) * LEAST_NEW >= length and len(shown) >= repeats:
        yield Burst((*list(shown)[len(shown) - repeats :], *held), repeats)


def probes(length: int, every: int) -> tuple[int, ...]:
    """Places in a burst where faces are detected: evenly spread, always the first and the last frame.

    >>> probes(16, 5)
    (0, 5, 10, 15)
    """
    if length == 1:
        return (0,)
    count = max(2, round((length - 1) / every) + 1)
    return tuple(int(place) for place in np.linspace(0, length - 1, count).round())


def between(places: tuple[int, ...], boxes: Floats, length: int) -> Floats:
    """Boxes (p, 4) at some places of a burst to boxes (length, 4) at all, linear between, constant outside."""
    at = np.arange(length)
    return np.stack([np.interp(at, places, boxes[:, side]) for side in range(4)], axis=1).astype(np.float32)


def clip_square(boxes: Floats, scale: float, width: int, height: int) -> tuple[int, int, int]:
    """The one square a clip is cut from: centred on the mean box, `scale` times its longer side.

    Constant over the clip, so that a face which jitters against its head still does so in the crop (one transform
    a clip, as in Zheng et al. 2021, "Exploring temporal coherence for more general video face forgery detection").

    Args:
        boxes: (T, 4) fractions of the picture.

    Returns:
        x0, y0, side in pixels, all even so that 4:2:0 chroma is cut at the same place; may leave the picture.
    """
    x0, y0, x1, y1 = (boxes * np.array([width, height, width, height], np.float32)).mean(axis=0).tolist()
    side = max(2, round(scale * max(x1 - x0, y1 - y0) / 2) * 2)
    return round((x0 + x1 - side) / 4) * 2, round((y0 + y1 - side) / 4) * 2, side


def as_box(row: Floats) -> Box:
    """(4,) to a plain tuple, rounded to a ten-thousandth of the picture and clipped to it."""
    x0, y0, x1, y1 = (round(float(min(1.0, max(0.0, value))), 4) for value in row)
    return x0, y0, x1, y1
