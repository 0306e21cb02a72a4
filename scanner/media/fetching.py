"""HTTP for one source: by TLS alone where its address says so, with its password for its own host alone."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage
from time import time
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

from scanner.core.errors import MediaError

_TIMEOUT_S = 20.0  # without a byte; who pulls gives up sooner
_CHUNK_BYTES = 64 * 1024
_MANIFEST_BYTES = 8 * 1024 * 1024
_NOT_THERE = (404, 410, 425)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes at an address."""

    url: str
    span: str = ""
    """`first-last`, both included; empty: all"""


class NotThereError(MediaError):
    """The server answers, and has no such thing."""


@dataclass(frozen=True, slots=True)
class Page:
    """A manifest as it came."""

    text: bytes
    url: str
    """where it was found at last: addresses in it start there"""
    now_s: float
    """the server's clock, or ours where it tells none"""


class Web:
    """Follows redirects. To be made before a process is confined: it reads the authorities that TLS trusts."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        user, _, self._host = parts.netloc.rpartition("@")
        self._url = urlunsplit(parts._replace(netloc=self._host))
        self._schemes = ("https",) if parts.scheme == "https" else ("http", "https")
        self._basic = f"Basic {b64encode(unquote(user).encode()).decode()}" if user else ""
        self._opener = OpenerDirector()
        speaking = (HTTPHandler(), HTTPSHandler(context=ssl.create_default_context()))
        for handler in (*speaking, HTTPDefaultErrorHandler(), HTTPErrorProcessor(), _Redirects(self._schemes)):
            self._opener.add_handler(handler)

    def page(self, place: str = "") -> Page:
        """The manifest, from elsewhere where it said so. Raises MediaError."""
        with self._opened(Part(place or self._url)) as answer:
            text = answer.read(_MANIFEST_BYTES + 1)
            if len(text) > _MANIFEST_BYTES:
                raise MediaError(f"a manifest of more than {_MANIFEST_BYTES} bytes")
            return Page(text, answer.url, _clock_s(answer.headers))

    def get(self, part: Part) -> Iterator[bytes]:
        """Raises MediaError; NotThereError before the first byte."""
        with self._opened(part) as answer:
            while chunk := answer.read1(_CHUNK_BYTES):
                yield chunk
            if answer.length:
                raise MediaError(f"{answer.length} bytes of a piece did not come")

    @contextmanager
    def _opened(self, part: Part) -> Iterator[Any]:
        parts = urlsplit(part.url)
        if parts.scheme not in self._schemes:
            raise MediaError(f"an address that leads to {parts.scheme[:20]}:// (only {', '.join(self._schemes)})")
        asked = Request(part.url, headers={"User-Agent": "scanner", "Accept-Encoding": "identity"})  # noqa: S310 - checked above
        if part.span:
            asked.add_header("Range", f"bytes={part.span}")
        if self._basic and parts.netloc == self._host:
            asked.add_unredirected_header("Authorization", self._basic)
        try:
            with self._opener.open(asked, timeout=_TIMEOUT_S) as answer:
                if part.span and answer.status != HTTPStatus.PARTIAL_CONTENT:
                    raise MediaError("the server sends whole files where a part of one is asked for")
                yield answer
        except HTTPError as error:
            with error:
                kind = NotThereError if error.code in _NOT_THERE else MediaError
                raise kind(f"HTTP {error.code} {error.reason:.100}") from error
        except URLError as error:
            reason = error.reason
            raise MediaError(str(getattr(reason, "strerror", None) or reason)[:100]) from error
        except (OSError, HTTPException, ValueError) as error:
            raise MediaError(str(error)[:100] or type(error).__name__) from error


class _Redirects(HTTPRedirectHandler):
    def __init__(self, schemes: tuple[str, ...]) -> None:
        self._schemes = schemes

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in self._schemes:
            raise MediaError(f"redirected to {scheme[:20]}:// (only {', '.join(self._schemes)})")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _clock_s(headers: HTTPMessage) -> float:
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp()
    except (TypeError, ValueError):
        return time()
