"""Each stage of the road beside the bare library that does its work, on the same data, turn by turn in one run.

What is ours is the difference. Turns alternate, so that a machine that slows down slows both; medians are told.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO

import av
import cv2
import numpy as np

from scanner import wire
from scanner.assembly.scan import Assembled, library_seconds, limits_of
from scanner.bench.material import Loop
from scanner.bench.usage import Role, usage_of
from scanner.core.clips import clip_square
from scanner.core.types import Clip, Mode, Pixels, Segment, StreamState
from scanner.faces.mediapipe import quiet_near_and_far
from scanner.media.decode import Decoder
from scanner.media.demux import opened
from scanner.media.hardware import acceleration
from scanner.media.observe import LOOK_PX, SegmentObserver
from scanner.pipeline import Look
from scanner.ports import Delivery, FaceDetector
from scanner.settings import Settings
from scanner.vision import Picture, single_threaded

DETECTIONS = 12


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage, milliseconds a unit of work."""

    stage: str
    unit: str
    bare: str
    """what the bare library does"""
    ours_ms: float
    bare_ms: float
    """0 where there is no library to compare with"""

    @property
    def overhead(self) -> float:
        """Ours over bare; 0 without a bare one."""
        return self.ours_ms / self.bare_ms if self.bare_ms else 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Full coverage of many segments on every core, beside decoding and scoring alone on the same cores."""

    cores: int
    video_s: float
    wall_s: float
    bare_s: float
    """the same frames decoded and scored by the bare libraries, one thread a core"""
    efficiency: float
    """bare_s over wall_s: 1 is a scanner that costs nothing itself"""
    times_real_time: float
    cpu_s: Mapping[str, float]
    """processor seconds of this process and its cells: all of it, and inside each library"""
    ours: float
    """share of it that is inside none of them"""


def stage_costs(parts: Assembled, settings: Settings, segment: Segment, rounds: int = 7) -> Iterator[StageCost]:
    """Decode, detect, crop, score, conclude, wire, and the whole of observe in and out of a cell."""
    single_threaded()
    with quiet_near_and_far() as (near, far):
        yield _decoding(settings, segment, rounds)
        pictures = _pictures(settings, segment, parts.model.spec.length)
        yield _detecting(near, pictures[0], rounds)
        yield _cropping(pictures, parts.model.spec.size, rounds)
        yield _scoring(parts, rounds)
        yield from _scoring_batches(parts, rounds)
        yield _observing(parts, settings, segment, near, far, rounds)
    look = parts.pipeline.look(segment, Mode.FULL)
    yield _concluding(parts, look, rounds)
    yield _wiring(parts, look, rounds)


def batch_cost(parts: Assembled, loops: list[Loop], rounds: int = 3) -> Batch:
    """Every segment in full on all cores, then the same decoded and scored, bare, on them; turn by turn."""
    segments = [segment for loop in loops for segment in loop.segments]
    parts.pipeline.look(segments[0], Mode.FULL)
    wall = bare = video = 0.0
    cpu_s: Counter[str] = Counter()
    for _ in range(rounds):
        before = _spent(parts)
        began = time.perf_counter()
        with ThreadPoolExecutor(parts.cell_count + 1) as threads:
            looks = list(threads.map(lambda segment: parts.pipeline.look(segment, Mode.FULL), segments))
        wall += time.perf_counter() - began
        cpu_s.update({name: now - before[name] for name, now in _spent(parts).items()})
        bare += _bare_s(parts, looks)
        video += sum(look.observation.duration_ms for look in looks) / 1000
    cores = parts.cell_count
    return Batch(
        cores=cores,
        video_s=round(video, 1),
        wall_s=round(wall, 2),
        bare_s=round(bare, 2),
        efficiency=round(bare / wall, 3),
        times_real_time=round(video / wall, 2),
        cpu_s={name: round(seconds, 2) for name, seconds in cpu_s.items()},
        ours=round(1 - sum(seconds for name, seconds in cpu_s.items() if name != "all") / cpu_s["all"], 3),
    )


def _spent(parts: Assembled) -> dict[str, float]:
    """Processor seconds so far: all of them, and those inside each library."""
    return {"all": usage_of(Role(os.getpid())).cpu_s, **library_seconds(parts)}


def _bare_s(parts: Assembled, looks: list[Look]) -> float:
    """What decoding the same segments and scoring as many clips takes without us, on as many cores."""
    blank = np.zeros((1, *_shape(parts)), np.uint8)

    def alone(look: Look) -> None:
        _decoded_bare(look.segment.payload)
        for _ in look.scored:
            parts.model.score(blank)

    began = time.perf_counter()
    with ThreadPoolExecutor(parts.cell_count) as threads:
        list(threads.map(alone, looks))
    return time.perf_counter() - began


# One stage each.


def _decoding(settings: Settings, segment: Segment, rounds: int) -> StageCost:
    def ours() -> int:
        hwaccel = acceleration(settings.scan.decode)
        with opened(BytesIO(segment.payload), limits_of(settings), hwaccel=hwaccel) as (container, stream):
            return sum(1 for _ in Decoder(container, stream, limits_of(settings)).frames())

    frames = ours()
    mine, bare = _paired(ours, lambda: _decoded_bare(segment.payload), rounds)
    return _cost("decode", "frame", "PyAV, one thread", mine / frames, bare / frames)


def _detecting(near: FaceDetector, picture: Picture, rounds: int) -> StageCost:
    ready = picture.small(LOOK_PX)

    def ours() -> None:
        for _ in range(DETECTIONS):
            near.detect(picture.small(LOOK_PX))

    def bare() -> None:
        for _ in range(DETECTIONS):
            near.detect(ready)

    mine, alone = _paired(ours, bare, rounds)
    return _cost("detect", "detection", "mediapipe on a picture already small", mine / DETECTIONS, alone / DETECTIONS)


def _cropping(pictures: list[Picture], size: int, rounds: int) -> StageCost:
    boxes = np.tile(np.array([[0.35, 0.2, 0.6, 0.65]], np.float32), (len(pictures), 1))
    square = clip_square(boxes, 1.5, pictures[0].width, pictures[0].height)
    x0, y0, side = square
    x0, y0 = max(0, x0), max(0, y0)
    raw = [np.ascontiguousarray(np.repeat(p.y[y0 : y0 + side, x0 : x0 + side, None], 3, axis=2)) for p in pictures]

    def ours() -> Pixels:
        return np.stack([picture.square(square, size) for picture in pictures])

    def bare() -> None:
        for pixels in raw:
            cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)

    mine, alone = _paired(ours, bare, rounds)
    return _cost("crop", "face-frame", "OpenCV resizing a square already RGB", mine / len(raw), alone / len(raw))


def _scoring(parts: Assembled, rounds: int) -> StageCost:
    noise = np.random.default_rng(0).integers(0, 256, _shape(parts), np.uint8)
    clip = Clip(0, 0, 1, 0, noise)
    batch = noise[None]
    length = parts.model.spec.length
    mine, bare = _paired(lambda: parts.pipeline.batcher.submit(clip).result(), lambda: parts.model.score(batch), rounds)
    return _cost("score", "face-frame", "ONNX Runtime alone", mine / length, bare / length)


def _scoring_batches(parts: Assembled, rounds: int) -> Iterator[StageCost]:
    """On a GPU, each batch size through bound buffers and captured graphs beside a plain run."""
    length = parts.model.spec.length
    for size in parts.model.sizes:
        clips = parts.model.buffer(size)
        mine, bare = _paired(partial(parts.model.score, clips), partial(parts.model.score_unbound, clips), rounds)
        frames = size * length
        yield _cost(f"score × {size}", "face-frame", "ONNX Runtime, buffers not bound", mine / frames, bare / frames)


def _observing(
    parts: Assembled, settings: Settings, segment: Segment, near: FaceDetector, far: FaceDetector, rounds: int
) -> StageCost:
    def in_a_cell() -> int:
        return sum(1 for _ in parts.cells.observe(segment, Mode.FULL).clips())

    def here() -> int:
        seen = SegmentObserver(
            segment.payload, Mode.FULL, parts.model.spec, near=near, far=far, limits=limits_of(settings)
        )
        return sum(1 for _ in seen.clips())

    in_a_cell()
    mine, bare = _paired(in_a_cell, here, rounds)
    return _cost("observe", "segment, full", "the same work outside of a cell", mine, bare)


def _concluding(parts: Assembled, look: Look, rounds: int) -> StageCost:
    state = StreamState(look.segment.stream_id)
    mine = statistics.median(_seconds(lambda: parts.pipeline.answer(state, look)) for _ in range(rounds * 3))
    return _cost("conclude", "segment", "", mine, 0.0)


def _wiring(parts: Assembled, look: Look, rounds: int) -> StageCost:
    conclusion = parts.pipeline.answer(StreamState(look.segment.stream_id), look)
    record = wire.segment_record(look.segment, "segments", at_ms=0)
    delivery = Delivery(record, 0, 0, 0)
    plain = json.loads(wire.json_of(conclusion.verdict))

    def ours() -> None:
        wire.segment_of(delivery)
        wire.verdict_record(conclusion.verdict, "verdicts", at_ms=0)
        wire.state_record(conclusion.state, "states", at_ms=0)

    def bare() -> None:
        json.dumps(plain)

    mine, alone = _paired(ours, bare, rounds * 3)
    return _cost("wire", "segment in, verdict and state out", "json alone", mine, alone)


# Measuring.


def _paired(ours: Callable[[], object], bare: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median seconds of both, turn by turn, after one unmeasured turn each."""
    ours(), bare()
    pairs = [(_seconds(ours), _seconds(bare)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _cost(stage: str, unit: str, bare: str, ours_s: float, bare_s: float) -> StageCost:
    return StageCost(stage, unit, bare, round(ours_s * 1000, 3), round(bare_s * 1000, 3))


def _decoded_bare(payload: bytes) -> int:
    frames = 0
    with av.open(BytesIO(payload), "r") as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for _ in container.decode(stream):
            frames += 1
    return frames


def _pictures(settings: Settings, segment: Segment, count: int) -> list[Picture]:
    with opened(BytesIO(segment.payload), limits_of(settings)) as (container, stream):
        frames = Decoder(container, stream, limits_of(settings)).frames()
        return [frame.picture for frame, _ in zip(frames, range(count), strict=False)]


def _shape(parts: Assembled) -> tuple[int, int, int, int]:
    spec = parts.model.spec
    return spec.length, spec.size, spec.size, 3
