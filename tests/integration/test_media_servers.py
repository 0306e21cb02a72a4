"""nginx with its RTMP module, killed and frozen for real: no number twice, every loss told. `pytest -m live`."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live_parts import (
    MoodyBus,
    assert_no_number_twice,
    bus,
    encoder,
    ingesting,
    on_topic,
    wait_until,
)
from media_servers import Nginx

from scanner.ingest import source_of

__all__ = ["bus"]
pytestmark = pytest.mark.live


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with Nginx.running(tmp_path_factory.mktemp("nginx")) as server:
        yield server


@contextmanager
def pushing(nginx: Nginx, size: str) -> Iterator[None]:
    """Another size, other bytes: what comes twice is then our fault."""
    with encoder("-f", "flv", f"rtmp://127.0.0.1:{nginx.rtmp}/live/a", seconds=600, size=size):
        yield


@pytest.mark.parametrize("how", ["rtmp", "hls"])
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_a_media_server_dies_or_freezes(bus: MoodyBus, tmp_path: Path, nginx: Nginx, how: str, fault: str) -> None:
    url = f"rtmp://127.0.0.1:{nginx.rtmp}/live/a" if how == "rtmp" else f"http://127.0.0.1:{nginx.http}/a.m3u8"
    with ingesting(bus, tmp_path, source_of(f"cam={url}")) as ingest:
        with pushing(nginx, "320x240"):
            wait_until(lambda: len(on_topic(bus)) >= 4, 60)
            lost = ingest.status.sources()[0]["reconnects"]
            if fault == "frozen":
                nginx.tell(signal.SIGSTOP)
                wait_until(lambda: ingest.status.sources()[0]["reconnects"] != lost, 60)
                nginx.tell(signal.SIGCONT)
            else:
                nginx.end()
                wait_until(lambda: ingest.status.sources()[0]["reconnects"] != lost, 60)
        before = len(on_topic(bus))
        if fault == "killed":
            nginx.start()
        with pushing(nginx, "352x288"):
            wait_until(lambda: len(on_topic(bus)) >= before + 4, 60)
    segments = on_topic(bus)
    assert_no_number_twice(segments)
    jumps = [after.sequence - one.sequence for one, after in itertools.pairwise(segments)]
    if how == "rtmp":  # a playlist still lists what came before, and is joined on where it goes on
        assert max(jumps) > 1, "video was lost and nothing tells it"
    assert sum(jumps) - len(jumps) == ingest.status.sources()[0]["lost"], "what is missing is what was counted"
    digests = [segment.sha256 for segment in segments]
    assert len(digests) == len(set(digests)), "a playlist's segments came twice"
    clock_ms = segments[-1].start_ms - segments[0].start_ms
    wall_ms = (segments[-1].captured_at_ms or 0) - (segments[0].captured_at_ms or 0)
    assert abs(clock_ms - wall_ms) < 10_000
