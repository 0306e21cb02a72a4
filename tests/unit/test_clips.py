"""Which frames make a clip, drawn as time lines; and which square of the picture a clip shows."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.core.clips import Pace, as_box, between, bursts, clip_square, probes
from scanner.core.types import Mode

# A time line: frames as letters, `|` before a frame where the scene changes.
# Expected: the bursts in order, repeated frames in lower case.
LINES = [
    # mode           frames           bursts of 4
    (Mode.PATROL, "ABCDEFGHIJ", ["ABCD"]),
    (Mode.INSPECT, "ABCDEFGHIJ", ["ABCD", "EFGH"]),
    (Mode.FULL, "ABCDEFGHIJ", ["ABCD", "EFGH", "ghIJ"]),
    (Mode.FULL, "ABCDEFGH", ["ABCD", "EFGH"]),
    (Mode.FULL, "ABCDE", ["ABCD", "bcdE"]),
    (Mode.FULL, "ABC", []),
    (Mode.INSPECT, "ABC", []),
    (Mode.PATROL, "ABC", []),
    (Mode.FULL, "", []),
    (Mode.PATROL, "AB|CDEFGHIJ", ["CDEF"]),
    (Mode.INSPECT, "ABCDEF|GHIJKL", ["ABCD", "GHIJ"]),
    (Mode.FULL, "ABCDEF|GHIJKL", ["ABCD", "cdEF", "GHIJ", "ijKL"]),
    (Mode.FULL, "ABCDEF|GHI", ["ABCD", "cdEF"]),
    (Mode.FULL, "ABC|DEF|GHIJ", ["GHIJ"]),
    (Mode.FULL, "|ABCD|EFGH", ["ABCD", "EFGH"]),
]


def drawn(mode: Mode, line: str, length: int = 4) -> list[str]:
    cuts = {line[at + 1] for at, sign in enumerate(line) if sign == "|"}
    found = bursts(line.replace("|", ""), length, mode, lambda frame: frame in cuts)
    return ["".join(burst.frames[: burst.repeats]).lower() + "".join(burst.frames[burst.repeats :]) for burst in found]


@pytest.mark.parametrize(("mode", "line", "expected"), LINES)
def test_bursts_are_drawn(mode: Mode, line: str, expected: list[str]) -> None:
    assert drawn(mode, line) == expected


def test_a_last_burst_that_shows_too_little_new_is_not_worth_its_price() -> None:
    """At least a quarter of a burst must be new: 2 of 8 frames."""
    assert drawn(Mode.FULL, "ABCDEFGHI", 8) == ["ABCDEFGH"]
    assert drawn(Mode.FULL, "ABCDEFGHIJ", 8) == ["ABCDEFGH", "cdefghIJ"]


def test_a_patrol_takes_no_frame_beyond_its_burst() -> None:
    """Frames that are not taken are not decoded: this is what makes a patrol cheap."""
    taken: list[int] = []

    def frames():
        for number in range(100):
            taken.append(number)
            yield number

    assert len(list(bursts(frames(), 8, Mode.PATROL, lambda frame: False))) == 1
    assert taken == list(range(8))


def test_a_look_of_several_bursts_ends_after_the_last_of_them() -> None:
    source = iter("ABCDEFGHIJKLMNOP")
    found = list(bursts(source, 4, Mode.PATROL, lambda frame: False, most=3))
    assert ["".join(burst.frames) for burst in found] == ["ABCD", "EFGH", "IJKL"]
    assert next(source) == "M"


def test_frames_that_are_not_wanted_are_in_no_burst() -> None:
    found = bursts("abcABCDEFGH", 4, Mode.PATROL, lambda frame: False, wanted=str.isupper)
    assert ["".join(burst.frames) for burst in found] == ["ABCD"]


def test_a_burst_knows_whether_it_goes_on_where_the_one_before_ended() -> None:
    """ABCD EFGH | IJKL and a last one that repeats: only EFGH begins right after a burst of its scene."""
    found = bursts("ABCDEFGHIJKLMN", 4, Mode.FULL, lambda frame: frame == "I")
    assert [burst.follows for burst in found] == [False, True, False, False]


@pytest.mark.parametrize("pace", [(0, 1.0), (1, -0.5)])
def test_a_pace_that_never_looks_is_refused(pace: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="not a pace"):
        Pace(*pace)


def test_frames_are_handed_on_as_soon_as_a_burst_is_full() -> None:
    source = iter(range(100))
    found = bursts(source, 8, Mode.FULL, lambda frame: False)
    assert next(found).frames == tuple(range(8))
    assert next(source) == 8


@pytest.mark.parametrize(
    ("length", "every", "expected"),
    [(16, 5, (0, 5, 10, 15)), (8, 5, (0, 7)), (1, 5, (0,)), (2, 5, (0, 1)), (32, 5, (0, 5, 10, 16, 21, 26, 31))],
)
def test_probes_are_spread_evenly(length: int, every: int, expected: tuple[int, ...]) -> None:
    assert probes(length, every) == expected


def test_boxes_between_probes_lie_on_a_line() -> None:
    boxes = np.array([[0.0, 0.0, 0.2, 0.2], [0.4, 0.2, 0.6, 0.4]], np.float32)
    all_boxes = between((1, 5), boxes, 8)
    np.testing.assert_allclose(all_boxes[:, 0], [0, 0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4], atol=1e-6)


def test_the_square_is_centred_on_the_mean_box_and_as_large_as_its_longer_side_asks() -> None:
    """A face of 40 × 60 px in the middle of 320 × 240 px, shown in a square of 1.5 × 60 px."""
    box = np.array([[140 / 320, 90 / 240, 180 / 320, 150 / 240]] * 4, np.float32)
    x0, y0, side = clip_square(box, 1.5, 320, 240)
    assert side == 90
    assert abs(x0 + side / 2 - 160) <= 1
    assert abs(y0 + side / 2 - 120) <= 1


def test_the_square_may_leave_the_picture() -> None:
    x0, y0, side = clip_square(np.array([[0.0, 0.0, 0.5, 0.5]], np.float32), 1.5, 100, 100)
    assert (x0, y0) < (0, 0)
    assert side in (74, 76)


def test_a_box_is_rounded_and_clipped_to_the_picture() -> None:
    assert as_box(np.array([-0.5, 0.12345678, 1.5, 0.9], np.float32)) == (0.0, 0.1235, 1.0, 0.9)
