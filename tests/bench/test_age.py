"""A stream costs per second what it cost in its first minute: `pytest -m bench tests/bench/test_age.py -s`."""

from __future__ import annotations

import json
import statistics
import sys
import time

import pytest

from scanner import wire
from scanner.core.calibration import Calibration
from scanner.core.policy import Policy
from scanner.core.types import ClipScore, Mode, ModelRef, Observation, Quality, Segment, StreamState, Tally, Tracklet
from scanner.core.verdict import Judge, conclude

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
HOURS = 10
GOP_MS = 2000
FACES = 3
TURNS = 1000
BOXES = [(0.05 + 0.3 * n, 0.1, 0.25 + 0.3 * n, 0.4) for n in range(FACES)]
JUDGE = Judge(Policy(), Calibration(slope=1.0, bias=0.0, null_bound=0.3), ModelRef("fake", "ab" * 32))
QUALITY = Quality(face_px=180, sharpness=0.6, brightness=0.5, frontality=0.9, bitrate_kbps=2000)
TRACKLETS = tuple(Tracklet(n, 0, GOP_MS, box, box, box, 60, False, QUALITY) for n, box in enumerate(BOXES))
SEEN = Observation(GOP_MS, 1280, 720, "h264", Tally(60, 60, 0, 0, Mode.FULL), TRACKLETS)


def test_the_tenth_hour_costs_what_the_first_minute_did() -> None:
    state = minute = StreamState("cam")
    sizes = []
    for sequence in range(HOURS * 3600_000 // GOP_MS):
        state = concluded(state, sequence)
        minute = state if sequence < 30 else minute
        if sequence % 1000 == 0:
            sizes.append(wire.state_record(state, "states", at_ms=0).size)
    # Turn by turn, so that a machine that slows down slows both.
    turns = [(seconds(minute), seconds(state)) for _ in range(TURNS)]
    first, last = (statistics.median(column) for column in zip(*turns, strict=True))
    facts = {"first_us": round(first * 1e6), "tenth_hour_us": round(last * 1e6), "state_bytes": max(sizes[1:])}
    sys.stderr.write(json.dumps({"figure": "stream_age", "faces": FACES, **facts}) + "\n")
    assert last < 1.2 * first
    assert sizes[-1] < 1.5 * sizes[1]


def concluded(state: StreamState, sequence: int) -> StreamState:
    """After one more segment of three faces that stay under suspicion."""
    logits = [-1.0 + 0.5 * ((sequence + n) % 3) for n in range(FACES)]
    scores = [ClipScore(n, 0, 533, 0, logit, (logit,) * 16) for n, logit in enumerate(logits)]
    segment = Segment("cam", sequence, sequence * GOP_MS, b"x", "cd" * 32)
    return conclude(state, segment, SEEN, scores, JUDGE).state


def seconds(state: StreamState) -> float:
    began = time.perf_counter()
    concluded(state, state.next_sequence)
    return time.perf_counter() - began
