"""The worker under a script of good, poisoned and lost segments, and crashes at any call that crosses an edge."""

from __future__ import annotations

import hashlib
import threading

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from works import TOPICS, answers, published, read, worked

from scanner import letters, wire
from scanner.core.types import Mode, Segment
from scanner.verify import verify

kinds = st.lists(st.sampled_from(["good", "good", "good", "poison", "lost"]), min_size=1, max_size=12)
archived = st.sets(st.integers(0, 2))
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(kinds=kinds, streams=st.integers(1, 3), archived=archived)
def test_every_segment_is_answered_exactly_once(kinds, streams, archived) -> None:
    bus = published(kinds, streams, archived=archived)
    worked(bus)
    places, facts = answers(bus)
    assert sum(places.values()) == len(kinds) == len(places)
    assert len(facts) == kinds.count("good")


@quick
@given(kinds=kinds, streams=st.integers(1, 3), archived=archived, crash=st.integers(1, 12))
def test_a_crash_at_any_edge_loses_nothing_and_changes_no_verdict(kinds, streams, archived, crash) -> None:
    undisturbed = published(kinds, streams, archived=archived)
    worked(undisturbed)
    bus = published(kinds, streams, archived=archived)
    worked(bus, blows_at=crash)
    worked(bus)
    places, facts = answers(bus)
    assert places == answers(undisturbed)[0]
    assert set(places.values()) == {1}
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.pending) == (True, 0), proof.findings
    assert facts == answers(undisturbed)[1]


def test_an_answer_that_no_topic_takes_becomes_a_dead_letter_and_is_not_remembered() -> None:
    bus = published(["good"] * 3, 1)
    worked(bus, largest_record_bytes=600)
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.verdicts, proof.dead_letters, proof.pending) == (True, 0, 3, 0)
    (told, *_) = [letters.rejected_of(delivery.record) for delivery in read(bus, TOPICS.deadletters)]
    assert "a record of its answer has" in told.message
    assert read(bus, TOPICS.states) == []


def test_a_bare_end_of_stream_gets_a_verdict() -> None:
    bus = published(["good"], 1)
    end = Segment("cam-0", 1, 2000, b"", hashlib.sha256(b"").hexdigest(), end_of_stream=True)
    bus.publisher().publish(wire.segment_record(end, TOPICS.segments))
    worked(bus)
    verdicts = [wire.verdict_of(delivery.record) for delivery in read(bus, TOPICS.verdicts)]
    assert [verdict.sequence for verdict in verdicts] == [0, 1]
    assert verdicts[1].label.value == "insufficient_evidence"
    assert [reason.value for reason in verdicts[1].reasons] == ["no_video", "end_of_stream"]
    assert not read(bus, TOPICS.deadletters)


def test_a_fixed_mode_and_a_decided_one_answer_alike() -> None:
    kinds = ["good"] * 12
    facts = []
    for mode in (Mode.FULL, Mode.FULL, None):
        bus = published(kinds, 2)
        worked(bus, mode=mode)
        facts.append(answers(bus)[1])
    assert facts[0] == facts[1]
    assert facts[0].keys().isdisjoint(facts[2])  # coverage is a part of a verdict's identity
    assert sorted(facts[0].values()) == sorted(facts[2].values())


def test_two_workers_share_the_work_and_say_the_same() -> None:
    alone = published(["good"] * 20, 4, partitions=4)
    worked(alone)
    shared = published(["good"] * 20, 4, partitions=4)
    threads = [threading.Thread(target=worked, args=(shared,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places, facts = answers(shared)
    assert len(places) == 20
    assert facts == answers(alone)[1]
