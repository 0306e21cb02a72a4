"""Real media servers under our own control: started, killed, frozen."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Self
from uuid import uuid4

from live_parts import free_port

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


class Server(ABC):
    """A program that serves; its host is another one when it runs in an Island."""

    def __init__(self, island: Island | None = None) -> None:
        self.host = island.host if island else "127.0.0.1"
        self._island = island
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it, argument by argument."""

    def start(self) -> None:
        told = [*(self._island.inside if self._island else ()), *self.command()]
        self._process = subprocess.Popen(told, start_new_session=True, stderr=subprocess.DEVNULL)
        time.sleep(1)
        assert self._process.poll() is None, told

    def tell(self, what: signal.Signals) -> None:
        assert self._process
        os.killpg(self._process.pid, what)

    def end(self) -> None:
        if self._process is not None:
            self.tell(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Nginx(Server):
    """Takes pushes by RTMP, serves them by RTMP and HLS."""

    def __init__(self, folder: Path, island: Island | None = None) -> None:
        super().__init__(island)
        assert MODULE.exists(), "bash deploy/setup.sh live"
        self.rtmp, self.http = free_port(), free_port()
        self._folder = folder
        (folder / "hls").mkdir()
        workers = "user root;" if os.geteuid() == 0 else ""  # nobody else gets into a folder of pytest's
        (folder / "nginx.conf").write_text(f"""
            load_module {MODULE}; {workers} daemon off; worker_processes 1; error_log {folder}/log; pid {folder}/pid;
            events {{}}
            rtmp {{ server {{ listen {self.host}:{self.rtmp}; application live {{
                live on; hls on; hls_path {folder}/hls; hls_fragment 1s; hls_playlist_length 8s; }} }} }}
            http {{ access_log off; server {{ listen {self.host}:{self.http}; root {folder}/hls; }} }}
            """)

    def command(self) -> list[str]:
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert nginx
        return [nginx, "-c", str(self._folder / "nginx.conf"), "-p", str(self._folder)]

    def push_url(self, stream: str) -> str:
        return f"rtmp://{self.host}:{self.rtmp}/live/{stream}"

    def hls_url(self, stream: str) -> str:
        return f"http://{self.host}:{self.http}/{stream}.m3u8"


class RtspServer(Server):
    """GStreamer's, with a camera of its own."""

    def __init__(self, island: Island | None = None) -> None:
        super().__init__(island)
        self._port = free_port()
        self.url = f"rtsp://{self.host}:{self._port}/live"

    def command(self) -> list[str]:
        return ["/usr/bin/python3", str(Path(__file__).with_name("rtsp_server.py")), self.host, str(self._port)]


class Island:
    """A network namespace at the other end of a cable that can be cut."""

    host = "10.213.7.2"
    _here = "10.213.7.1"

    def __init__(self) -> None:
        """Raises OSError or CalledProcessError where this machine, or this user, makes none."""
        number = uuid4().hex[:8]
        self._name, self._cable, far = f"scanner-{number}", f"scn{number}a", f"scn{number}b"
        self.inside = ("ip", "netns", "exec", self._name)
        self._ip("netns", "add", self._name)
        self._ip("link", "add", self._cable, "type", "veth", "peer", "name", far, "netns", self._name)
        self._ip("addr", "add", f"{self._here}/30", "dev", self._cable)
        self._ip("-n", self._name, "addr", "add", f"{self.host}/30", "dev", far)
        for device in ("lo", far):
            self._ip("-n", self._name, "link", "set", device, "up")
        self.mend()

    def cut(self) -> None:
        self._ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        self._ip("link", "set", self._cable, "up")

    def sink(self) -> None:
        self._ip("link", "del", self._cable)
        self._ip("netns", "del", self._name)

    @staticmethod
    def _ip(*told: str) -> None:
        subprocess.run(["ip", *told], check=True, capture_output=True)


class Web:
    """A folder over HTTP, that can fall silent, or be gone and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self.asked: list[str] = []
        """paths"""
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
        awake, asked = self._awake, self.asked

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
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
