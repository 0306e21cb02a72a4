"""The largest number that still holds, by doubling and bisection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

MOST = 4096


class Outcome(Protocol):
    """What a run says of itself."""

    @property
    def held(self) -> bool: ...


def most_held(run: Callable[[int], Outcome], first: int) -> int:
    """Doubles from `first` until a run does not hold, then bisects; 0 when not even one stream is held.

    >>> from types import SimpleNamespace
    >>> most_held(lambda n: SimpleNamespace(held=n <= 37), first=8)
    37
    """
    low, high = 0, first
    while high <= MOST and run(high).held:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        if run(middle).held:
            low = middle
        else:
            high = middle
    return low
