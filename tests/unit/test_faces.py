"""Small pictures of faces: of the most suspicious ones, rarely, and only where somebody wants them."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from scripted import BOX, QUALITY, pipeline

from scanner import wire
from scanner.assembly.bus import topic_plans
from scanner.bus.memory import MemoryBus
from scanner.core.types import (
    Clip,
    ClipScore,
    Label,
    Mode,
    ModelRef,
    Observation,
    Provenance,
    Segment,
    Tally,
    Tracklet,
    TrackVerdict,
    Verdict,
)
from scanner.inference.batcher import Scored
from scanner.pipeline import Look
from scanner.ports import TopicPlan
from scanner.settings import load
from scanner.telemetry import Metrics
from scanner.worker import Rules, Worker
from scanner.worker import faces as faces_module
from scanner.worker.faces import Faces, picture

TOPICS = wire.Topics()


def look(*logits: tuple[int, float]) -> Look:
    """Clips of tracklets with their logits; the shade of each picture tells the logit."""
    tracklets = tuple(
        Tracklet(index, 0, 2000, BOX, BOX, BOX, 60, after_cut=False, quality=QUALITY)
        for index in sorted({number for number, _ in logits})
    )
    seen = Observation(2000, 640, 480, "h264", Tally(60, 60, 16, 0, Mode.FULL), tracklets)
    none = np.zeros((0, 0, 0), np.float32)
    scored = tuple(Scored(ClipScore(number, 0, 80, 0, logit, ()), none) for number, logit in logits)
    segment = Segment("cam", 0, 0, b"x", "0")
    pictures = tuple(np.full((8, 8, 3), shade(logit), np.uint8) for _, logit in logits)
    return replace(Look(segment, seen, scored, None), pictures=pictures)  # type: ignore[arg-type]  # nobody times it


def shade(logit: float) -> int:
    """The grey of a clip's picture."""
    return 30 + round(20 * logit)


def verdict(*scores: float | None, stream_id: str = "cam") -> Verdict:
    tracks = tuple(
        TrackVerdict(f"t{number}", Label.SUSPECTED, score, 0.0, 16, (), BOX, QUALITY)
        for number, score in enumerate(scores)
    )
    return Verdict(
        "v", stream_id, 0, 0, 2000, Label.SUSPECTED, 0.5, (), tracks, Provenance(), Tally(60, 60, 16, 0, Mode.FULL),
        ModelRef("m", "0"), "0",
    )  # fmt: skip


def told(faces: Faces, *looks: tuple[Look, Verdict]) -> list[tuple[str, bytes]]:
    records = [record for each in looks for record in faces.records(*each, at_ms=1)]
    return [(dict(record.headers)["track-id"].decode(), record.value or b"") for record in records]


def test_each_face_is_shown_at_its_most_suspicious_clip_the_most_suspicious_faces_first() -> None:
    seen = look((0, 0.1), (1, 2.0), (0, 0.9), (1, 1.0), (0, 0.2))
    (first, best), (second, other) = told(Faces("faces", 0), (seen, verdict(0.3, 0.8)))
    assert (first, second) == ("t1", "t0")
    assert decoded(best).mean() == pytest.approx(shade(2.0), abs=3)
    assert decoded(other).mean() == pytest.approx(shade(0.9), abs=3)


def test_of_a_crowd_three_are_shown_and_those_that_were_judged_go_first() -> None:
    seen = look((0, 9.0), (1, 0.1), (2, 0.2), (3, 0.3))
    shown = told(Faces("faces", 0), (seen, verdict(None, 0.1, 0.2, 0.3)))
    assert [track for track, _ in shown] == ["t3", "t2", "t1"]


def test_a_streams_pictures_are_renewed_only_now_and_then(monkeypatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(faces_module.time, "monotonic", lambda: clock[0])
    faces, seen = Faces("faces", 10), look((0, 1.0))
    assert len(told(faces, (seen, verdict(0.5)), (seen, verdict(0.5, stream_id="other")))) == 2
    clock[0] += 9.9
    assert told(faces, (seen, verdict(0.5))) == []
    clock[0] += 0.2
    assert len(told(faces, (seen, verdict(0.5)))) == 1


def test_a_flood_of_streams_does_not_fill_the_memory(monkeypatch) -> None:
    monkeypatch.setattr(faces_module, "STREAMS_KEPT", 10)
    faces, seen = Faces("faces", 3600), look((0, 1.0))
    for number in range(50):
        told(faces, (seen, verdict(0.5, stream_id=str(number))))
    assert len(faces._told_s) == 10


def test_a_picture_is_small_and_of_the_clips_middle_frame() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (16, 160, 160, 3), np.uint8)
    noise[8] = 200
    shown = picture(Clip(0, 0, 80, 0, noise))
    assert shown.shape == (88, 88, 3)
    assert (shown == 200).all()
    noise[8] = 0  # the clip's pixels are only lent
    assert (shown == 200).all()


def test_the_worst_of_pictures_is_a_jpeg_of_a_few_kilobytes() -> None:
    noise = np.random.default_rng(7).integers(0, 255, (16, 160, 160, 3), np.uint8)
    seen = replace(look((0, 1.0)), pictures=(picture(Clip(0, 0, 80, 0, noise)),))
    ((_, shown),) = told(Faces("faces", 0), (seen, verdict(0.5)))
    assert decoded(shown).shape == (88, 88, 3)
    assert len(shown) < 8 * 1024


def decoded(picture: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)


def worked(**rules) -> MemoryBus:
    """A bus after one worker has answered two segments of one stream."""
    bus = MemoryBus()
    bus.create({topic: TopicPlan(1) for topic in (TOPICS.segments, TOPICS.verdicts, TOPICS.alerts, TOPICS.faces)})
    bus.create({TOPICS.deadletters: TopicPlan(1), TOPICS.states: TopicPlan(1, compacted=True)})
    for number in range(2):
        payload = f"good {number}".encode()
        segment = Segment("cam", number, number * 2000, payload, hashlib.sha256(payload).hexdigest())
        bus.publisher().publish(wire.segment_record(segment, TOPICS.segments))
    stop = threading.Event()
    chosen = Rules(TOPICS, "group", None, lookers=1, commit_interval_s=0.0, drain_s=5, **rules)
    with pipeline() as parts, ThreadPoolExecutor(1) as pool:
        seeing = replace(parts, picture=picture if chosen.faces_every_s is not None else None)
        running = pool.submit(Worker(bus, seeing, None, Metrics(CollectorRegistry()), chosen).run, stop)
        deadline = time.monotonic() + 20
        while any(bus.lag(TOPICS.segments, "group").values()) and time.monotonic() < deadline:
            time.sleep(0.002)
        stop.set()
        running.result(20)
    return bus


def records(bus: MemoryBus, topic: str):
    return [delivery.record for delivery in bus.reader([topic], from_beginning=True).poll(0.1, 100)]


def test_a_worker_tells_faces_on_their_own_topic_and_leaves_verdicts_as_they_are() -> None:
    bare, seen = worked(), worked(faces_every_s=0.0)
    assert records(bare, TOPICS.faces) == []
    (first, _) = records(seen, TOPICS.faces)
    assert first.key == b"cam"
    assert (first.value or b"").startswith(b"\xff\xd8\xff")
    plain, pictured = (
        [replace(wire.verdict_of(each), timing_ms=None) for each in records(bus, TOPICS.verdicts)]
        for bus in (bare, seen)
    )
    assert plain == pictured
    assert dict(first.headers)["verdict-id"] == plain[0].verdict_id.encode()


def test_verdicts_say_who_answered_and_how_many_cells_it_replaced() -> None:
    (first, _) = records(worked(name="gpu-1", cells_restarted=lambda: 4), TOPICS.verdicts)
    headers = dict(first.headers)
    assert (headers[wire.WORKER], headers[wire.CELLS_RESTARTED]) == (b"gpu-1", b"4")


def test_the_topic_of_faces_forgets_them_and_is_not_there_when_they_are_switched_off() -> None:
    plan = topic_plans(load(flags={"faces.kept_min": 30}))[TOPICS.faces]
    assert (plan.retention_ms, plan.segment_ms) == (30 * 60_000, 450_000)
    assert TOPICS.faces not in topic_plans(load(flags={"faces.kept_min": 0}))
