"""Processor time that goes into the libraries we stand on, counted where each is called. What is left is ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self


class Meter:
    """The processor time of one library, in this process."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        """
        Args:
            clock_ns: `time.thread_time_ns` where the library works on the calling thread, `time.process_time_ns` where
                it has threads of its own and nothing else runs meanwhile.
        """
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        self._ns = 0

    @property
    def seconds(self) -> float:
        return self._ns / 1e9

    def running(self) -> _Running:
        """`with meter.running():` counts the block."""
        return _Running(self, self._clock_ns)

    def add(self, ns: int) -> None:
        with self._lock:
            self._ns += ns


class _Running:
    __slots__ = ("_began", "_clock_ns", "_meter")

    def __init__(self, meter: Meter, clock_ns: Callable[[], int]) -> None:
        self._meter = meter
        self._clock_ns = clock_ns

    def __enter__(self) -> Self:
        self._began = self._clock_ns()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._meter.add(self._clock_ns() - self._began)


FFMPEG = Meter(time.thread_time_ns)
MEDIAPIPE = Meter(time.process_time_ns)  # its graph runs on threads of its own, while the caller waits
ONNX_RUNTIME = Meter(time.thread_time_ns)

Seconds = Mapping[str, float]
"""library to processor seconds"""


def of_cells() -> dict[str, float]:
    """What a decode cell spends in libraries."""
    return {"ffmpeg": FFMPEG.seconds, "mediapipe": MEDIAPIPE.seconds}
