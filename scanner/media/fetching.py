"""HTTP for one source: by TLS alone where its address says so, with its password for its own host alone."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from time import time
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPCookieProcessor,
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
_TEXT_BYTES = 8 * 1024 * 1024
_AS_IT_IS = "!#$%&'()*+,/:;=?@[]"  # what a path may hold as it stands; spaces and umlauts it may not
_NOT_THERE = (404, 410, 425)
_FILE_BYTES = 2**63 - 1  # the largest that FFmpeg can think of
_MOST_COOKIES = 64  # then they are forgotten: a server may hand out others with every answer


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes at an address."""

    url: str
    span: str = ""
    """`first-last`, both included; `first-`: to the end; empty: all"""


class NotThereError(MediaError):
    """The server answers, and has no such thing."""


class AddressError(MediaError):
    """What should be an address is none. It is not shown: there may be a password in it."""

    def __init__(self) -> None:
        super().__init__("leads to what is no address")


@dataclass(frozen=True, slots=True)
class Page:
    """A manifest as it came."""

    text: bytes
    url: str
    """where it was found at last: addresses in it start there"""
    now_s: float
    """the server's clock, or ours where it tells none"""


class Flow:
    """Chunks as a file to `read` from. A MediaError among them is told, and ends it."""

    def __init__(self, chunks: Generator[bytes, None, None], complain: Callable[[str], None]) -> None:
        self._chunks = chunks
        self._complain = complain
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, and empty when it ended."""
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return b""
            except MediaError as error:
                self._complain(str(error))
                return b""
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken

    def turn(self, chunks: Generator[bytes, None, None]) -> None:
        """Goes on with others."""
        self.close()
        self._chunks, self._rest = chunks, b""

    def close(self) -> None:
        self._chunks.close()


class Answer:
    """What a server sends, as it comes; to be closed."""

    def __init__(self, response: Any, asked: str) -> None:
        self._response = response
        self.url: str = response.url
        """where it was found at last: addresses in it start there"""
        self.moved = self.url != asked
        self.headers: HTTPMessage = response.headers

    @property
    def length(self) -> int | None:
        """Bytes that are still to come; None: not said."""
        left: int | None = self._response.length
        return left

    @property
    def in_parts(self) -> bool:
        """Whether parts of it may be asked for."""
        return self.length is not None and self.length <= _FILE_BYTES and self.headers["Accept-Ranges"] == "bytes"

    def read(self, size: int = _CHUNK_BYTES) -> bytes:
        """At most so many bytes, and empty when all came. Raises MediaError."""
        with _ours():
            chunk: bytes = self._response.read1(size)
        if not chunk and self.length:
            raise MediaError(f"{self.length} bytes of a piece did not come")
        return chunk

    def rest(self, begun: bytes = b"") -> Generator[bytes, None, None]:
        """What was read of it, and what comes; then it is closed. Raises MediaError."""
        with closing(self):
            if begun:
                yield begun
            while chunk := self.read():
                yield chunk

    def whole(self, begun: bytes = b"") -> bytes:
        """As `rest`, of what is read as text."""
        text = bytearray()
        for chunk in self.rest(begun):
            text += chunk
            if len(text) > _TEXT_BYTES:
                raise MediaError(f"a manifest or playlist of more than {_TEXT_BYTES} bytes")
        return bytes(text)

    def close(self) -> None:
        self._response.close()


class HttpClient:
    """Follows redirects. To be made before a process is confined: it reads the authorities that TLS trusts."""

    def __init__(self, url: str) -> None:
        self.url, self._basic = _unlocked(url)
        """without the password"""
        parts = urlsplit(self.url)
        self._host = parts.netloc
        self._schemes = ("https",) if parts.scheme == "https" else ("http", "https")
        self._opener = OpenerDirector()
        speaking = (HTTPHandler(), HTTPSHandler(context=ssl.create_default_context()), _Cookies())
        for handler in (*speaking, HTTPDefaultErrorHandler(), HTTPErrorProcessor(), _Redirects(self._schemes)):
            self._opener.add_handler(handler)

    def page(self, place: str = "") -> Page:
        """The manifest, from elsewhere where it said so. Raises MediaError."""
        answer = self.ask(Part(place or self.url))
        return Page(answer.whole(), answer.url, _clock_s(answer.headers))

    def get(self, part: Part) -> Generator[bytes, None, None]:
        """Raises MediaError; NotThereError before the first byte."""
        yield from self.ask(part).rest()

    def ask(self, part: Part) -> Answer:
        """Raises MediaError; NotThereError where there is no such thing."""
        with _ours():
            return self._answer(part)

    def _answer(self, part: Part) -> Answer:
        url, basic = _unlocked(part.url)
        parts = urlsplit(url)
        if parts.scheme not in self._schemes:
            raise MediaError(f"an address that leads to {parts.scheme[:20]}:// (only {', '.join(self._schemes)})")
        asked = Request(url, headers={"User-Agent": "scanner", "Accept-Encoding": "identity"})  # noqa: S310 - checked above
        if part.span:
            asked.add_header("Range", f"bytes={part.span}")
        if basic := basic or (self._basic if parts.netloc == self._host else ""):
            asked.add_unredirected_header("Authorization", basic)
        response = self._opener.open(asked, timeout=_TIMEOUT_S)
        if part.span and response.status != HTTPStatus.PARTIAL_CONTENT:
            response.close()
            raise MediaError("the server sends whole files where a part of one is asked for")
        return Answer(response, url)


@contextmanager
def _ours() -> Iterator[None]:
    """The library's errors become ours."""
    try:
        yield
    except HTTPError as error:
        error.close()
        kind = NotThereError if error.code in _NOT_THERE else MediaError
        moved = 300 <= error.code < 400  # whose reason shows the address
        raise kind(f"HTTP {error.code} {'that leads nowhere' if moved else error.reason:.100}") from error
    except URLError as error:
        reason = error.reason
        raise MediaError(str(getattr(reason, "strerror", None) or reason)[:100]) from error
    except OSError as error:  # first: a certificate that is wrong is a ValueError, too
        raise MediaError(str(error)[:100] or type(error).__name__) from error
    except (InvalidURL, ValueError) as error:
        raise AddressError from error
    except HTTPException as error:
        raise MediaError(str(error)[:100] or type(error).__name__) from error


class _Cookies(HTTPCookieProcessor):
    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        super().http_response(request, response)
        if len(self.cookiejar) > _MOST_COOKIES:
            self.cookiejar.clear()
        return response

    https_response = http_response


class _Redirects(HTTPRedirectHandler):
    def __init__(self, schemes: tuple[str, ...]) -> None:
        self._schemes = schemes

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in self._schemes:
            raise MediaError(f"redirected to {scheme[:20]}:// (only {', '.join(self._schemes)})")
        fp.close()  # urllib would read it to its end, which may not come
        url, basic = _unlocked(newurl)
        request = super().redirect_request(req, fp, code, msg, headers, url)
        if request is not None and (basic := basic or _kept(req, request)):
            request.add_unredirected_header("Authorization", basic)
        return request


def _kept(before: Request, request: Request) -> str:
    """The password that was told before, where the same host is asked as safely."""
    same = request.host == before.host and request.type in (before.type, "https")
    return before.unredirected_hdrs.get("Authorization", "") if same else ""


def _unlocked(url: str) -> tuple[str, str]:
    """The address without its user and password, as a request can say it, and what they are in a request's header."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    path, query = quote(parts.path, safe=_AS_IT_IS), quote(parts.query, safe=_AS_IT_IS)
    basic = user and f"Basic {b64encode(unquote(user).encode()).decode()}"
    return urlunsplit((parts.scheme, host, path, query, "")), basic


def _clock_s(headers: HTTPMessage) -> float:
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp()
    except (TypeError, ValueError, OverflowError):
        return time()
