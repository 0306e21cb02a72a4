"""A decode cell works no further ahead of its reader than it was told to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from scanner.core.types import Clip, ClipSpec, Mode
from scanner.media.arena import SLOTS, STEPWISE, Arena, anonymous
from scanner.media.protocol import ClosedError
from scanner.media.serving import Cell

SPEC = ClipSpec(length=2, size=16)


class Reel:
    """Ten clips."""

    def __init__(self, payload: bytes, mode: Mode) -> None:
        assert (payload, mode) == (b"video", Mode.FULL)

    def clips(self) -> Iterator[Clip]:
        for number in range(10):
            yield Clip(0, number, number + 1, 0, np.full((2, 16, 16, 3), number, np.uint8))


class Line:
    """A parent that gives back so many slots, and then hangs up."""

    def __init__(self, releases: int) -> None:
        self.told: list[dict[str, Any]] = []
        self._releases = releases

    def take(self, size: int) -> bytes:
        return b"video"[:size]

    def tell(self, said: dict[str, Any]) -> None:
        self.told.append(said)

    def hear(self) -> dict[str, Any]:
        if not self._releases:
            raise ClosedError
        self._releases -= 1
        return {"release": self.told[-1]["slot"]}


@pytest.mark.parametrize("slots", [STEPWISE, SLOTS])
@pytest.mark.parametrize("releases", [0, 3])
def test_a_cell_fills_as_many_slots_as_it_was_given_and_waits_for_one_to_come_back(slots: int, releases: int) -> None:
    line, descriptor = Line(releases), anonymous(SPEC)
    arena = Arena(descriptor, SPEC, writable=True)
    os.close(descriptor)
    cell = Cell(line, arena, Reel)  # type: ignore[arg-type]  # the reel stands in for a line of pictures
    with pytest.raises(ClosedError):
        cell.answer({"mode": "full", "size": 5, "slots": slots})
    assert len(line.told) == slots + releases
    assert len({said["slot"] for said in line.told}) == slots
