"""Processor time that goes into the libraries we stand on, counted where each is called. What is left is ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self


class Meter:
    """The processor time of one library, in this process."""

    def __init__(self, clock_ns: Callable[[], int], *, own: Callable[[str], bool] | None = None) -> None:
        """
        Args:
            clock_ns: `time.thread_time_ns` where the library works on the calling thread, `time.process_time_ns` where
                it has threads of its own and nothing else runs meanwhile.
            own: tells by its name a Python thread that the library started and that works for it alone.
        """
        self._clock_ns = clock_ns
        self._own = own
        self._lock = threading.Lock()
        self._ns = 0
        self._threads_ns: dict[int, int] = {}

    @property
    def seconds(self) -> float:
        with self._lock:
            if self._own is not None:
                self._threads_ns |= _run_ns(self._own)
            return (self._ns + sum(self._threads_ns.values())) / 1e9

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


def _run_ns(own: Callable[[str], bool]) -> dict[int, int]:
    """Processor time of living threads by their number, as Linux tells it: a clock of a thread just ended may crash."""
    told = {}
    for thread in threading.enumerate():
        if own(thread.name) and thread.native_id is not None:
            with suppress(OSError, ValueError, IndexError):
                place = Path("/proc/self/task", str(thread.native_id), "schedstat")
                told[thread.native_id] = int(place.read_text().split()[0])
    return told


def _of_kafka(thread: str) -> bool:
    return thread.startswith("kafka-io-") or thread.endswith("-network-thread")


FFMPEG = Meter(time.thread_time_ns)
MEDIAPIPE = Meter(time.process_time_ns)  # its graph runs on threads of its own, while the caller waits
ONNX_RUNTIME = Meter(time.thread_time_ns)
KAFKA = Meter(time.thread_time_ns, own=_of_kafka)  # the client

Seconds = Mapping[str, float]
"""library to processor seconds"""


def of_cells() -> dict[str, float]:
    """What a decode cell spends in libraries."""
    return {"ffmpeg": FFMPEG.seconds, "mediapipe": MEDIAPIPE.seconds}
