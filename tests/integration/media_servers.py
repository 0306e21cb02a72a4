"""Real media servers under our own control: started, killed, frozen."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Self

from live_parts import free_port

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


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

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Self]:
        """In a folder of pytest's, which its workers, who are nobody, must get into."""
        for parent in (folder, *list(folder.parents)[:2]):
            parent.chmod(0o755)
        server = cls(folder)
        server.start()
        try:
            yield server
        finally:
            server.end()

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


class Web:
    """A folder over HTTP, that can fall silent, or be gone and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._server: ThreadingHTTPServer | None = None
        self._awake = Event()
        self._awake.set()

    @classmethod
    @contextmanager
    def running(cls, folder: Path) -> Iterator[Self]:
        folder.mkdir(exist_ok=True)
        web = cls(folder)
        web.start()
        try:
            yield web
        finally:
            web.end()

    def start(self) -> None:
        awake = self._awake

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                awake.wait()
                with suppress(OSError):  # whoever asked is gone
                    super().do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), partial(Handler, directory=str(self._folder)))
        Thread(target=self._server.serve_forever, args=(0.05,)).start()

    def freeze(self) -> None:
        self._awake.clear()

    def thaw(self) -> None:
        self._awake.set()

    def end(self) -> None:
        self.thaw()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
