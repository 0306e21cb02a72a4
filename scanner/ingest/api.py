"""Sources added and removed at run time over HTTP, for those who know the token.

GET    /sources           what is ingested, without what addresses hide
GET    /sources/NAME      one of them
PUT    /sources/NAME      {"url": "rtsp://…", "transport": "udp"}: adds it, or changes one that was added here
DELETE /sources/NAME      ends it; its stream gets its end on the topic
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import structlog

from scanner.core.errors import SettingsError
from scanner.ingest.roster import SourceOwnedError
from scanner.ingest.sources import checked_source
from scanner.ingest.supervisor import Ingest

_LARGEST_BODY_BYTES = 16 * 1024
_PATIENCE_S = 10.0  # with a caller who is slow to say what he wants
_ROOT = "/sources"

_log = structlog.get_logger()


class RefusalError(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Api:
    """Serves in a thread of its own while it is entered."""

    def __init__(self, ingest: Ingest, host: str, port: int, token: str) -> None:
        """Raises SettingsError when the address is taken."""
        try:
            self._server = _Server((host, port), ingest, token)
        except OSError as error:
            raise SettingsError(f"ingest.api_host, ingest.api_port: {host}:{port}: {error.strerror}") from error
        self.address = "http://{}:{}".format(*self._server.server_address[:2])
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="ingest api", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], ingest: Ingest, token: str) -> None:
        super().__init__(address, _Handler)
        self.ingest = ingest
        self.token = token


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_S
    server_version, sys_version = "scanner", ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Changes are logged where they are made; a token may stand in what would be logged here."""

    def _get(self) -> tuple[HTTPStatus, object]:
        sources = self.server.ingest.sources()
        if not (name := self._name()):
            return HTTPStatus.OK, {"sources": sources}
        found = next((source for source in sources if source["name"] == name), None)
        if found is None:
            raise RefusalError(HTTPStatus.NOT_FOUND, f"no source {name}")
        return HTTPStatus.OK, found

    def _put(self) -> tuple[HTTPStatus, object]:
        name = self._named()
        new = self.server.ingest.put(checked_source(name, self._table()))
        _log.info("source_put", source=name, by=self.client_address[0], new=new)
        return (HTTPStatus.CREATED if new else HTTPStatus.OK), {"name": name}

    def _delete(self) -> tuple[HTTPStatus, object]:
        name = self._named()
        if not self.server.ingest.remove(name):
            raise RefusalError(HTTPStatus.NOT_FOUND, f"no source {name}")
        _log.info("source_deleted", source=name, by=self.client_address[0])
        return HTTPStatus.OK, {"name": name}

    def _answer(self, asked: Callable[[], tuple[HTTPStatus, object]]) -> None:
        try:
            self._authorise()
            status, body = asked()
        except RefusalError as refusal:
            status, body = refusal.status, {"error": str(refusal)}
        except SourceOwnedError as error:
            status, body = HTTPStatus.CONFLICT, {"error": str(error)}
        except SettingsError as error:
            status, body = HTTPStatus.BAD_REQUEST, {"error": str(error)}
        text = json.dumps(body, ensure_ascii=False).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = True

    def _authorise(self) -> None:
        given = self.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {self.server.token}".encode()):
            raise RefusalError(HTTPStatus.UNAUTHORIZED, "Authorization: Bearer TOKEN is asked for (ingest.api_token)")

    def _name(self) -> str:
        path = urlsplit(self.path).path
        if path.rstrip("/") == _ROOT:
            return ""
        if not path.startswith(f"{_ROOT}/"):
            raise RefusalError(HTTPStatus.NOT_FOUND, f"only {_ROOT} and {_ROOT}/NAME are here")
        return unquote(path.removeprefix(f"{_ROOT}/"))

    def _named(self) -> str:
        if name := self._name():
            return name
        raise RefusalError(HTTPStatus.METHOD_NOT_ALLOWED, f"name the source: {_ROOT}/NAME")

    def _table(self) -> dict[str, object]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise RefusalError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if int(length) > _LARGEST_BODY_BYTES:
            raise RefusalError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {_LARGEST_BODY_BYTES} bytes")
        try:
            table = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise RefusalError(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error}") from error
        except TimeoutError as error:
            raise RefusalError(HTTPStatus.REQUEST_TIMEOUT, f"{length} bytes were promised and did not come") from error
        if not isinstance(table, dict) or "name" in table:
            raise RefusalError(HTTPStatus.BAD_REQUEST, 'the body is an object such as {"url": "rtsp://…"}')
        return table
