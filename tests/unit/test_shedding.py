"""Live segments lose coverage first, then looks; archives lose nothing."""

from __future__ import annotations

import pytest

from scanner.core.types import Mode, Reason, Segment
from scanner.letters import REDRIVEN
from scanner.ports import Delivery, Record
from scanner.worker.shedding import Shedding, live_at_ms, unseen

NOW_MS = 1_000_000_000


def live(age_s: float) -> int:
    return NOW_MS - int(age_s * 1000)


def delivery(came_s: float, *headers: tuple[str, bytes]) -> Delivery:
    return Delivery(Record("segments", b"cam", b"x", headers), 0, 0, NOW_MS + int(came_s * 1000))


def captured(at_s: float | None) -> Segment:
    return Segment("cam", 0, 0, b"x", "0", captured_at_ms=None if at_s is None else NOW_MS + int(at_s * 1000))


@pytest.mark.parametrize(
    ("captured_s", "came_s", "since_s"),
    [
        (-2.0, 0.1, 0.1),  # two seconds long, and sent at once
        (-12.0, 0.5, 0.5),  # keyframes far apart
        (-3600.0, 0.0, -3570.0),  # kept for an hour in a spool
        (1.0, 0.0, 1.0),  # clocks that disagree
        (None, 0.0, None),
    ],
)
def test_a_segment_is_late_since_it_was_complete(
    captured_s: float | None, came_s: float, since_s: float | None
) -> None:
    expected = None if since_s is None else NOW_MS + int(since_s * 1000)
    assert live_at_ms(captured(captured_s), delivery(came_s)) == expected


def test_a_segment_that_was_redriven_has_time() -> None:
    assert live_at_ms(captured(-2.0), delivery(0.0, (REDRIVEN, b"letters/0/7"))) is None


def test_keyframes_far_apart_are_not_lateness_and_one_hiccup_sheds_no_longer_than_it_lasts() -> None:
    shedding = Shedding(patrol_after_s=5, shed_after_s=60)
    said = []
    for waited_s in (0.5, 61, 4, 0.5):  # segments of twelve seconds, on their topic as they end
        live_ms = live_at_ms(captured(-waited_s - 12), delivery(-waited_s))
        said.append(shedding.mode(live_ms, Mode.INSPECT, NOW_MS))
    assert said == [Mode.INSPECT, None, Mode.INSPECT, Mode.INSPECT]


def modes(shedding: Shedding, *ages_s: float) -> list[Mode | None]:
    return [shedding.mode(live(age_s), Mode.INSPECT, NOW_MS) for age_s in ages_s]


def test_the_older_the_less_and_young_again_before_anything_is_looked_at() -> None:
    shedding = Shedding(patrol_after_s=10, shed_after_s=30)
    assert modes(shedding, 1, 11, 31, 29, 11, 9) == [Mode.INSPECT, Mode.PATROL, None, None, None, Mode.INSPECT]


def test_an_archive_is_looked_at_however_late() -> None:
    shedding = Shedding(patrol_after_s=10, shed_after_s=30)
    modes(shedding, 31)
    assert shedding.mode(None, Mode.FULL, NOW_MS) is Mode.FULL


def test_what_is_not_set_never_happens() -> None:
    assert modes(Shedding(None, None), 1, 10**6) == [Mode.INSPECT] * 2
    assert modes(Shedding(10, None), 11, 10**6) == [Mode.PATROL] * 2
    assert modes(Shedding(None, 30), 29, 31, 30, 29) == [Mode.INSPECT, None, Mode.INSPECT, Mode.INSPECT]


def test_what_is_not_looked_at_says_so() -> None:
    look = unseen(Segment("cam", 0, 0, b"x", "0"), Mode.PATROL)
    assert look.observation.reasons == (Reason.SHED,)
    assert (look.observation.tally.frames_decoded, look.scored) == (0, ())
