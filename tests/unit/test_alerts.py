"""A stream's alarm: evidence of its faces is averaged, so that many faces are no reason for more false alarms."""

from __future__ import annotations

import math

from scanner.core.alerts import edges
from scanner.core.evidence import alarm_level, averaged
from scanner.core.types import Edge, Label, Mode, ModelRef, Provenance, Tally, TrackState, Verdict

BOX = (0.2, 0.2, 0.5, 0.6)
LEVEL = alarm_level(10.0, 3.75)
VERDICT = Verdict(
    "v", "cam", 0, 0, 2000, Label.SUSPECTED, 0.6, (), (), Provenance(), Tally(50, 50, 32, 0, Mode.FULL),
    ModelRef("m", "ab" * 32), "cd" * 32,
)  # fmt: skip


def track(name, evidence):
    return TrackState(name, BOX, 0, evidence=(evidence,))


def raised(here, away=()):
    after, alerts = edges(here, away, (), VERDICT, false_alarms_per_1000_h=10.0, clips_per_second=3.75, clear_clips=20)
    assert [one.alerted for one in after] == [one.track_id in {alert.track_id for alert in alerts} for one in after]
    return [(alert.edge, alert.track_id) for alert in alerts]


def test_the_average_of_e_values_is_taken_not_of_their_logarithms() -> None:
    assert math.isclose(averaged([math.log(8), math.log(2)]), math.log(5))
    assert math.isclose(averaged([50.0, 0.0]), 50.0 - math.log(2))
    assert averaged([]) == 0.0


def test_one_face_alone_alarms_at_the_level() -> None:
    assert raised([track("a", LEVEL - 0.01)]) == []
    assert raised([track("a", LEVEL + 0.01)]) == [(Edge.RAISED, "a")]


def test_beside_calm_faces_more_is_asked_of_one_also_of_those_that_are_away() -> None:
    calm = [track("b", 0.0), track("c", 0.0), track("d", 0.0)]
    enough = LEVEL + math.log(4)
    assert raised([track("a", enough - 0.01), *calm]) == []
    assert raised([track("a", enough + 0.01), *calm]) == [(Edge.RAISED, "a")]
    assert raised([track("a", enough - 0.01)], calm) == []


def test_a_calm_face_does_not_alarm_for_another_one() -> None:
    assert raised([track("a", LEVEL + 5), track("b", 0.0)]) == [(Edge.RAISED, "a")]
