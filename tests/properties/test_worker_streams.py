"""Streams that come late, are suspicious, end or fall silent: what a worker looks at, and what it remembers."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from scripted import pipeline
from works import TOPICS, published, read, worked

from scanner import wire
from scanner.core.types import Mode, Reason, Segment, StreamState
from scanner.verify import verify


def test_live_segments_that_come_too_late_are_answered_without_a_look_and_archives_are_looked_at() -> None:
    bus = published(["good"], 1)
    late = Segment("live", 0, 0, b"good 1", hashlib.sha256(b"good 1").hexdigest(), captured_at_ms=1)
    bus.publisher().publish(wire.segment_record(late, TOPICS.segments))
    worked(bus, shed_after_s=30)
    verdicts = {v.stream_id: v for v in (wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts))}
    assert [reason.value for reason in verdicts["live"].reasons] == ["shed"]
    assert (verdicts["live"].label.value, verdicts["live"].coverage.frames_decoded) == ("insufficient_evidence", 0)
    assert verdicts["cam-0"].coverage.frames_decoded == 60
    assert verify(bus, TOPICS, "group").holds


def watched(streams, sequences, value):
    """Segments of streams that are all as suspicious as `value` is; one after another."""
    bus = published([], 1, partitions=2)
    payload = f"good {value}".encode()
    digest = hashlib.sha256(payload).hexdigest()
    for sequence in range(sequences):
        for stream in range(streams):
            sent = Segment(f"cam-{stream}", sequence, sequence * 2000, payload, digest)
            bus.publisher().publish(wire.segment_record(sent, TOPICS.segments))
    return bus


def verdicts_on(bus):
    found = [wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts)]
    return sorted(found, key=lambda verdict: (verdict.stream_id, verdict.sequence))


def test_suspicious_streams_are_inspected_as_far_as_there_is_room_and_the_others_say_that_it_was_withheld() -> None:
    bus = watched(streams=3, sequences=6, value=15)
    worked(bus, inspect_at_once=1)
    said = verdicts_on(bus)
    withheld = [v for v in said if Reason.INSPECTION_WITHHELD in v.reasons]
    inspected = [v for v in said if v.coverage.mode is Mode.INSPECT]
    assert len(said) == 18
    assert len(withheld) + len(inspected) == 15  # all but the first of each stream, when nothing was known of it
    assert inspected
    assert withheld
    assert {v.coverage.mode for v in withheld} == {Mode.PATROL}
    assert verify(bus, TOPICS, "group").holds


def test_with_room_for_all_nothing_is_withheld() -> None:
    bus = watched(streams=3, sequences=4, value=15)
    worked(bus)
    assert {v.coverage.mode for v in verdicts_on(bus) if v.sequence} == {Mode.INSPECT}
    assert not [v for v in verdicts_on(bus) if v.reasons]


def test_verdicts_follow_from_the_modes_that_they_name_whatever_the_room_was() -> None:
    bus = watched(streams=3, sequences=6, value=15)
    worked(bus, inspect_at_once=1)
    states = {}
    with pipeline() as parts:
        for said in verdicts_on(bus):
            payload = b"good 15"
            again = Segment(said.stream_id, said.sequence, said.start_ms, payload, hashlib.sha256(payload).hexdigest())
            state = states.get(said.stream_id, StreamState(said.stream_id))
            conclusion = parts.answer(state, parts.look(again, said.coverage.mode))
            states[said.stream_id] = conclusion.state
            kept = replace(conclusion.verdict, source=said.source, timing_ms=said.timing_ms)
            assert kept == said


def segment(stream, sequence, **more):
    payload = f"good {sequence + 7}".encode()
    digest = hashlib.sha256(payload).hexdigest()
    return wire.segment_record(Segment(stream, sequence, sequence * 2000, payload, digest, **more), TOPICS.segments)


def remembered_streams(bus):
    states = {delivery.record.key.decode(): delivery.record.value for delivery in read(bus, TOPICS.states)}
    return sorted(key for key, value in states.items() if value is not None)


def test_a_stream_that_ended_is_forgotten_and_may_begin_again() -> None:
    bus = published([], 1)
    for record in (segment("a", 0), segment("b", 0), segment("a", 1, end_of_stream=True)):
        bus.publisher().publish(record)
    worked(bus)
    assert remembered_streams(bus) == ["b"]
    bus.publisher().publish(segment("a", 0))
    worked(bus)
    verdicts = [wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts)]
    assert [[r.value for r in v.reasons] for v in verdicts if v.stream_id == "a"] == [[], [], []]
    assert remembered_streams(bus) == ["a", "b"]
    assert verify(bus, TOPICS, "group").counts() == dict.fromkeys(verify(bus, TOPICS, "group").counts(), 0)


def test_a_stream_that_fell_silent_is_forgotten_when_another_speaks() -> None:
    bus = published([], 1, partitions=1)
    bus.publisher().publish(segment("silent", 0))
    worked(bus)
    bus.publisher().publish(segment("other", 0))
    worked(bus, forget_after_s=10**6)
    assert remembered_streams(bus) == ["other", "silent"]
    bus.publisher().publish(segment("other", 1))
    worked(bus, forget_after_s=-1)
    assert remembered_streams(bus) == []
