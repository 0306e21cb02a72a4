"""Small pictures of the faces that were judged, for people who watch: few, tiny, and on a topic that forgets them.

Nothing is computed from them; no face is embedded, compared or identified.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from scanner import wire
from scanner.core.types import Clip, Pixels, Verdict
from scanner.jpeg import jpeg, sized
from scanner.pipeline import Look
from scanner.ports import Record

SIDE_PX = 88
JPEG_QUALITY = 68
FACES = 3  # of a segment, the most suspicious ones
STREAMS_KEPT = 20_000


def picture(clip: Clip) -> Pixels:
    """The clip's middle frame, small; few are chosen and become a JPEG, of about 2 kB."""
    return sized(clip.pixels[len(clip.pixels) // 2], SIDE_PX)


class Faces:
    """Chooses whose picture goes to the topic, and how often."""

    def __init__(self, topic: str, every_s: float) -> None:
        """
        Args:
            every_s: a stream's pictures are renewed at most this often.
        """
        self._topic = topic
        self._every_s = every_s
        self._told_s: OrderedDict[str, float] = OrderedDict()

    def records(self, look: Look, verdict: Verdict, *, at_ms: int) -> tuple[Record, ...]:
        """Pictures of the most suspicious faces, each at its most suspicious clip; none when it is too early."""
        now_s = time.monotonic()
        told_s = self._told_s.get(verdict.stream_id)
        if not look.pictures or (told_s is not None and now_s - told_s < self._every_s):
            return ()
        self._told_s[verdict.stream_id] = now_s
        self._told_s.move_to_end(verdict.stream_id)
        if len(self._told_s) > STREAMS_KEPT:
            self._told_s.popitem(last=False)
        chosen = _chosen(look, verdict)
        faces = (wire.Face(verdict, track_id, jpeg(pixels, JPEG_QUALITY)) for track_id, pixels in chosen)
        return tuple(wire.face_record(face, self._topic, at_ms=at_ms) for face in faces)


def _chosen(look: Look, verdict: Verdict) -> list[tuple[str, Pixels]]:
    """Track and picture of the most suspicious faces."""
    named = {tracklet.index: n for n, tracklet in enumerate(look.observation.tracklets)}
    best: dict[int, tuple[float, Pixels]] = {}
    for scored, pixels in zip(look.scored, look.pictures, strict=True):
        number, logit = named[scored.score.tracklet], scored.score.logit
        if number not in best or logit > best[number][0]:
            best[number] = logit, pixels
    ranked = sorted(best, key=lambda number: verdict.tracks[number].score or -1.0, reverse=True)
    return [(verdict.tracks[number].track_id, best[number][1]) for number in ranked[:FACES]]
