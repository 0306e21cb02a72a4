"""Files to the segments topic, on the bus in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer

import pytest

from scanner.bus.memory import MemoryBus
from scanner.cli.publishing import Plan, Published, publish_all
from scanner.core.errors import BrokerUnavailableError, ClaimRefusedError, SettingsError
from scanner.core.types import Segment
from scanner.media.cutter import cut
from scanner.media.demux import Limits
from scanner.media.inputs import Input
from scanner.media.store import ObjectStore
from scanner.ports import Record, TopicPlan
from scanner.testing import draw_video
from scanner.wire import Failure, segment_of

TOPIC = "scanner.segments"
PLAN = Plan(
    topic=TOPIC, target_s=1.0, limits=Limits(), speed=None, loop=False, inline_limit_bytes=2**20, claims_root=None
)
NOWHERE = ObjectStore()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    path.write_bytes(draw_video(frames=75, rate=25, gop=25))  # 3 s: three segments
    return path


@pytest.fixture
def bus() -> MemoryBus:
    bus = MemoryBus()
    bus.create({TOPIC: TopicPlan(3)})
    return bus


def published(bus: MemoryBus) -> dict[str, list[Segment]]:
    """Everything on the topic, by stream, in order."""
    streams: dict[str, list[Segment]] = {}
    reader = bus.reader([TOPIC], from_beginning=True)
    while not reader.at_end():
        for delivery in reader.poll(0.1, 1000):
            segment = segment_of(delivery)
            streams.setdefault(segment.stream_id, []).append(segment)
    return streams


def run(
    bus: MemoryBus, *streams: Input, plan: Plan = PLAN, stop: Event | None = None, store: ObjectStore = NOWHERE
) -> list[Published | Failure]:
    return list(publish_all(streams, plan, bus.publisher(), store, stop or Event(), at_once=len(streams)))


def test_what_is_published_is_what_the_cutter_cuts(bus: MemoryBus, clip: Path) -> None:
    (outcome,) = run(bus, Input(clip, "cam"))
    with cut(clip, stream_id="cam", target_s=1.0) as pieces:
        expected = list(pieces)
    assert published(bus) == {"cam": expected}
    assert [segment.end_of_stream for segment in expected] == [False, False, True]
    assert outcome == Published("cam", 3, sum(len(s.payload) for s in expected), 0, 3000, "")


def test_streams_go_side_by_side_each_in_its_own_order(bus: MemoryBus, clip: Path) -> None:
    run(bus, *(Input(clip, f"cam-{n}") for n in range(5)))
    streams = published(bus)
    assert sorted(streams) == [f"cam-{n}" for n in range(5)]
    assert all([s.sequence for s in segments] == [0, 1, 2] for segments in streams.values())


def test_live_speed_sends_a_segment_when_it_would_be_complete(bus: MemoryBus, clip: Path) -> None:
    #  media   0 s        1 s        2 s        3 s      at 4 × real time
    #  sent              0.25 s     0.5 s      0.75 s
    began, at = time.monotonic(), []
    plan = replace(PLAN, speed=4.0)

    def told(_: object) -> None:
        at.append(time.monotonic() - began)

    list(publish_all([Input(clip, "cam")], plan, bus.publisher(), NOWHERE, Event(), at_once=1, told=told))
    assert all(expected <= actual < expected + 1.5 for actual, expected in zip(at, (0.25, 0.5, 0.75), strict=True))
    captured = [segment.captured_at_ms for segment in published(bus)["cam"]]
    assert [later - captured[0] for later in captured] == [0, 250, 500]


def test_a_loop_is_one_stream_that_goes_on_until_it_is_stopped(bus: MemoryBus, clip: Path) -> None:
    stop = Event()
    stop_soon = Timer(2.0, stop.set)
    stop_soon.start()
    (outcome,) = run(bus, Input(clip, "cam"), plan=replace(PLAN, loop=True, speed=6.0), stop=stop)
    stop_soon.join()
    segments = published(bus)["cam"]
    assert len(segments) > 4, "more than one round"
    assert [s.sequence for s in segments] == list(range(len(segments)))
    assert [s.start_ms for s in segments[:-1]] == [1000 * n for n in range(len(segments) - 1)]
    assert [s.end_of_stream for s in segments] == [False] * (len(segments) - 1) + [True]
    assert (segments[-1].payload, segments[-1].start_ms) == (b"", 1000 * (len(segments) - 1))
    assert isinstance(outcome, Published)
    assert outcome.segments == len(segments)


def test_a_large_segment_travels_as_a_claim_check(bus: MemoryBus, clip: Path, tmp_path: Path) -> None:
    store = ObjectStore(file_roots=[tmp_path])
    plan = replace(PLAN, inline_limit_bytes=10, claims_root=tmp_path.as_uri())
    (outcome,) = run(bus, Input(clip, "cam 1"), plan=plan, store=store)
    assert isinstance(outcome, Published)
    assert outcome.claims == 3
    with cut(clip, stream_id="cam 1", target_s=1.0) as pieces:
        expected = [segment.payload for segment in pieces]
    claims = [segment.claim for segment in published(bus)["cam 1"]]
    assert [store.get(c.uri, c.size, c.sha256) for c in claims if c] == expected


def test_a_large_segment_with_nowhere_to_go_says_what_to_set(bus: MemoryBus, clip: Path) -> None:
    with pytest.raises(SettingsError, match=r"claims\.write_to"):
        run(bus, Input(clip, "cam"), plan=replace(PLAN, inline_limit_bytes=10))


def test_a_stream_name_cannot_lead_out_of_the_claims_folder(bus: MemoryBus, clip: Path, tmp_path: Path) -> None:
    root = tmp_path / "claims"
    root.mkdir()
    plan = replace(PLAN, inline_limit_bytes=10, claims_root=root.as_uri())
    with pytest.raises(ClaimRefusedError, match="outside"):
        run(bus, Input(clip, "../../cam"), plan=plan, store=ObjectStore(file_roots=[root]))


def test_a_file_that_cannot_be_cut_costs_only_its_own_stream(bus: MemoryBus, clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    outcomes = run(bus, Input(broken, "broken"), Input(clip, "cam"))
    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert (failure.uri, failure.stage) == (str(broken), "decode")
    assert list(published(bus)) == ["cam"]


def test_a_bus_that_goes_away_ends_every_stream(bus: MemoryBus, clip: Path) -> None:
    class Gone:
        def publish(self, record: Record) -> None:
            raise BrokerUnavailableError("gone")

        def flush(self, timeout_s: float) -> None:
            """Nothing to do."""

        def close(self) -> None:
            """Nothing to do."""

    streams = [Input(clip, f"cam-{n}") for n in range(3)]
    outcomes: Iterator[Published | Failure] = publish_all(
        streams, replace(PLAN, loop=True), Gone(), NOWHERE, Event(), at_once=3
    )
    with pytest.raises(BrokerUnavailableError, match="gone"):
        list(outcomes)
