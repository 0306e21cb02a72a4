"""Live sources in their confined process, over every transport that this machine can play by itself."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scanner.ingest.addresses import address_of
from scanner.ingest.sources import SourceSpec
from scanner.media import landlock
from scanner.media.pull import Pull
from scanner.testing import draw_video

MEDIA = draw_video(container="mpegts", frames=150)


def pulled(url: str) -> tuple[int, set[str]]:
    """Segments that came, and the layers of the process that they came through."""
    address = address_of(SourceSpec(name="cam", url=url))
    assert not isinstance(address, Path)
    with Pull(address, stream_id="cam", target_s=2.0, stall_s=15.0) as pull:
        return sum(1 for _ in pull), set(pull.sandbox)


@pytest.fixture
def web() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6.0,\nvideo.ts\n#EXT-X-ENDLIST\n"
            body = playlist if self.path.endswith(".m3u8") else MEDIA
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["video.ts", "live.m3u8"])
def test_a_source_of_the_web_is_pulled(web: str, path: str) -> None:
    segments, layers = pulled(f"{web}/{path}")
    assert segments >= 2
    assert {"rlimit", "no_new_privs", "no_capabilities"} <= layers


def test_a_source_that_is_waited_for_is_taken() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])

    def push() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
                return sock.sendall(MEDIA)
            time.sleep(0.1)
        return None

    thread = threading.Thread(target=push)
    thread.start()
    segments, _ = pulled(f"tcp://127.0.0.1:{port}?listen=1")
    thread.join()
    assert segments >= 2


def test_a_relay_opens_its_libraries_its_devices_and_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "device").write_text("pictures")
    told = f"""
from scanner.media.relay import Relay
from scanner.media.sandbox import Confinement, seclude_networked
seclude_networked()
for name in ("secret", "device"):
    relay = Relay(["/usr/bin/cat", f"{tmp_path}/{{name}}"], [f"{tmp_path}/device"], Confinement())
    print(name, relay.output.read(), relay.complaint())
"""
    said = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True).stdout
    assert said.splitlines()[-1] == "device b'pictures' "
    if landlock.version():
        assert said.splitlines()[0] == "secret b'' ffmpeg ended with 1"
