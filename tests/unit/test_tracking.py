"""Detections to identities, as tables: who is who from probe to probe."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.core.tracking import Tracker, iou, match
from scanner.core.types import Detections

LEFT, MIDDLE, RIGHT = 0.1, 0.4, 0.7


def faces(*places: float, side: float = 0.2) -> Detections:
    """Faces of one size, side by side: each place is the left edge of one."""
    boxes = np.array([[x, 0.3, x + side, 0.3 + side] for x in places], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(len(places), 0.9, np.float32), np.zeros((len(places), 6, 2), np.float32))


def tracks(*probes: Detections | str) -> list[list[int]]:
    """For each track, the probes that saw it. "cut" stands for a scene cut."""
    tracker, number = Tracker(), 0
    for probe in probes:
        if isinstance(probe, str):
            tracker.cut()
        else:
            tracker.update(number, probe)
            number += 1
    return [sorted(track.seen) for track in tracker.tracks]


TABLE = {
    "one that stays": ([faces(LEFT)] * 3, [[0, 1, 2]]),
    "one that moves": ([faces(0.10), faces(0.15), faces(0.20), faces(0.25)], [[0, 1, 2, 3]]),
    "one that jumps is another": ([faces(LEFT), faces(RIGHT)], [[0], [1]]),
    "two side by side": ([faces(LEFT, RIGHT)] * 2, [[0, 1], [0, 1]]),
    "two told in the other order": ([faces(LEFT, RIGHT), faces(RIGHT, LEFT)], [[0, 1], [0, 1]]),
    "one who comes later": ([faces(LEFT), faces(LEFT, RIGHT)], [[0, 1], [1]]),
    "a gap of two probes is bridged": ([faces(LEFT), faces(), faces(), faces(LEFT)], [[0, 3]]),
    "a gap of three is not": ([faces(LEFT), faces(), faces(), faces(), faces(LEFT)], [[0], [4]]),
    "nobody": ([faces(), faces()], []),
    "after a cut it is somebody else": ([faces(LEFT), "cut", faces(LEFT)], [[0], [1]]),
    "two that approach keep apart": (
        [faces(0.1, 0.6), faces(0.2, 0.5), faces(0.25, 0.45)],
        [[0, 1, 2], [0, 1, 2]],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_who_is_who(name: str) -> None:
    probes, expected = TABLE[name]
    assert tracks(*probes) == expected


def test_only_those_after_the_cut_are_said_to_be() -> None:
    tracker = Tracker()
    tracker.update(0, faces(LEFT))
    tracker.cut()
    tracker.update(1, faces(LEFT, RIGHT))
    assert [track.after_cut for track in tracker.tracks] == [False, True, True]
    assert tracker.alive == 2


def test_the_greatest_overlap_in_sum_wins_not_the_first() -> None:
    """Known at 0.10 and 0.22; seen at 0.16 and 0.04: each known has one partner only if both are weighed."""
    known, seen = faces(0.10, 0.22).boxes, faces(0.16, 0.04).boxes
    assert sorted(match(known, seen)) == [(0, 1), (1, 0)]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 1), 1.0),
        ((0, 0, 1, 1), (1, 0, 2, 1), 0.0),
        ((0, 0, 2, 1), (1, 0, 3, 1), 1 / 3),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
    ],
)
def test_overlap(left: tuple[int, ...], right: tuple[int, ...], expected: float) -> None:
    boxes = np.array([left], np.float32), np.array([right], np.float32)
    assert iou(*boxes)[0, 0] == pytest.approx(expected)
