"""Real media servers, killed, frozen and cut off: no number twice, every loss told. `pytest -m live`."""

from __future__ import annotations

import itertools
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import av
import pytest
from live_parts import (
    MoodyBus,
    assert_no_number_twice,
    encoder,
    free_port,
    ingesting,
    on_topic,
    wait_until,
)
from media_servers import Island, Nginx, RtspServer

from scanner.core.types import Segment
from scanner.ingest import Ingest, SourceSpec, source_of

pytestmark = pytest.mark.live


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx(tmp_path_factory.mktemp("nginx")) as server:
        yield server


@pytest.fixture
def island() -> Iterator[Island]:
    try:
        island = Island()
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", b"").decode().strip() or error
        pytest.skip(f"no network namespaces here (root and iproute2 make them): {why}")
    yield island
    island.sink()


@contextmanager
def pushing(nginx: Nginx, size: str) -> Iterator[None]:
    """Another size, other bytes: what comes twice is then our fault."""
    with encoder("-f", "flv", nginx.push_url("a"), seconds=600, size=size):
        yield


def reconnects(ingest: Ingest) -> int:
    return int(str(ingest.status.sources()[0]["reconnects"]))


def account(segments: list[Segment], ingest: Ingest) -> int:
    """No number twice, and what is missing is what was counted. How many are missing."""
    assert_no_number_twice(segments)
    missing = sum(after.sequence - one.sequence - 1 for one, after in itertools.pairwise(segments))
    assert missing == ingest.status.sources()[0]["lost"], "what is missing is what was counted"
    clock_ms = segments[-1].start_ms - segments[0].start_ms
    wall_ms = (segments[-1].captured_at_ms or 0) - (segments[0].captured_at_ms or 0)
    assert abs(clock_ms - wall_ms) < 10_000
    return missing


def assert_nothing_twice(segments: list[Segment]) -> None:
    digests = [segment.sha256 for segment in segments]
    assert len(digests) == len(set(digests)), "a playlist's segments came twice"


def size_of(segment: Segment) -> tuple[int, int]:
    """Of every picture; and the container must say the same."""
    with av.open(BytesIO(segment.payload)) as container:
        stream = container.streams.video[0]
        (size,) = {(frame.width, frame.height) for frame in container.decode(video=0)}
        assert size == (stream.width, stream.height)
        return size


@pytest.mark.parametrize("how", ["rtmp", "hls"])
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_nginx_dies_or_freezes(bus: MoodyBus, tmp_path: Path, nginx: Nginx, how: str, fault: str) -> None:
    url = nginx.push_url("a") if how == "rtmp" else nginx.hls_url("a")
    with ingesting(bus, tmp_path, source_of(f"cam={url}")) as ingest:
        with pushing(nginx, "320x240"):
            wait_until(lambda: len(on_topic(bus)) >= 4, 60)
            lost = reconnects(ingest)
            if fault == "frozen":
                nginx.tell(signal.SIGSTOP)
                wait_until(lambda: reconnects(ingest) != lost, 60)
                nginx.tell(signal.SIGCONT)
            else:
                nginx.end()
                wait_until(lambda: reconnects(ingest) != lost, 60)
        before = len(on_topic(bus))
        if fault == "killed":
            nginx.start()
        with pushing(nginx, "352x288"):
            wait_until(lambda: len(on_topic(bus)) >= before + 4, 60)
    segments = on_topic(bus)
    missing = account(segments, ingest)
    assert_nothing_twice(segments)
    if how == "rtmp":  # a playlist still lists what came before, and is joined on where it goes on
        assert missing, "video was lost and nothing tells it"


@pytest.mark.parametrize("how", ["rtmp", "hls"])
def test_an_encoder_comes_back_with_another_size_while_nginx_goes_on(
    bus: MoodyBus, tmp_path: Path, nginx: Nginx, how: str
) -> None:
    url = nginx.push_url("a") if how == "rtmp" else nginx.hls_url("a")
    with ingesting(bus, tmp_path, source_of(f"cam={url}")) as ingest:
        with pushing(nginx, "320x240"):
            wait_until(lambda: len(on_topic(bus)) >= 3, 60)
        lost = reconnects(ingest)
        with pushing(nginx, "352x288"):
            wait_until(lambda: (352, 288) in [size_of(segment) for segment in on_topic(bus)[-3:]], 60)
        assert reconnects(ingest) == lost, "the connection goes on: the size changed in the middle of it"
    segments = on_topic(bus)
    account(segments, ingest)
    sizes = [size_of(segment) for segment in segments]
    assert [size for size, _ in itertools.groupby(sizes)] == [(320, 240), (352, 288)]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_an_rtsp_server_dies_or_freezes(bus: MoodyBus, tmp_path: Path, transport: str, fault: str) -> None:
    with RtspServer() as server:
        source = SourceSpec.model_validate({"name": "cam", "url": server.url, "transport": transport})
        with ingesting(bus, tmp_path, source) as ingest:
            wait_until(lambda: len(on_topic(bus)) >= 3, 60)
            lost = reconnects(ingest)
            server.end() if fault == "killed" else server.tell(signal.SIGSTOP)
            wait_until(lambda: reconnects(ingest) != lost, 60)
            before = len(on_topic(bus))
            server.start() if fault == "killed" else server.tell(signal.SIGCONT)
            wait_until(lambda: len(on_topic(bus)) >= before + 3, 60)
    assert account(on_topic(bus), ingest), "video was lost and nothing tells it"


@pytest.mark.parametrize("how", ["rtmp", "hls", "srt", "rtsp-tcp", "rtsp-udp"])
def test_the_network_is_cut(
    bus: MoodyBus, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, island: Island, how: str
) -> None:
    with serving(how, island, tmp_path_factory) as source, ingesting(bus, tmp_path, source) as ingest:
        wait_until(lambda: len(on_topic(bus)) >= 3, 60)
        lost = reconnects(ingest)
        island.cut()
        wait_until(lambda: reconnects(ingest) != lost, 60)
        before = len(on_topic(bus))
        island.mend()
        wait_until(lambda: len(on_topic(bus)) >= before + 3, 60)
    segments = on_topic(bus)
    missing = account(segments, ingest)
    if how == "hls":  # what the playlist still lists was not lost
        assert_nothing_twice(segments)
    else:
        assert missing, "video was lost and nothing tells it"


@contextmanager
def serving(how: str, island: Island, folders: pytest.TempPathFactory) -> Iterator[SourceSpec]:
    """Something on the island, with the source that it is."""
    if how.startswith("rtsp"):
        with RtspServer(island) as server:
            yield SourceSpec.model_validate({"name": "cam", "url": server.url, "transport": how.rpartition("-")[2]})
    elif how == "srt":
        url = f"srt://{island.host}:{free_port()}"
        with encoder("-f", "mpegts", f"{url}?mode=listener", seconds=600, inside=island.inside, again=True):
            yield source_of(f"cam={url}")
    else:
        nginx = Nginx(folders.mktemp("nginx"), island)
        with nginx, encoder("-f", "flv", nginx.push_url("a"), seconds=600, inside=island.inside):
            yield source_of(f"cam={nginx.push_url('a') if how == 'rtmp' else nginx.hls_url('a')}")
