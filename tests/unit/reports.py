"""Reports that are drawn, for the tests of their page."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from scanner.core.policy import Policy
from scanner.core.summary import summarise
from scanner.core.types import (
    Mode,
    ModelRef,
    Provenance,
    Quality,
    Reason,
    SpanScore,
    Tally,
    TrackVerdict,
    Verdict,
)
from scanner.report import Look, ModelFacts, PathReport, Thresholds
from scanner.report.pictures import STRIP_FRAMES, heat_strip, thumbnail

POLICY = Policy()
LINES = Thresholds.of(POLICY)
FACTS = ModelFacts("drawn", "ab" * 32, real_videos=312)
QUALITY = Quality(face_px=180, sharpness=0.6, brightness=0.5, frontality=0.9, bitrate_kbps=1200)


def face_pixels(seed: int = 0, size: int = 160) -> np.ndarray:
    """(16, S, S, 3): soft noise, about as heavy as a face is for a JPEG."""
    noise = np.random.default_rng(seed).integers(0, 255, (size, size, 3), np.uint8)
    return np.stack([cv2.GaussianBlur(noise, (0, 0), 3)] * 16)


JPEG = thumbnail(face_pixels())
HEAT = heat_strip(face_pixels()[:STRIP_FRAMES], np.full((STRIP_FRAMES, 7, 7), 0.8, np.float32))


def verdict(
    place: int, scores: Sequence[float], *, faces: int = 1, reasons: tuple[Reason, ...] = (), seg_ms: int = 2000
) -> Verdict:
    start, step = place * seg_ms, seg_ms // max(1, len(scores))
    spans = tuple(SpanScore(start + i * step, start + (i + 1) * step, score) for i, score in enumerate(scores))
    tracks = tuple(
        TrackVerdict(f"face-{n + 1}", LINES.label(max(scores)), max(scores), 1.0, 32, spans, (0, 0, 1, 1), QUALITY)
        for n in range(faces if scores else 0)
    )
    score = max(scores, default=None)
    tally = Tally(50, 50, 32, 0, Mode.FULL)
    return Verdict(
        f"{place:032x}", "s", place, start, start + seg_ms, LINES.label(score), score, reasons, tracks,
        Provenance(), tally, ModelRef("drawn", "ab" * 32), "cd" * 32, ("rlimit", "no_network"),
    )  # fmt: skip


def report(
    uri: str, verdicts: Sequence[Verdict], looks: Sequence[Look] = (), refused: Sequence[str] = ()
) -> PathReport:
    return PathReport(summarise(uri, verdicts, POLICY), tuple(verdicts), tuple(looks), tuple(refused))


def look(start_ms: int, score: float, track: str = "face-1", heat: bytes | None = None) -> Look:
    return Look(track, start_ms, start_ms + 500, score, JPEG, (score,) * 16, heat)


FORGED = report(
    "/videos/forged.mp4",
    [verdict(0, [0.1, 0.2]), verdict(1, [0.9, 0.95, 0.9, 0.9]), verdict(2, [0.9] * 4)],
    [look(0, 0.1), look(2000, 0.9, heat=HEAT), look(3000, 0.95, heat=HEAT)],
)
