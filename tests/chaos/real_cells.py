"""A pipeline with real decode cells that are killed while they look, and drawn clips for them.

"shown"      after the first clip of a segment was taken from the cell
"looking"    some time after the segment was handed over; a cell that was faster rests already
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import structlog

from scanner import wire
from scanner.core.calibration import Calibration
from scanner.core.errors import CellLostError
from scanner.core.policy import Policy
from scanner.core.types import Clip, ClipSpec, Mode, Segment
from scanner.core.verdict import Judge
from scanner.inference.batcher import Batcher
from scanner.media import pool
from scanner.media.cell import Cell, CellPlan
from scanner.pipeline import Pipeline
from scanner.ports import Observer, Record, Sighting
from scanner.testing import FakeModel, draw_video

PLAN = CellPlan(ClipSpec(length=8, size=32), detectors="scanner.testing:mischievous_detectors", patience_s=20)
VARIANTS = 8
LOOK_S = 0.15
POINTS = ("looking", "shown")
log = structlog.get_logger()


class DoomedCell(Cell):
    """Killed during every so-many-th segment."""

    chance = 0.0

    def clips(self, segment: Segment, mode: Mode, *more: int) -> Iterator[Clip]:
        point = random.choice(POINTS) if random.random() < self.chance else None
        if point == "looking":
            threading.Timer(random.uniform(0, LOOK_S), self._die, (segment, point)).start()
        for clip in super().clips(segment, mode, *more):
            if point == "shown":
                self._die(segment, point)
                point = None
            yield clip

    def _die(self, segment: Segment, point: str) -> None:
        busy = not self.at_rest
        with suppress(ProcessLookupError):
            os.kill(self.child.pid, signal.SIGKILL)
            log.info("cell_killed", at=point if busy else "resting", stream=segment.stream_id, number=segment.sequence)


class Mourning:
    """An observer to whom the cells of these segments, stream and sequence, are always lost."""

    def __init__(self, plain: Observer, lost: frozenset[tuple[str, int]]) -> None:
        self._plain, self._lost = plain, lost

    def observe(self, segment: Segment, mode: Mode) -> Sighting:
        if (segment.stream_id, segment.sequence) in self._lost:
            raise CellLostError("its cell was killed, twice")
        return self._plain.observe(segment, mode)

    def close(self) -> None:
        self._plain.close()


@contextmanager
def celled(chance: float, lost: frozenset[tuple[str, int]] = frozenset()) -> Iterator[Pipeline]:
    """Real cells, each of which is killed during a segment with this chance."""
    DoomedCell.chance = chance
    pool.Cell = DoomedCell  # type: ignore[misc]  # a class takes the place of a class
    fake = FakeModel(PLAN.spec)
    judge = Judge(Policy(), Calibration(null_bound=0.3), fake.ref)
    with pool.CellPool(1, PLAN) as cells, Batcher(fake) as batcher:
        cells.ready()
        yield Pipeline(Mourning(cells, lost), batcher, judge)


@cache
def payloads() -> dict[str, tuple[bytes, ...]]:
    good = tuple(draw_video(frames=48, flicker=number % 4 == 0, seed=number) for number in range(VARIANTS))
    return {
        "good": good,
        "poison": tuple(bytes(reversed(each)) for each in good),
        "lost": (draw_video(mark="crash"),),
    }


def drawn(kind: str, number: int, streams: int, topic: str) -> Record:
    """As scripted.record, with clips that real cells read: or refuse, or die over."""
    variants = payloads()[kind]
    payload, sequence = variants[number % len(variants)], number // streams
    digest = hashlib.sha256(payload).hexdigest()
    return wire.segment_record(Segment(f"cam-{number % streams}", sequence, sequence * 2000, payload, digest), topic)
