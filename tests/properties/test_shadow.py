"""A second model beside the first: heard on its own topic, and never felt."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from scripted import SPEC, model, pipeline, record

from scanner import wire
from scanner.assembly.scan import assembled
from scanner.bus.memory import MemoryBus
from scanner.core.calibration import Calibration
from scanner.core.errors import SettingsError
from scanner.core.policy import Policy
from scanner.core.types import ModelRef, Verdict
from scanner.core.verdict import Judge
from scanner.inference.batcher import Batcher
from scanner.inference.card import find_model
from scanner.pipeline import Pipeline
from scanner.ports import Delivery, TopicPlan
from scanner.settings import load
from scanner.shadow import Shadow
from scanner.telemetry import Metrics
from scanner.testing import FakeModel
from scanner.worker import Rules, Worker, told_shadow

TOPICS = wire.Topics()
NAMES = (TOPICS.segments, TOPICS.verdicts, TOPICS.alerts, TOPICS.deadletters, TOPICS.shadow)
OTHER = ModelRef("other", "f" * 64)
Script = Callable[[np.ndarray], np.ndarray]


def higher(clips: np.ndarray) -> np.ndarray:
    """Suspects everything."""
    return clips.mean(axis=(1, 2, 3, 4)) % 16 + 20


@contextmanager
def shadowed(script: Script | None, **more: float) -> Iterator[Pipeline]:
    with ExitStack() as stack:
        parts = stack.enter_context(pipeline())
        if script is None:
            yield parts
            return
        fake = FakeModel(SPEC, script=script)
        batcher = stack.enter_context(Batcher(fake, ahead=8, leave_s=0.1))
        judge = Judge(Policy(), Calibration(null_bound=0.3), OTHER)
        yield replace(parts, shadow=Shadow(batcher, judge, **more))


def filled(kinds: list[str], streams: int = 2) -> MemoryBus:
    bus = MemoryBus()
    bus.create({**dict.fromkeys(NAMES, TopicPlan(1)), TOPICS.states: TopicPlan(1, compacted=True)})
    for number, kind in enumerate(kinds):
        bus.publisher().publish(record(kind, number, streams, TOPICS.segments))
    return bus


def worked(bus: MemoryBus, script: Script | None, **more: float) -> CollectorRegistry:
    stop, registry, failures = threading.Event(), CollectorRegistry(), []

    def run() -> None:
        with shadowed(script, **more) as parts:
            metrics = Metrics(registry)
            if parts.shadow is not None:
                parts.shadow.told = told_shadow(metrics)
            rules = Rules(TOPICS, "group", None, lookers=2, commit_interval_s=0.0, drain_s=5)
            try:
                Worker(bus, parts, None, metrics, rules).run(stop)
            except BaseException as error:  # noqa: BLE001 – told below
                failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while thread.is_alive() and any(bus.lag(TOPICS.segments, "group").values()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert failures == []
    return registry


def said(bus: MemoryBus, topic: str) -> list[Verdict]:
    return [wire.verdict_of(delivery.record) for delivery in records(bus, topic)]


def records(bus: MemoryBus, topic: str) -> list[Delivery]:
    return bus.reader([topic], from_beginning=True).poll(0, 10**6)


def facts(verdicts: list[Verdict]) -> list[tuple[object, ...]]:
    return sorted((v.verdict_id, v.label, v.score, v.reasons, tuple(t.evidence for t in v.tracks)) for v in verdicts)


KINDS = [*["good"] * 9, "poison", *["good"] * 6]


def test_each_segment_with_a_verdict_has_one_of_the_shadow_on_its_own_topic() -> None:
    bus = filled(KINDS)
    worked(bus, higher)
    first, second = said(bus, TOPICS.verdicts), said(bus, TOPICS.shadow)
    assert len(second) == len(first) == 15
    assert {v.model for v in second} == {OTHER}
    assert {v.source for v in second} == {v.source for v in first}
    assert not {v.verdict_id for v in second} & {v.verdict_id for v in first}
    assert all(v.score is not None and v.score > 0.99 for v in second)


def test_a_shadow_that_suspects_everything_raises_no_alert_and_changes_no_mode() -> None:
    alone, beside = filled(KINDS), filled(KINDS)
    worked(alone, None)
    worked(beside, higher)
    assert facts(said(beside, TOPICS.verdicts)) == facts(said(alone, TOPICS.verdicts))
    assert len(records(beside, TOPICS.alerts)) == len(records(alone, TOPICS.alerts))
    assert [d.record.value for d in records(beside, TOPICS.states)] == [
        d.record.value for d in records(alone, TOPICS.states)
    ]


def broken(_: np.ndarray) -> np.ndarray:
    raise RuntimeError("out of memory")


def hanging(clips: np.ndarray) -> np.ndarray:
    time.sleep(3)
    return higher(clips)


@pytest.mark.parametrize("script", [broken, hanging])
def test_a_shadow_that_fails_or_hangs_is_not_felt_by_the_first_model(script: Script) -> None:
    alone, beside = filled(KINDS), filled(KINDS)
    worked(alone, None)
    began = time.monotonic()
    registry = worked(beside, script, patience_s=0.2)
    assert facts(said(beside, TOPICS.verdicts)) == facts(said(alone, TOPICS.verdicts))
    assert time.monotonic() - began < 5, "who hangs is left behind"
    assert said(beside, TOPICS.shadow) == []
    outcomes = Counter(
        sample.labels["outcome"]
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "scanner_shadow_segments_total"
    )
    assert outcomes


def test_a_shadow_remembers_over_segments_and_begins_anew_where_it_missed_one() -> None:
    calls = iter(range(100))

    def failing_once(clips: np.ndarray) -> np.ndarray:
        if next(calls) == 3:
            raise RuntimeError("once")
        return higher(clips)

    bus = filled(["good"] * 8, streams=1)
    worked(bus, failing_once)
    second = {v.sequence: v for v in said(bus, TOPICS.shadow)}
    assert sorted(second) == [0, 1, 2, 4, 5, 6, 7]
    evidence = [second[number].tracks[0].evidence for number in sorted(second)]
    assert evidence[0] < evidence[1] < evidence[2]
    assert evidence[3] < evidence[2], "what it did not see it does not count"
    assert {v.sequence: v.reasons for v in second.values() if v.reasons} == {}, "and calls no gap"
    assert {v.tracks[0].track_id for v in second.values()} == {v.tracks[0].track_id for v in said(bus, TOPICS.verdicts)}


def test_a_shadow_slower_than_the_first_model_does_without_segments_and_holds_nobody() -> None:
    def slow(clips: np.ndarray) -> np.ndarray:
        time.sleep(0.05)
        return higher(clips)

    bus = filled(["good"] * 100, streams=10)
    began = time.monotonic()
    worked(bus, slow, patience_s=0.1, rest_s=0.2)
    assert time.monotonic() - began < 5
    assert len(said(bus, TOPICS.verdicts)) == 100
    assert len(said(bus, TOPICS.shadow)) > 0


def test_a_shadow_with_other_clips_is_refused_when_the_worker_starts(tmp_path: Path) -> None:
    folder = tmp_path / "wide"
    folder.mkdir()
    original = find_model("tempo-s")
    (folder / "model.onnx").symlink_to(original / "model.onnx")
    card = (original / "card.toml").read_text()
    assert "box_scale = " in card
    changed = "\n".join("box_scale = 3.5" if line.startswith("box_scale") else line for line in card.splitlines())
    (folder / "card.toml").write_text(changed)
    settings = load(flags={"scan.device": "cpu", "scan.cells": 1})
    with (
        pytest.raises(SettingsError, match=r"cannot share the clips of tempo-s: its card says .*box_scale=3.5"),
        assembled(settings, shadow=str(folder)),
    ):
        pass


def test_the_model_of_these_tests_is_not_the_shadow() -> None:
    assert model().ref != OTHER
