"""nginx with its RTMP module, killed and frozen for real: no number twice, every loss told. `pytest -m live`."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_live_sources import (
    MoodyBus,
    assert_no_number_twice,
    bus,
    encoder,
    free_port,
    ingesting,
    on_topic,
    wait_until,
)

from scanner.ingest import source_of

__all__ = ["bus"]
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
pytestmark = pytest.mark.live


class Nginx:
    """Takes one push by RTMP, serves it by RTMP and HLS."""

    def __init__(self, folder: Path) -> None:
        assert MODULE.exists(), "apt-get install nginx-core libnginx-mod-rtmp"
        self.rtmp, self.http = free_port(), free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "hls").mkdir(mode=0o777)
        (folder / "nginx.conf").write_text(f"""
            load_module {MODULE}; daemon off; worker_processes 1; error_log {folder}/log; pid {folder}/pid;
            events {{}}
            rtmp {{ server {{ listen 127.0.0.1:{self.rtmp}; application live {{
                live on; hls on; hls_path {folder}/hls; hls_fragment 1s; hls_playlist_length 8s; }} }} }}
            http {{ access_log off; server {{ listen 127.0.0.1:{self.http}; root {folder}/hls; }} }}
            """)

    def start(self) -> None:
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert nginx
        told = [nginx, "-c", str(self._folder / "nginx.conf"), "-p", str(self._folder)]
        self._process = subprocess.Popen(told, start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(1)
        assert self._process.poll() is None

    def tell(self, what: signal.Signals) -> None:
        assert self._process
        os.killpg(self._process.pid, what)

    def end(self) -> None:
        if self._process is not None:
            self.tell(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folder = tmp_path_factory.mktemp("nginx")
    for parent in (folder, *list(folder.parents)[:2]):
        parent.chmod(0o755)
    server = Nginx(folder)
    server.start()
    yield server
    server.end()


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
    digests = [segment.sha256 for segment in segments]
    assert len(digests) == len(set(digests)), "a playlist's segments came twice"
    clock_ms = segments[-1].start_ms - segments[0].start_ms
    wall_ms = (segments[-1].captured_at_ms or 0) - (segments[0].captured_at_ms or 0)
    assert abs(clock_ms - wall_ms) < 10_000
