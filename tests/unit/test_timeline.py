"""What the container tells to a time that only grows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from scanner.media.timeline import Timeline

SECOND = 1000  # ticks
STEP = 40


@dataclass
class Packet:
    pts: int | None
    dts: int | None
    is_keyframe: bool = False


def timeline(*, reorders: bool = False) -> Timeline:
    stream: Any = SimpleNamespace(
        time_base=Fraction(1, SECOND),
        average_rate=Fraction(25),
        guessed_rate=Fraction(25),
        codec_context=SimpleNamespace(has_b_frames=reorders),
    )
    return Timeline(stream)


def placed(*told: int | tuple[int | None, int | None], keyframes: tuple[int, ...] = (0,)) -> list[tuple[int, int]]:
    line = timeline()
    packets = [time if isinstance(time, tuple) else (time, time) for time in told]
    return [line.place(Packet(*packet, is_keyframe=at in keyframes)) for at, packet in enumerate(packets)]


HOUR = 3600 * SECOND
# fmt: off
TABLE = {
    "sound":                 ((0, 40, 80),                        (0, 40, 80)),
    "starts late":           ((5000, 5040),                       (5000, 5040)),
    "starts before zero":    ((-80, -40, 0),                      (-80, -40, 0)),
    "a short pause":         ((0, 40, 9000),                      (0, 40, 9000)),
    "starts anew":           ((90_000, 90_040, 0, 40),            (90_000, 90_040, 90_080, 90_120)),
    "wraps":                 ((2**33 - 40, 0, 40),                (2**33 - 40, 2**33, 2**33 + 40)),
    "leaps":                 ((0, 40, 10 * HOUR, 10 * HOUR + 40), (0, 40, 80, 120)),
    "repeats a time":        ((0, 40, 40, 80),                    (0, 40, 41, 80)),
    "slips back a little":   ((0, 40, 20, 80),                    (0, 40, 41, 80)),
    "leaps and comes back":  ((0, 40, 10 * HOUR, 80, 120),        (0, 40, 80, 120, 160)),
}
# fmt: on


@pytest.mark.parametrize("name", TABLE)
def test_time_only_grows(name: str) -> None:
    told, expected = TABLE[name]
    assert [dts for _, dts in placed(*told)] == list(expected)
    assert [pts for pts, _ in placed(*told)] == list(expected)


def test_a_long_pause_before_a_keyframe_is_kept_and_elsewhere_is_a_broken_clock() -> None:
    assert [dts for _, dts in placed(0, 40, 600_000, keyframes=(0, 2))] == [0, 40, 600_000]
    assert [dts for _, dts in placed(0, 40, 600_000)] == [0, 40, 80]


def test_reordered_pictures_keep_their_times() -> None:
    told = [(80, 0), (200, 40), (120, 80), (160, 120)]
    assert placed(*told) == told


def test_missing_times_are_filled_in_by_the_rate() -> None:
    assert placed((0, 0), (None, None), (None, 80), (None, None)) == [(0, 0), (40, 40), (80, 80), (120, 120)]


def test_presentation_times_alone_leave_room_for_reordering() -> None:
    line = timeline(reorders=True)
    times = [line.place(Packet(pts, None)) for pts in (0, 120, 40, 80)]
    assert [pts for pts, _ in times] == [0, 120, 40, 80]
    assert all(dts <= pts for pts, dts in times)
    assert [dts for _, dts in times] == sorted({dts for _, dts in times})


def test_a_picture_is_never_shown_before_it_can_be_decoded_nor_ages_after() -> None:
    assert placed((0, 0), (10, 40), (90 * SECOND, 80)) == [(0, 0), (40, 40), (80, 80)]
