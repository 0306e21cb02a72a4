"""Observing without a cell: for tests, profiling, and bytes that are trusted. Same clips, no sandbox."""

from __future__ import annotations

from scanner.core.clips import ONE_LOOK, Pace
from scanner.core.types import ClipSpec, Mode, Segment
from scanner.media.demux import Limits
from scanner.media.observe import SegmentObserver
from scanner.ports import FaceDetector


class InProcessObserver:
    """An Observer in the calling thread. Not for several threads at once: its detectors are shared."""

    def __init__(
        self,
        spec: ClipSpec,
        near: FaceDetector,
        far: FaceDetector,
        limits: Limits | None = None,
        pace: Pace = ONE_LOOK,
    ) -> None:
        self._spec = spec
        self._near = near
        self._far = far
        self._limits = limits or Limits()
        self._pace = pace

    def observe(self, segment: Segment, mode: Mode) -> SegmentObserver:
        return SegmentObserver(
            segment.payload, mode, self._spec, near=self._near, far=self._far, limits=self._limits, pace=self._pace
        )

    def close(self) -> None:
        self._near.close()
        self._far.close()
