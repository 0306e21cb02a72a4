"""Live segments lose coverage first, then looks; archives lose nothing."""

from __future__ import annotations

from scanner.core.types import Mode, Reason, Segment
from scanner.worker.shedding import Shedding, unseen

NOW_MS = 1_000_000_000


def live(age_s: float) -> int:
    return NOW_MS - int(age_s * 1000)


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
