"""Claims over HTTPS against a TLS server on this machine: allowed hosts only, pinned, bounded in time and bytes."""

from __future__ import annotations

import hashlib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scanner.core.errors import ClaimRefusedError, ClaimUnavailableError
from scanner.media.store import ObjectStore
from scanner.media.web import Web, WebLimits, is_public

sys.path.insert(0, str(Path(__file__).parent))
from certificates import Certificate, certificate

PAYLOAD = bytes(range(256)) * 40
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


@dataclass
class Shop:
    host: str
    limits: WebLimits
    asked: list[str] = field(default_factory=list)

    def web(self, **changed: object) -> Web:
        return Web([self.host], replace(self.limits, **changed))

    def store(self) -> ObjectStore:
        return ObjectStore(https_hosts=[self.host], https_limits=self.limits)

    def uri(self, path: str) -> str:
        return f"https://{self.host}/{path}"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def server(papers: Certificate) -> Iterator[Shop]:  # noqa: C901 - a branch for each thing that a host may do
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(f"{self.headers['host']}{self.path}")
            name = self.path.split("?")[0].strip("/")
            match name:
                case "a.mp4":
                    self.told(200, PAYLOAD)
                case "endless" | "drip":
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.go_on(name == "drip")
                case "short":
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(PAYLOAD)))
                    self.end_headers()
                    self.wfile.write(PAYLOAD[:100])
                    self.close_connection = True
                case "elsewhere":
                    self.told(302, b"", Location="http://169.254.169.254/latest/meta-data/")
                case code if code.isdigit():
                    self.told(int(code), b"")
                case "headers":
                    self.slow_headers()

        def told(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def go_on(self, slowly: bool) -> None:
            try:
                for _ in range(1000):
                    self.wfile.write(b"1\r\nx\r\n" if slowly else b"1000\r\n" + bytes(4096) + b"\r\n")
                    time.sleep(0.05 if slowly else 0)
            except OSError:
                pass
            self.close_connection = True

        def slow_headers(self) -> None:
            try:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                for number in range(100):
                    self.wfile.write(f"X-{number}: y\r\n".encode())
                    time.sleep(0.05)
            except OSError:
                pass
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(papers.chain, papers.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        listening.handle_error = lambda *_: None
        listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        limits = WebLimits(seconds=10, private_addresses=True, ca_file=papers.authority)
        yield Shop(f"localhost:{listening.server_address[1]}", limits, asked)
        listening.shutdown()
        thread.join()


def test_what_lies_on_an_allowed_host_is_got_and_checked(server: Shop) -> None:
    assert server.store().get(server.uri("a.mp4"), len(PAYLOAD), SHA256) == PAYLOAD
    assert server.store().get(server.uri("a.mp4?signature=1%2F2"), len(PAYLOAD), SHA256) == PAYLOAD
    assert server.asked[-1] == f"{server.host}/a.mp4?signature=1%2F2"
    with pytest.raises(ClaimRefusedError, match="the bytes are"):
        server.store().get(server.uri("a.mp4"), len(PAYLOAD), "0" * 64)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("https://elsewhere.example/a.mp4", "not on a host"),
        ("https://localhost/a.mp4", "not on a host"),
        ("https://{host}.example/a.mp4", "not on a host|Port could not"),
        ("https://x:y@{host}/a.mp4", "no user"),
        ("https://{host}@elsewhere.example/a.mp4", "no user"),
        ("https://elsewhere.example#@{host}/a.mp4", "not on a host"),
        ("https://localhost:99999/a.mp4", "Port out of range"),
        ("https:///a.mp4", "not on a host"),
        ("https://{host}/a.mp4\r\nX: y", "not on a host|control characters|can't contain"),
        ("https://{host}/a b.mp4", "control characters|can't contain"),
        ("http://{host}/a.mp4", "claims are"),
    ],
)
def test_what_is_not_allowed_is_not_asked(server: Shop, uri: str, words: str) -> None:
    before = list(server.asked)
    with pytest.raises(ClaimRefusedError, match=words):
        server.store().get(uri.format(host=server.host), len(PAYLOAD), SHA256)
    assert server.asked == before


def test_nobody_is_asked_unless_named(server: Shop) -> None:
    with pytest.raises(ClaimRefusedError, match="not on a host"):
        ObjectStore().get(server.uri("a.mp4"), len(PAYLOAD), SHA256)


def test_a_name_that_leads_into_a_private_range_is_refused(server: Shop) -> None:
    before = list(server.asked)
    with pytest.raises(ClaimRefusedError, match=r"localhost lies at .*, which is no public address"):
        server.web(private_addresses=False).get(server.uri("a.mp4"), len(PAYLOAD))
    assert server.asked == before


def test_a_name_is_looked_up_once(server: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name whose second answer is another address (DNS rebinding) is of no use."""
    real, calls = socket.getaddrinfo, []

    def rebinding(host: str, *rest: object, **named: object) -> object:
        calls.append(host)
        return real("127.0.0.1" if calls.count(host) == 1 else "127.0.0.9", *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert server.web().get(server.uri("a.mp4"), len(PAYLOAD)) == PAYLOAD
    assert [host for host in calls if host == "localhost"] == ["localhost"]


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("elsewhere", ClaimRefusedError, "redirects are not followed"),
        ("404", ClaimRefusedError, "HTTP 404"),
        ("403", ClaimRefusedError, "HTTP 403"),
        ("503", ClaimUnavailableError, "HTTP 503"),
        ("429", ClaimUnavailableError, "HTTP 429"),
        ("endless", ClaimRefusedError, "more came"),
        ("short", (ClaimRefusedError, ClaimUnavailableError), "only 100|IncompleteRead"),
    ],
)
def test_what_a_host_may_answer(server: Shop, path: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        server.web().get(server.uri(path), len(PAYLOAD))


@pytest.mark.parametrize("path", ["drip", "headers"])
def test_a_host_that_drips_is_left_in_time(server: Shop, path: str) -> None:
    since = time.monotonic()
    with pytest.raises(ClaimUnavailableError):
        server.web(seconds=0.6).get(server.uri(path), len(PAYLOAD))
    assert time.monotonic() - since < 4


def test_a_size_that_is_not_there_is_refused_before_it_is_read(server: Shop) -> None:
    with pytest.raises(ClaimRefusedError, match="10240 are there"):
        server.web().get(server.uri("a.mp4"), 100)


def test_a_host_that_proves_nothing_gets_nothing(server: Shop, tmp_path: Path) -> None:
    before = list(server.asked)
    other = certificate(tmp_path)
    for limits in (replace(server.limits, ca_file=other.authority), replace(server.limits, ca_file=None)):
        with pytest.raises(ClaimUnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
            Web([server.host], limits).get(server.uri("a.mp4"), len(PAYLOAD))
    port = server.host.partition(":")[2]
    with pytest.raises(ClaimUnavailableError, match=r"not valid for|CERTIFICATE_VERIFY_FAILED"):
        Web([f"127.0.0.1:{port}"], server.limits).get(f"https://127.0.0.1:{port}/a.mp4", len(PAYLOAD))
    assert server.asked == before


def test_a_host_that_is_away_may_be_asked_again(server: Shop) -> None:
    with pytest.raises(ClaimUnavailableError):
        Web(["localhost:1"], server.limits).get("https://localhost:1/a.mp4", 1)
    with pytest.raises(ClaimUnavailableError):
        Web(["nowhere.invalid"], server.limits).get("https://nowhere.invalid/a.mp4", 1)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("127.0.0.1", False),
        ("10.0.0.1", False), ("192.168.1.1", False), ("172.16.0.1", False), ("169.254.169.254", False),
        ("100.64.0.1", False), ("0.0.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False),
        ("::", False), ("fe80::1%eth0", False), ("fd00::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False), ("2002:7f00:1::", False), ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::5db8:d70e", True), ("ff02::1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) == public
