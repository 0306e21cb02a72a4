"""Room for so many inspections: the strongest evidence has it, and nobody takes turns over a little."""

from __future__ import annotations

import math

from scanner.core.inspection import LAPSES_S, MARGIN, Inspections, urgency
from scanner.core.types import StreamState, TrackState

#   evidence   a ────3────────────────────────────
#              b ──────2──────3.9────4.1──────────     b takes a's place only when it leads by more than the margin
#   inspected    a  a       a     b


def test_the_strongest_evidence_has_the_room_but_a_little_more_does_not_take_it() -> None:
    room = Inspections(1)
    assert room.grant("a", 3.0, 0)
    assert not room.grant("b", 2.0, 1)
    assert not room.grant("b", 3.0 + MARGIN, 2)
    assert room.grant("b", 3.1 + MARGIN, 3)
    assert not room.grant("a", 3.0, 4)
    assert room.count(4) == 1


def test_evidence_is_compared_as_it_is_now() -> None:
    room = Inspections(1)
    room.grant("a", 1.0, 0)
    room.grant("a", 9.0, 1)
    assert not room.grant("b", 5.0, 2)
    room.grant("a", 0.0, 3)
    assert room.grant("b", 5.0, 4)


def test_who_asks_no_more_makes_room() -> None:
    room = Inspections(1)
    room.grant("a", 9.0, 0)
    room.release("a")
    room.release("never granted")
    assert room.grant("b", 0.0, 1)


def test_who_fell_silent_makes_room() -> None:
    room = Inspections(1)
    room.grant("a", 9.0, 0)
    assert not room.grant("b", 0.0, LAPSES_S)
    assert room.grant("b", 0.0, LAPSES_S + 1)


def test_without_a_number_everybody_is_inspected_and_with_none_nobody() -> None:
    assert all(Inspections(None).grant(name, 0.0, 0) for name in range(1000))
    assert not Inspections(0).grant("a", 99.0, 0)


def test_a_stream_is_as_urgent_as_its_most_suspicious_face() -> None:
    box = (0.0, 0.0, 0.1, 0.1)
    tracks = (TrackState("calm", box, 0), TrackState("rising", box, 0, evidence=(5.0, 5.0)))
    assert math.isclose(urgency(StreamState("s", tracks=tracks)), 5.0)
    assert urgency(StreamState("s")) == 0.0


def test_a_face_that_raised_its_alert_makes_room_for_those_of_whom_nobody_knows() -> None:
    box = (0.0, 0.0, 0.1, 0.1)
    told, rising = (
        TrackState("told", box, 0, evidence=(20.0,), alerted=True),
        TrackState("new", box, 0, evidence=(3.0,)),
    )
    room = Inspections(1)
    assert room.grant("a", urgency(StreamState("a", tracks=(told,))), 0)
    assert room.grant("b", urgency(StreamState("b", tracks=(rising,))), 1)
    assert urgency(StreamState("c", tracks=(told, rising))) == 3.0
