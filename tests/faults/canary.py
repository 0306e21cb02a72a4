"""A server on loopback that nobody may reach, and a file that nobody may open. Both tell who tried."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from scanner.testing import draw_video

IN_OPEN, IN_NONBLOCK = 0x20, os.O_NONBLOCK


class _Server(ThreadingHTTPServer):
    """Counts connections, whatever is said over them."""

    def __init__(self, hits: list[str]) -> None:
        self.hits = hits
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        request, address = super().get_request()
        self.hits.append(f"connection from {address}")
        return request, address


class _Handler(BaseHTTPRequestHandler):
    bait = draw_video()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.bait)))
        self.end_headers()
        self.wfile.write(self.bait)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Canary:
    """Use with `canaries`."""

    def __init__(self, folder: Path) -> None:
        self.hits: list[str] = []
        self._server = _Server(self.hits)
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", 0))
        self._datagrams.setblocking(False)
        self._thread = threading.Thread(target=self._server.serve_forever, name="canary")
        self._thread.start()
        self.file = folder / "bait.mp4"
        self.file.write_bytes(draw_video(frames=60))
        libc = ctypes.CDLL(None, use_errno=True)
        self._watch = libc.inotify_init1(IN_NONBLOCK)
        assert libc.inotify_add_watch(self._watch, bytes(self.file), IN_OPEN) >= 0
        port, datagram_port = self._server.server_address[1], self._datagrams.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/bait.mp4"
        self.addresses = (
            self.url,
            f"tcp://127.0.0.1:{port}",
            f"udp://127.0.0.1:{datagram_port}",
            f"rtmp://127.0.0.1:{port}/live",
            f"rtsp://127.0.0.1:{port}/live",
            f"ftp://127.0.0.1:{port}/bait.mp4",
            f"cache:{self.url}",
            f"async:{self.url}",
            f"crypto+{self.url}",
            str(self.file),
            self.file.as_uri(),
            f"concat:{self.file}|{self.file}",
            f"concatf:{self.file}",
            f"subfile,,start,0,end,100,,:{self.file}",
            f"md5:{self.file}",
            "../bait.mp4",
            "/etc/passwd",
            "pipe:0",
            "data:video/mp4;base64,AAAAGGZ0eXBpc29tAAACAGlzb20=",
        )

    def sung(self) -> list[str]:
        """Everything that reached out, so far."""
        try:
            opened = len(os.read(self._watch, 2**20)) // struct.calcsize("iIII")
            self.hits += [f"{self.file} was opened"] * opened
        except BlockingIOError:
            pass
        with suppress(BlockingIOError):
            self.hits.append(f"a datagram from {self._datagrams.recvfrom(100)[1]}")
        return self.hits

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._datagrams.close()
        os.close(self._watch)


@contextmanager
def canaries(folder: Path) -> Iterator[Canary]:
    canary = Canary(folder)
    try:
        yield canary
    finally:
        canary.close()
