"""A folder over TLS, as a web server hands it out: parts of files, redirects, a password, a cookie."""

from __future__ import annotations

import re
import ssl
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from certificates import Certificate, certificate

__all__ = ["Certificate", "Site", "certificate", "site_of"]


class Site:
    """What it is told, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.asked: list[tuple[str, str, str]] = []
        """path, Range and Authorization"""
        self.moved: dict[str, str] = {}
        """paths to the addresses that they are redirected to"""
        self.password = ""
        self.broken = ""
        """path of a file of which half comes"""
        self.cookie = ""
        """handed out with playlists, and asked for with all else"""
        self.raw: dict[str, Iterable[bytes]] = {}
        """paths to the whole answer, as it goes over the wire"""
        self.cookies: list[str] = []
        """that came, one a request"""

    def url(self, path: str, host: str = "localhost", user: str = "") -> str:
        return f"https://{user}{'@' * bool(user)}{host}:{self.port}/{path}"


@contextmanager
def site_of(folder: Path, papers: Certificate) -> Iterator[Site]:
    site = Site(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(papers.chain, papers.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, site)) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign] - who hangs up is no error
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        site.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, site: Site, *args: Any) -> None:
        self._site = site
        super().__init__(*args, directory=str(site.folder))

    def do_GET(self) -> None:
        site, path = self._site, self.path.split("?")[0].lstrip("/")
        span, password = self.headers["Range"] or "", self.headers["Authorization"] or ""
        site.asked.append((path, span, password))
        site.cookies.append(self.headers["Cookie"] or "")
        with suppress(OSError):  # whoever asked is gone
            if site.password and password != f"Basic {b64encode(site.password.encode()).decode()}":
                self.send_error(401)
            elif site.cookie and not path.endswith(".m3u8") and site.cookie not in (self.headers["Cookie"] or ""):
                self.send_error(403)
            elif path in site.raw:
                for part in site.raw[path]:
                    self.wfile.write(part)
            elif path in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[path])
                self.end_headers()
            elif path == site.broken:
                body = Path(self.translate_path(self.path)).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
            elif span:
                self._part(span)
            else:
                super().do_GET()

    def _part(self, span: str) -> None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", span)
        assert found, span
        with Path(self.translate_path(self.path)).open("rb") as file:
            file.seek(int(found[1]))
            body = file.read(int(found[2]) + 1 - int(found[1]) if found[2] else -1)
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        if self._site.cookie:
            self.send_header("Set-Cookie", f"{self._site.cookie}; Path=/; Expires=Wed, 01 Jan 2120 00:00:00 GMT")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass
