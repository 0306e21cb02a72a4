"""Deliveries as the scanner's topics bring them, for the dashboard's tests."""

from __future__ import annotations

from dataclasses import replace

from scanner import letters, wire
from scanner.core.errors import MediaError
from scanner.core.review import Decision, Review
from scanner.core.types import (
    Alert,
    Edge,
    Label,
    Mode,
    ModelRef,
    Provenance,
    Quality,
    Reason,
    Source,
    SpanScore,
    StreamState,
    Tally,
    Timing,
    TrackState,
    TrackVerdict,
    Verdict,
)
from scanner.ports import Delivery, Record

TOPICS = wire.Topics()
LABELS = {0.9: Label.MANIPULATED, 0.7: Label.SUSPECTED, 0.1: Label.NO_MANIPULATION_FOUND}
QUALITY = Quality(180, 0.7, 0.5, 0.9, 2400)


def verdict(stream_id: str = "cam", sequence: int = 0, score: float | None = 0.1, **changes) -> Verdict:
    start, end = sequence * 2000, sequence * 2000 + 2000
    label = Label.INSUFFICIENT_EVIDENCE if score is None else LABELS.get(score, Label.NO_MANIPULATION_FOUND)
    face = TrackVerdict(
        "t1", label, score, 3.5 * (score or 0), 16, (SpanScore(start, end, score),) if score is not None else (),
        (0.3, 0.1, 0.55, 0.6), QUALITY, (Reason.FACE_TOO_SMALL,) if score is None else (),
    )  # fmt: skip
    whole = Verdict(
        f"{stream_id}-{sequence}", stream_id, sequence, start, end, label, score, face.reasons, (face,), Provenance(),
        Tally(50, 50, 16, 1, Mode.PATROL), ModelRef("tempo-s", "a" * 64), "b" * 64, ("rlimit", "seccomp"),
        Source(TOPICS.segments, 3, sequence), Timing(3, 41, 12, 60),
    )  # fmt: skip
    return replace(whole, **changes)


def judged(said: Verdict, at_ms: int = 0, live_at_ms: int | None = None) -> Delivery:
    return _delivered(wire.verdict_record(said, TOPICS.verdicts, at_ms=at_ms, live_at_ms=live_at_ms), at_ms)


def alert(edge: Edge = Edge.RAISED, stream_id: str = "cam", sequence: int = 0, track: str | None = "t1") -> Delivery:
    end = sequence * 2000 + 2000
    said = Alert(f"{edge}-{sequence}", edge, stream_id, track, sequence, end, 9.0, (), f"{stream_id}-{sequence}")
    return _delivered(wire.alert_record(said, TOPICS.alerts, at_ms=0), 0)


def state(stream_id: str = "cam", *, alerted: bool) -> Delivery:
    track = TrackState("t1", (0.0, 0.0, 1.0, 1.0), 4000, (9.0,), alerted=alerted)
    said = StreamState(stream_id, tracks=(track,))
    return _delivered(wire.state_record(said, TOPICS.states, at_ms=0), 0)


def review(verdict_id: str, decision: str, reviewer: str = "ana", at_ms: int = 1, **changes) -> Review:
    stream_id, _, sequence = verdict_id.rpartition("-")
    return Review(verdict_id, stream_id, int(sequence), Decision(decision), reviewer, "", at_ms, **changes)


def reviewed(said: Review) -> Delivery:
    return _delivered(wire.review_record(said, TOPICS.reviews, at_ms=0), said.reviewed_at_ms)


def dead(stream_id: str = "cam", offset: int = 7) -> Delivery:
    original = Delivery(Record(TOPICS.segments, stream_id.encode(), b"junk"), 2, offset, 0)
    letter = letters.DeadLetter(MediaError("not a video"), 1)
    return _delivered(letters.deadletter_record(original, letter, TOPICS.deadletters, at_ms=0), 5)


def _delivered(record: Record, at_ms: int) -> Delivery:
    return Delivery(record, 3, 11, at_ms)
