"""A pipeline that does what payloads say, in no time: what tests of delivery put under the worker.

b"good 7"      one clip of grey 7, one face
b"poison 8"    not video
b"lost 9"      the decode cell dies, each time
b"slow 10 3"   good, after 3 seconds
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from scanner import wire
from scanner.core.calibration import Calibration
from scanner.core.errors import CellLostError, MediaError
from scanner.core.policy import Policy
from scanner.core.types import Clip, ClipSpec, Mode, Observation, Quality, Segment, Tally, Tracklet, Verdict
from scanner.core.verdict import Judge
from scanner.inference.batcher import Batcher
from scanner.pipeline import Pipeline
from scanner.ports import Record
from scanner.testing import FakeModel

SPEC = ClipSpec(length=2, size=16)
BOX = (0.2, 0.2, 0.5, 0.6)
QUALITY = Quality(200, 0.6, 0.5, 0.9, 1000)


@dataclass
class ScriptedSighting:
    payload: bytes
    mode: Mode

    def clips(self) -> Iterator[Clip]:
        kind, _, rest = self.payload.partition(b" ")
        if kind == b"poison":
            raise MediaError("not video")
        if kind == b"lost":
            raise CellLostError("the cell died")
        if kind == b"slow":
            time.sleep(float(rest.split()[1]))
        value = int(rest.split()[0]) % 256
        yield Clip(0, 0, 80, 0, np.full((2, 16, 16, 3), value, np.uint8))

    def observation(self) -> Observation:
        face = Tracklet(0, 0, 2000, BOX, BOX, BOX, 60, False, QUALITY)
        return Observation(2000, 640, 480, "h264", Tally(60, 60, 0, 0, self.mode), (face,))


class ScriptedObserver:
    def observe(self, segment: Segment, mode: Mode) -> ScriptedSighting:
        return ScriptedSighting(segment.payload, mode)

    def close(self) -> None:
        pass


def model() -> FakeModel:
    return FakeModel(SPEC, script=lambda clips: clips.mean(axis=(1, 2, 3, 4)) % 16 - 4)


@contextmanager
def pipeline() -> Iterator[Pipeline]:
    fake = model()
    judge = Judge(Policy(), Calibration(null_bound=0.3), fake.ref)
    with Batcher(fake) as batcher:
        yield Pipeline(ScriptedObserver(), batcher, judge)


def record(kind: str, number: int, streams: int, topic: str) -> Record:
    """The `number`-th segment of all; streams take turns."""
    payload = f"{kind} {number}".encode() if " " not in kind else kind.encode()
    sequence = number // streams
    digest = hashlib.sha256(payload).hexdigest()
    return wire.segment_record(Segment(f"cam-{number % streams}", sequence, sequence * 2000, payload, digest), topic)


Facts = dict[tuple[str, int], object]


def facts(verdicts: Sequence[Verdict]) -> Facts:
    """What must not differ between two runs over the same segments, by stream and sequence."""
    return {(v.stream_id, v.sequence): _facts(v) for v in verdicts}


def _facts(verdict: Verdict) -> object:
    tracks = [(track.track_id, track.evidence, track.spans) for track in verdict.tracks]
    return verdict.verdict_id, verdict.label, verdict.score, verdict.reasons, verdict.coverage, tracks
