"""How long a worker takes to remember the streams that it is given: `pytest -m bench tests/bench/test_restore.py -s`.

Each stream's state is written forty times at a stroke; compaction is behind then, and a minute later it is not.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from scanner import wire
from scanner.assembly.bus import topic_plans, topics_of
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.calibration import Calibration
from scanner.core.policy import Policy
from scanner.core.types import ClipScore, Mode, ModelRef, Observation, Quality, Segment, StreamState, Tally, Tracklet
from scanner.core.verdict import Judge, conclude
from scanner.ports import Place
from scanner.settings import Settings
from scanner.worker.streams import remembered

pytestmark = [pytest.mark.bench, pytest.mark.kafka, pytest.mark.timeout(900)]
STREAMS = 5000
VERSIONS = 40
BOX = (0.3, 0.1, 0.6, 0.6)


def state_of(stream: str) -> StreamState:
    """After three segments with two faces."""
    judge = Judge(Policy(), Calibration(slope=1.0, bias=0.0, null_bound=0.3), ModelRef("fake", "ab" * 32))
    quality = Quality(face_px=180, sharpness=0.6, brightness=0.5, frontality=0.9, bitrate_kbps=2000)
    seen = tuple(Tracklet(n, 0, 2000, BOX, BOX, BOX, 60, False, quality) for n in range(2))
    observation = Observation(2000, 1280, 720, "h264", Tally(60, 60, 0, 0, Mode.FULL), seen)
    state = StreamState(stream)
    for sequence in range(3):
        scores = [ClipScore(n, 0, 533, 0, -1.0, (-1.0,) * 8) for n in range(2)]
        segment = Segment(stream, sequence, sequence * 2000, b"x", "cd" * 32)
        state = conclude(state, segment, observation, scores, judge).state
    return state


def test_five_thousand_streams_are_remembered_in_seconds(tmp_path: Path) -> None:
    settings = Settings(topics={"archive": None})
    topics = topics_of(settings)
    states = [wire.state_record(state_of(f"cam-{number}"), topics.states, at_ms=0) for number in range(STREAMS)]
    with LocalBroker(tmp_path / "broker") as broker:
        bus = KafkaBus(KafkaConfig((broker.bootstrap,)))
        bus.create(topic_plans(settings))
        with closing(bus.publisher()) as publisher:
            for _ in range(VERSIONS):
                for record in states:
                    publisher.publish(record)
            publisher.flush(120)
        places = [(topics.segments, number) for number in range(settings.topics.partitions)]
        at_once = restored(bus, topics, places)
        time.sleep(60)
        compacted = restored(bus, topics, places)
    facts = {"streams": STREAMS, "versions": VERSIONS, "state_bytes": states[0].size}
    told = {"figure": "restore", **facts, "at_once_s": round(at_once, 2), "a_minute_later_s": round(compacted, 2)}
    sys.stderr.write(json.dumps(told) + "\n")
    assert compacted < 0.7 * at_once, "the broker does not compact"


def restored(bus: KafkaBus, topics: wire.Topics, places: list[Place]) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    found = remembered(bus, topics, places)
    took_s = time.monotonic() - began
    assert sum(map(len, found.values())) == STREAMS
    return took_s
