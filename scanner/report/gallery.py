"""Chooses, while a scan runs, which clips the page will show: the most suspicious and an even sample of each face.

cut ──witness──▶ a few small frames ──judged──▶ score, face, map ──▶ kept or dropped

What is kept is bounded, however long the stream.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from scanner.core.types import Clip, Floats, Pixels, Quality, Segment, Verdict
from scanner.pipeline import Look as Sighted
from scanner.report.model import Look
from scanner.report.pictures import heat_strip, strip_places, thumbnail

MOST_SUSPICIOUS = 24  # of a stream, wherever they are
HEIGHTS = 48  # of a stream: the most suspicious of a face within some seconds, so that each stretch has its picture
HEIGHT_MS = 10_000
SAMPLE = 24  # of a face; 12 to 24 remain, evenly spread over the clips so far
Key = tuple[int, int]
"""tracklet, start in the segment"""


@dataclass(frozen=True, slots=True)
class _Frames:
    middle: Pixels
    strip: Pixels
    length: int


@dataclass(slots=True)
class _Sample:
    """Every `step`-th look; when there are too many, every other goes and the step doubles."""

    step: int = 1
    seen: int = 0
    kept: list[Look] = field(default_factory=list)

    def wants_next(self) -> bool:
        self.seen += 1
        return (self.seen - 1) % self.step == 0

    def keep(self, look: Look) -> None:
        self.kept.append(look)
        if len(self.kept) > SAMPLE:
            self.kept = self.kept[::2]
            self.step *= 2


@dataclass(slots=True)
class _Wall:
    """One stream's pictures."""

    top: list[tuple[float, int, Look]] = field(default_factory=list)
    """a heap, least suspicious first"""
    heights: dict[tuple[str, int], Look] = field(default_factory=dict)
    """by face and part of the time"""
    samples: defaultdict[str, _Sample] = field(default_factory=lambda: defaultdict(_Sample))
    offered: int = 0


class Gallery:
    """Pictures of many streams. Its verbs may be called from several threads."""

    def __init__(self, calibrate: Callable[[float, Quality], float]) -> None:
        """`calibrate` turns the logit of a face of some quality into a score (the judge's calibration)."""
        self._calibrate = calibrate
        self._lock = Lock()
        self._waiting: dict[tuple[str, int], dict[Key, _Frames]] = {}
        self._walls: defaultdict[str, _Wall] = defaultdict(_Wall)

    def witness(self, segment: Segment, clip: Clip) -> None:
        """A pipeline's witness: copies a few frames of a clip that was just cut."""
        places = list(strip_places(len(clip.pixels)))
        frames = _Frames(clip.pixels[len(clip.pixels) // 2].copy(), clip.pixels[places].copy(), len(clip.pixels))
        with self._lock:
            mine = self._waiting.setdefault((segment.stream_id, segment.sequence), {})
            mine[clip.tracklet, clip.start_ms] = frames

    def judged(self, look: Sighted, verdict: Verdict) -> None:
        """Keeps or drops the pictures of a segment that now has its verdict."""
        with self._lock:
            waiting = self._waiting.pop((verdict.stream_id, verdict.sequence), {})
            faces = zip(look.observation.tracklets, verdict.tracks, strict=True)
            named = {tracklet.index: face for tracklet, face in faces}
            wall = self._walls[verdict.stream_id]
            for scored in look.scored:
                frames = waiting.get((scored.score.tracklet, scored.score.start_ms))
                face = named.get(scored.score.tracklet)
                if frames is not None and face is not None:
                    bare = Look(
                        track_id=face.track_id,
                        start_ms=look.segment.start_ms + scored.score.start_ms,
                        end_ms=look.segment.start_ms + scored.score.end_ms,
                        score=self._calibrate(scored.score.logit, face.quality),
                        jpeg=b"",
                        frame_scores=tuple(self._calibrate(logit, face.quality) for logit in scored.score.frame_logits),
                    )
                    _hang(wall, bare, frames, scored.map, judged=face.score is not None)

    def forget(self, segment: Segment) -> None:
        """Drops what was copied of a segment that got no verdict."""
        with self._lock:
            self._waiting.pop((segment.stream_id, segment.sequence), None)

    def looks(self, stream_id: str) -> tuple[Look, ...]:
        """What was kept of a stream, in time order; the stream's pictures are given away."""
        with self._lock:
            wall = self._walls.pop(stream_id, _Wall())
        sampled = [look for sample in wall.samples.values() for look in sample.kept]
        best = [*wall.heights.values(), *(look for _, _, look in wall.top)]
        unique = {(look.track_id, look.start_ms): look for look in [*sampled, *best]}
        return tuple(sorted(unique.values(), key=lambda look: (look.start_ms, look.track_id)))


def _hang(wall: _Wall, bare: Look, frames: _Frames, heat: Floats, *, judged: bool) -> None:
    wall.offered += 1
    sample = wall.samples[bare.track_id]
    sampled = sample.wants_next()
    place = bare.track_id, bare.start_ms // HEIGHT_MS
    leads = judged and (len(wall.top) < MOST_SUSPICIOUS or bare.score > wall.top[0][0])
    rises = judged and (place not in wall.heights or bare.score > wall.heights[place].score)
    if not (sampled or leads or rises):
        return
    plain = replace(bare, jpeg=thumbnail(frames.middle[None]))
    if sampled:
        sample.keep(plain)
    if not (leads or rises):
        return
    maps = heat[list(strip_places(len(heat)))] if len(heat) == frames.length else None
    heated = replace(plain, heat=heat_strip(frames.strip, maps)) if maps is not None else plain
    if leads:
        push = heapq.heappush if len(wall.top) < MOST_SUSPICIOUS else heapq.heapreplace
        push(wall.top, (bare.score, -wall.offered, heated))
    if rises:
        wall.heights[place] = heated
        if len(wall.heights) > HEIGHTS:
            del wall.heights[min(wall.heights, key=lambda key: wall.heights[key].score)]
