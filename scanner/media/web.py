"""Claims over HTTPS: from hosts that the operator named, at the very address that was checked, and nowhere else.

uri ─ host allowed? ─▶ names resolved once ─ every address public? ─▶ TLS to that address, for that name ─▶ bytes
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from time import monotonic
from urllib.parse import SplitResult, urlsplit

from scanner.core.errors import ClaimRefusedError, ClaimUnavailableError

_PLAIN_PORT, _TLS_PORT = 80, 443
_CHUNK_BYTES = 1024 * 1024
GONE = frozenset((401, 403, 404, 410, 451))
"""answers of a web host that mean: not for us, not now and not later"""
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class WebLimits:
    """How far a fetch may go."""

    seconds: float = 30.0
    """for all of it: name, connection, every byte"""
    private_addresses: bool = False
    """whether an allowed host may lie in a private, loopback or link-local range"""
    ca_file: Path | None = None
    """authorities that vouch for the hosts, PEM; None: those of this machine"""


class Web:
    """Gets whole objects over HTTPS. Follows no redirect, uses no proxy, keeps no connection."""

    def __init__(self, hosts: Iterable[str], limits: WebLimits | None = None) -> None:
        """`hosts` are names, or name:port for a port other than 443."""
        self._hosts = frozenset(host.lower() if ":" in host else f"{host.lower()}:{_TLS_PORT}" for host in hosts)
        self._limits = limits or WebLimits()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._limits.ca_file)

    def get(self, uri: str, size: int) -> bytes:
        """Exactly `size` bytes. Raises ClaimRefusedError or ClaimUnavailableError."""
        with _ours(uri):
            parts = urlsplit(uri)
            if parts.username is not None or parts.password is not None:
                raise ClaimRefusedError(f"{uri}: a claim carries no user and no password")
            if f"{parts.hostname}:{parts.port or _TLS_PORT}" not in self._hosts:
                raise ClaimRefusedError(f"{uri}: not on a host that claims.https_hosts names")
        return self.fetch(uri, size, called=uri)

    def fetch(self, url: str, size: int, *, called: str, gone: frozenset[int] = GONE) -> bytes:
        """As `get`, from an address that the operator chose, by HTTP too if they chose that.

        Args:
            called: what errors call it.
            gone: answers by which there is nothing to wait for.
        """
        deadline = monotonic() + self._limits.seconds
        with _ours(called):
            parts = urlsplit(url)
            tls = None if parts.scheme == "http" else self._tls
            host, port = parts.hostname or "", parts.port or (_TLS_PORT if tls else _PLAIN_PORT)
            connection = _Pinned(host, port, self._address(called, host, port), tls, deadline)
            with _ended_at(deadline, connection):
                try:
                    connection.request("GET", _target(parts), headers={"Accept-Encoding": "identity"})
                    return _read(called, connection.getresponse(), size, gone)
                finally:
                    connection.close()

    def _address(self, called: str, host: str, port: int) -> str:
        """The first address of the name; refused when any of them leads where it must not."""
        found = [str(place[4][0]) for place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        for address in found:
            if not self._limits.private_addresses and not is_public(address):
                raise ClaimRefusedError(f"{called}: {host} lies at {address}, which is no public address")
        return found[0]


class _Pinned(http.client.HTTPConnection):
    """A connection to one address, with TLS for the name: the name is not looked up a second time."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext | None, deadline: float) -> None:
        super().__init__(host, port)
        self.default_port = _TLS_PORT if tls else _PLAIN_PORT  # not told in the Host header, as it is not signed
        self._address = address
        self._tls = tls
        self._deadline = deadline

    def connect(self) -> None:
        left = max(0.001, self._deadline - monotonic())
        self.sock = socket.create_connection((self._address, self.port), left)
        if self._tls:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)


def is_public(address: str) -> bool:
    """Whether anybody on the Internet may be meant; an IPv4 address inside an IPv6 one is looked at, too."""
    outer = ip_address(address.partition("%")[0])
    return all(place.is_global and not place.is_multicast for place in _meant(outer))


def _meant(address: Address) -> Iterator[Address]:
    yield address
    if isinstance(address, IPv6Address):
        teredo = address.teredo
        inner = (address.ipv4_mapped, address.sixtofour, teredo and teredo[1])
        yield from (place for place in inner if place)
        if address in _NAT64:
            yield IPv4Address(int(address) & 0xFFFFFFFF)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _read(uri: str, answer: http.client.HTTPResponse, size: int, gone: frozenset[int]) -> bytes:
    if answer.status in gone:
        raise ClaimRefusedError(f"{uri}: nothing lies there for us (HTTP {answer.status})")
    if 300 <= answer.status < 400:
        raise ClaimRefusedError(f"{uri}: leads elsewhere (HTTP {answer.status}); redirects are not followed")
    if answer.status != http.HTTPStatus.OK:
        raise ClaimUnavailableError(f"{uri}: HTTP {answer.status} {answer.reason:.100}")
    if answer.length is not None and answer.length != size:
        raise ClaimRefusedError(f"{uri}: {size} bytes claimed, {answer.length} are there")
    payload = bytearray()
    while len(payload) <= size and (chunk := answer.read(min(_CHUNK_BYTES, size + 1 - len(payload)))):
        payload += chunk
    if len(payload) != size:
        more = "more" if len(payload) > size else f"only {len(payload)}"
        raise ClaimRefusedError(f"{uri}: {size} bytes claimed, {more} came")
    return bytes(payload)


@contextmanager
def _ended_at(deadline: float, connection: http.client.HTTPConnection) -> Iterator[None]:
    """A server that sends a byte now and then keeps every timeout of a socket away, but not this one."""

    def end() -> None:
        if connection.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # TLS's own would unwrap what is being read

    timer = threading.Timer(max(0.0, deadline - monotonic()), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except ClaimRefusedError as error:
        if monotonic() < deadline:
            raise
        raise TimeoutError("too slow") from error  # what came until then says nothing about the claim
    finally:
        timer.cancel()


@contextmanager
def _ours(uri: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:  # first: a certificate that is wrong is a ValueError, too
        if isinstance(error, http.client.InvalidURL):
            raise ClaimRefusedError(f"{uri}: {error}") from error
        raise ClaimUnavailableError(f"{uri}: {str(error) or type(error).__name__:.200}") from error
    except ValueError as error:
        raise ClaimRefusedError(f"{uri}: {error}") from error
