"""Detectors of a cell that is left without its two costly layers: what those cost is seen beside it."""

from __future__ import annotations

from scanner.faces.mediapipe import MediapipeDetector
from scanner.faces.mediapipe import near_and_far as confined
from scanner.media import landlock, seccomp

seccomp.install = lambda: False
landlock.open_nothing = lambda: False


def near_and_far() -> tuple[MediapipeDetector, MediapipeDetector]:
    return confined()
