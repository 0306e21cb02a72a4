"""How many paced live streams a worker group holds: segments in at the rate of the clock, verdicts read back.

    loops ──paced, streams out of step──▶ segments topic ──▶ workers ──▶ verdicts topic ──▶ latencies

The latency of a segment runs from the moment it is published (a live source would have just finished it) to the moment
its committed verdict reaches a reader.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from scanner.bench.material import GOP_S, Loop
from scanner.bench.usage import Role, usage_of
from scanner.core.types import Mode, Verdict
from scanner.ports import Bus
from scanner.wire import Topics, segment_record, verdict_of

HELD_P95_S = 2.0
GRACE_S = 20.0
_SAMPLE_S = 2.0


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """One run. Latencies in milliseconds, from segment available to verdict committed and read."""

    streams: int
    seconds: float
    published: int
    answered: int
    latency_ms: Mapping[str, float]
    behind_s: float
    """media seconds of the stream furthest behind when the last segment had been published"""
    face_frames_per_stream_s: float
    coverage: Mapping[str, int]
    """verdicts a mode"""
    observe_ms: float
    """median a segment, waiting for a cell included"""
    score_ms: float
    cpu: Mapping[str, float]
    """cores kept busy, a role"""
    memory_mib: Mapping[str, float]
    """largest seen, a role"""
    mib_per_s: float
    held: bool
    """every segment answered, p95 under two seconds, nobody more than two segments behind at the end"""


@dataclass(slots=True)
class _Tally:
    """What came back so far; written by the reading thread."""

    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    delays_s: dict[tuple[str, int], float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    bytes: int = 0


def run_live(
    bus: Bus,
    topics: Topics,
    loops: Sequence[Loop],
    *,
    streams: int,
    seconds: float,
    roles: Mapping[str, Role],
    told: Callable[[float, int, int], None] = lambda _now, _published, _answered: None,
) -> tuple[LiveFigures, list[Verdict]]:
    """Publishes for `seconds`, waits for what is still owed, and measures.

    Args:
        loops: stream n sends loop n modulo their number, each at its own offset in time.
        roles: the processes that are measured, by name.
        told: about twice a second: seconds since the start, segments published and answered.
    """
    tally = _Tally()
    done = threading.Event()
    reader = threading.Thread(target=_read, args=(bus, topics, tally, done), name="bench reader")
    reader.start()
    before = {name: usage_of(role) for name, role in roles.items()}
    sampler = _Sampler(roles)
    began = time.monotonic()
    try:
        _publish(bus, topics, loops, streams, seconds, tally, told)
        published_s = time.monotonic() - began
        behind = _behind_s(tally)
        _await(tally, told, began)
    finally:
        sampler.stop()
        done.set()
        reader.join()
    spent = time.monotonic() - began
    cpu = {name: round((usage_of(role).cpu_s - before[name].cpu_s) / spent, 3) for name, role in roles.items()}
    return _figures(tally, streams, published_s, behind, cpu, sampler.peaks), tally.verdicts


def _publish(
    bus: Bus,
    topics: Topics,
    loops: Sequence[Loop],
    streams: int,
    seconds: float,
    tally: _Tally,
    told: Callable[[float, int, int], None],
) -> None:
    publisher = bus.publisher()
    began = time.monotonic()
    due = [(number * GOP_S / streams, number, 0) for number in range(streams)]
    heapq.heapify(due)
    next_told = 0.0
    while due and due[0][0] < seconds:
        at, number, sequence = heapq.heappop(due)
        while (left := began + at - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        loop = loops[number % len(loops)]
        stream_id = f"live-{number:04}"
        segment = replace(
            loop.segments[sequence % len(loop.segments)],
            stream_id=stream_id,
            sequence=sequence,
            start_ms=sequence * GOP_S * 1000,
            captured_at_ms=_now_ms() - GOP_S * 1000,
            end_of_stream=False,
        )
        tally.sent[stream_id, sequence] = time.monotonic()
        publisher.publish(segment_record(segment, topics.segments, at_ms=_now_ms()))
        tally.bytes += len(segment.payload)
        heapq.heappush(due, (at + GOP_S, number, sequence + 1))
        if time.monotonic() - began > next_told:
            next_told += 0.5
            told(time.monotonic() - began, len(tally.sent), len(tally.delays_s))
    publisher.flush(GRACE_S)
    publisher.close()


def _await(tally: _Tally, told: Callable[[float, int, int], None], began: float) -> None:
    deadline = time.monotonic() + GRACE_S
    while len(tally.delays_s) < len(tally.sent) and time.monotonic() < deadline:
        told(time.monotonic() - began, len(tally.sent), len(tally.delays_s))
        time.sleep(0.2)


def _read(bus: Bus, topics: Topics, tally: _Tally, done: threading.Event) -> None:
    reader = bus.reader([topics.verdicts], from_beginning=True)
    try:
        while not done.is_set():
            deliveries = reader.poll(0.05, limit=500)
            now = time.monotonic()
            for delivery in deliveries:
                verdict = verdict_of(delivery.record)
                key = verdict.stream_id, verdict.sequence
                if key in tally.sent:
                    tally.delays_s.setdefault(key, now - tally.sent[key])
                    tally.verdicts.append(verdict)
    finally:
        reader.close()


def _behind_s(tally: _Tally) -> float:
    """Media seconds that the slowest stream is owed beyond the segment that was published last."""
    sent: dict[str, int] = {}
    for stream_id, _ in list(tally.sent):
        sent[stream_id] = sent.get(stream_id, 0) + 1
    for stream_id, _ in list(tally.delays_s):
        sent[stream_id] -= 1
    return float(max(0, max(sent.values(), default=0) - 1) * GOP_S)


class _Sampler:
    """The most memory each role was seen to take."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self.peaks = dict.fromkeys(roles, 0.0)
        self._roles = roles
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            for name, role in self._roles.items():
                self.peaks[name] = max(self.peaks[name], usage_of(role).pss_mib)


def _figures(
    tally: _Tally,
    streams: int,
    seconds: float,
    behind_s: float,
    cpu: Mapping[str, float],
    memory: Mapping[str, float],
) -> LiveFigures:
    delays = np.array(list(tally.delays_s.values())) * 1000
    latency = {"avg": float(delays.mean()) if len(delays) else 0.0}
    for percent in (50, 90, 95, 99):
        latency[f"p{percent}"] = float(np.percentile(delays, percent)) if len(delays) else 0.0
    modes = {mode.value: sum(v.coverage.mode is mode for v in tally.verdicts) for mode in Mode}
    scored = sum(v.coverage.frames_scored for v in tally.verdicts)
    answered = len(tally.delays_s)
    answered_s = max(1, answered) * GOP_S
    held = answered == len(tally.sent) and answered > 0 and latency["p95"] < HELD_P95_S * 1000 and behind_s <= 2 * GOP_S
    return LiveFigures(
        streams=streams,
        seconds=round(seconds, 1),
        published=len(tally.sent),
        answered=answered,
        latency_ms={name: round(value, 1) for name, value in latency.items()},
        behind_s=behind_s,
        face_frames_per_stream_s=round(scored / answered_s, 2),
        coverage={name: count for name, count in modes.items() if count},
        observe_ms=_median([v.timing_ms.observe for v in tally.verdicts]),
        score_ms=_median([v.timing_ms.score for v in tally.verdicts]),
        cpu=cpu,
        memory_mib={name: round(value) for name, value in memory.items()},
        mib_per_s=round(tally.bytes / 2**20 / max(seconds, 1e-9), 2),
        held=held,
    )


def _median(values: Sequence[int]) -> float:
    return float(np.median(values)) if values else 0.0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
