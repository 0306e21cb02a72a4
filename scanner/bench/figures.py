"""What a live run gave: latencies, load, memory, what was looked at, and whether the streams were held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scanner.bench.material import GOP_S
from scanner.bench.usage import Usage
from scanner.core.types import Mode, Verdict

HELD_P95_S = 2.0


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
    """scored, over all stream-seconds answered"""
    face_frames_where_seen: float
    """scored a stream-second, over segments in which a face was scored"""
    segments_without_face: int
    """answered segments in which no face was scored"""
    coverage: Mapping[str, int]
    """verdicts a mode"""
    observe_ms: float
    """median a segment, waiting for a cell included"""
    score_ms: float
    cpu: Mapping[str, float]
    """cores kept busy, a role"""
    libraries: Mapping[str, float]
    """cores kept busy inside a library, by workers and cells"""
    ours: float | None
    """share of the workers' and cells' processor time that is spent in none of these; None where they have no process
    of their own"""
    memory_mib: Mapping[str, float]
    """largest proportional set size seen, a role"""
    rss_mib: Mapping[str, float]
    """largest sum of resident set sizes seen, a role: pages that its processes share count in each"""
    growth_mib: Mapping[str, float]
    """mean proportional set size of the last quarter over that of the second, a role: near 0 is flat"""
    mib_per_s: float
    held: bool
    """every segment answered, p95 under two seconds, nobody more than two segments behind at the end"""


@dataclass(slots=True)
class Tally:
    """What came back so far; written by the reading thread."""

    sent: dict[tuple[str, int], float] = field(default_factory=dict)
    delays_s: dict[tuple[str, int], float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    bytes: int = 0

    def behind_s(self) -> float:
        """Media seconds that the slowest stream is owed beyond the segment that was published last."""
        sent: dict[str, int] = {}
        for stream_id, _ in list(self.sent):
            sent[stream_id] = sent.get(stream_id, 0) + 1
        for stream_id, _ in list(self.delays_s):
            sent[stream_id] -= 1
        return float(max(0, max(sent.values(), default=0) - 1) * GOP_S)


@dataclass(frozen=True, slots=True)
class Load:
    """What the processes of a run took."""

    cpu: Mapping[str, float]
    libraries: Mapping[str, float]
    memory: Mapping[str, Sequence[Usage]]
    """samples a role, in order"""


def figures(tally: Tally, load: Load, *, streams: int, seconds: float, behind_s: float) -> LiveFigures:
    """
    Args:
        seconds: how long was published.
        behind_s: see LiveFigures.
    """
    latency = _latency(np.array(list(tally.delays_s.values())) * 1000)
    modes = {mode.value: sum(v.coverage.mode is mode for v in tally.verdicts) for mode in Mode}
    scored = [v.coverage.frames_scored for v in tally.verdicts]
    answered, seen = len(tally.delays_s), sum(frames > 0 for frames in scored)
    held = answered == len(tally.sent) and answered > 0 and latency["p95"] < HELD_P95_S * 1000 and behind_s <= 2 * GOP_S
    return LiveFigures(
        streams=streams,
        seconds=round(seconds, 1),
        published=len(tally.sent),
        answered=answered,
        latency_ms={name: round(value, 1) for name, value in latency.items()},
        behind_s=behind_s,
        face_frames_per_stream_s=round(sum(scored) / (max(1, answered) * GOP_S), 2),
        face_frames_where_seen=round(sum(scored) / (max(1, seen) * GOP_S), 2),
        segments_without_face=answered - seen,
        coverage={name: count for name, count in modes.items() if count},
        observe_ms=_median([v.timing_ms.observe for v in tally.verdicts]),
        score_ms=_median([v.timing_ms.score for v in tally.verdicts]),
        cpu=load.cpu,
        libraries=load.libraries,
        ours=ours(load),
        memory_mib={role: round(max((u.pss_mib for u in seen), default=0)) for role, seen in load.memory.items()},
        rss_mib={role: round(max((u.rss_mib for u in seen), default=0)) for role, seen in load.memory.items()},
        growth_mib={role: growth([u.pss_mib for u in seen]) for role, seen in load.memory.items()},
        mib_per_s=round(tally.bytes / 2**20 / max(seconds, 1e-9), 2),
        held=held,
    )


def ours(load: Load) -> float | None:
    """Share of the workers' and cells' processor time that no library takes."""
    whole = [cores for role, cores in load.cpu.items() if role.startswith(("worker", "cells"))]
    if not any(role.startswith("worker") for role in load.cpu) or not sum(whole):
        return None
    return round(1 - sum(load.libraries.values()) / sum(whole), 3)


def growth(series: Sequence[float]) -> float:
    """Mean of the last quarter less that of the second; 0 for fewer than eight samples."""
    quarter = len(series) // 4
    if quarter < 2:
        return 0.0
    return round(float(np.mean(series[-quarter:]) - np.mean(series[quarter : 2 * quarter])), 1)


def _latency(delays_ms: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, float]:
    latency = {"avg": float(delays_ms.mean()) if len(delays_ms) else 0.0}
    for percent in (50, 90, 95, 99):
        latency[f"p{percent}"] = float(np.percentile(delays_ms, percent)) if len(delays_ms) else 0.0
    return latency


def _median(values: Sequence[int]) -> float:
    return float(np.median(values)) if values else 0.0
