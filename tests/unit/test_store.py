"""Claim checks: what is promised is checked, and nothing outside the allow-list is touched."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scanner.core.errors import ClaimRefusedError, ClaimUnavailableError
from scanner.media.store import ObjectStore

PAYLOAD = bytes(range(256)) * 40
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()


@dataclass
class S3:
    """As much of S3 as putting and getting whole objects needs, and a memory of who asked."""

    endpoint: str
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    elsewhere: str = ""
    """where it sends whoever asks"""


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            shop.asked.append(f"PUT {self.path}")
            shop.objects[self.path] = self.rfile.read(int(self.headers["content-length"]))
            self.answer(200, b"")

        def do_GET(self) -> None:
            path, _, signature = self.path.partition("?")
            shop.asked.append(f"GET {path}")
            if "X-Amz-Signature" not in signature:
                self.answer(403, b"")
            elif shop.elsewhere:
                self.answer(307, b"", shop.elsewhere)
            else:
                self.answer(200 if path in shop.objects else 404, shop.objects.get(path, b""))

        def answer(self, status: int, body: bytes, location: str = "") -> None:
            self.send_response(status)
            self.send_header("location", location)
            self.send_header("content-length", str(len(body)))
            self.send_header("etag", '"1"')
            self.send_header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)

        def log_message(
            self,
            format: str,
            *args: object,
        ) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        shop = S3(f"http://127.0.0.1:{server.server_address[1]}")
        for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "REGION": "us-east-1"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield shop
        server.shutdown()
        thread.join()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "claims"
    folder.mkdir()
    return folder


@pytest.fixture
def files(root: Path) -> ObjectStore:
    return ObjectStore(file_roots=[root], max_bytes=1024 * 1024)


@pytest.mark.parametrize("name", ["a.mp4", "cam 1/000012.mp4", "流/100%#?&+.mp4", "a%2fb.mp4"])
def test_what_is_put_into_a_folder_can_be_got(files: ObjectStore, root: Path, name: str) -> None:
    claim = files.put(root.as_uri(), name, PAYLOAD)
    assert (claim.size, claim.sha256) == (len(PAYLOAD), SHA256)
    assert (root / name).read_bytes() == PAYLOAD
    assert files.get(claim.uri, claim.size, claim.sha256) == PAYLOAD


def test_what_is_put_into_a_bucket_can_be_got(s3: S3) -> None:
    store = ObjectStore(s3_buckets=["clips"], s3_endpoint=s3.endpoint)
    claim = store.put("s3://clips/live", "cam 1/000012.mp4", PAYLOAD)
    assert claim.uri == "s3://clips/live/cam%201/000012.mp4"
    assert store.get(claim.uri, claim.size, claim.sha256) == PAYLOAD
    assert list(s3.objects) == ["/clips/live/cam%201/000012.mp4"]


def test_a_store_that_sends_elsewhere_is_not_followed(s3: S3) -> None:
    store = ObjectStore(s3_buckets=["clips"], s3_endpoint=s3.endpoint)
    s3.objects["/clips/secret"] = PAYLOAD
    s3.elsewhere = f"{s3.endpoint}/clips/secret?X-Amz-Signature=1"
    with pytest.raises(ClaimRefusedError, match="redirects are not followed"):
        store.get("s3://clips/a.mp4", len(PAYLOAD), SHA256)
    assert s3.asked == ["GET /clips/a.mp4"]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("file:///etc/passwd", "outside"),
        ("file://{root}/../secret.mp4", "outside"),
        ("file://{root}/%2e%2e/secret.mp4", "outside"),
        ("file://{root}/link.mp4", "outside"),
        ("file://{root}", "outside"),
        ("file://{root}/folder", "not a file"),
        ("file://elsewhere{root}/a.mp4", "claims are file"),
        ("file://{root}/a%00.mp4", "not a path"),
        ("{root}/a.mp4", "claims are file"),
        ("http://127.0.0.1/a.mp4", "claims are file"),
        ("s3://other/a.mp4", "not in a bucket"),
        ("s3://clips/../other/a.mp4", "not a key"),
        ("s3://clips/", "not a key"),
        ("s3://clips/a.mp4?versionId=1", "no query"),
        ("s3://clips@other/a.mp4", "not in a bucket"),
    ],
)
def test_what_is_not_allowed_is_refused_and_not_touched(root: Path, s3: S3, uri: str, reason: str) -> None:
    (root.parent / "secret.mp4").write_bytes(PAYLOAD)
    (root / "link.mp4").symlink_to(root.parent / "secret.mp4")
    (root / "folder").mkdir()
    store = ObjectStore(file_roots=[root], s3_buckets=["clips"], s3_endpoint=s3.endpoint)
    with pytest.raises(ClaimRefusedError, match=reason):
        store.get(uri.format(root=root), len(PAYLOAD), SHA256)
    assert s3.asked == []


def test_a_link_that_comes_after_the_look_is_not_followed(
    files: ObjectStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder below the root is exchanged for a link out of it, between the check and the opening."""
    outside = root.parent / "outside"
    outside.mkdir()
    for folder in (outside, root / "cam"):
        folder.mkdir(exist_ok=True)
        (folder / "a.mp4").write_bytes(PAYLOAD)
    look = files._spot

    def look_and_lose(uri: str) -> object:
        spot = look(uri)
        (root / "cam" / "a.mp4").unlink()
        (root / "cam").rmdir()
        (root / "cam").symlink_to(outside)
        return spot

    monkeypatch.setattr(files, "_spot", look_and_lose)
    with pytest.raises(ClaimRefusedError, match="outside the folders"):
        files.get((root / "cam" / "a.mp4").as_uri(), len(PAYLOAD), SHA256)


def test_nothing_is_allowed_unless_named(root: Path) -> None:
    (root / "a.mp4").write_bytes(PAYLOAD)
    with pytest.raises(ClaimRefusedError, match="outside"):
        ObjectStore().get((root / "a.mp4").as_uri(), len(PAYLOAD), SHA256)
    with pytest.raises(ClaimRefusedError, match="not in a bucket"):
        ObjectStore().get("s3://clips/a.mp4", len(PAYLOAD), SHA256)


def test_putting_where_nobody_may_read_is_refused(files: ObjectStore, root: Path) -> None:
    with pytest.raises(ClaimRefusedError, match="outside"):
        files.put(root.parent.as_uri(), "a.mp4", PAYLOAD)
    with pytest.raises(ClaimRefusedError, match="outside"):
        files.put(root.as_uri(), "../a.mp4", PAYLOAD)
    assert not (root.parent / "a.mp4").exists()


@pytest.mark.parametrize(
    ("size", "sha256", "reason"),
    [
        (len(PAYLOAD) - 1, SHA256, "are there"),
        (len(PAYLOAD) + 1, SHA256, "are there"),
        (len(PAYLOAD), "0" * 64, "the bytes are"),
        (0, SHA256, "from 1 to"),
        (2 * 1024 * 1024, SHA256, "from 1 to"),
    ],
)
def test_a_claim_that_does_not_keep_its_promise_is_refused(
    files: ObjectStore, root: Path, size: int, sha256: str, reason: str
) -> None:
    (root / "a.mp4").write_bytes(PAYLOAD)
    with pytest.raises(ClaimRefusedError, match=reason):
        files.get((root / "a.mp4").as_uri(), size, sha256)


def test_a_large_object_behind_a_small_claim_is_not_read(root: Path) -> None:
    (root / "bomb.mp4").touch()
    with (root / "bomb.mp4").open("r+b") as bomb:
        bomb.truncate(64 * 1024**3)  # sparse
    with pytest.raises(ClaimRefusedError, match="are there"):
        ObjectStore(file_roots=[root]).get((root / "bomb.mp4").as_uri(), 10, SHA256)


def test_an_object_that_is_gone_is_refused(files: ObjectStore, root: Path, s3: S3) -> None:
    with pytest.raises(ClaimRefusedError, match="nothing lies there"):
        files.get((root / "gone.mp4").as_uri(), 1, SHA256)
    with pytest.raises(ClaimRefusedError, match="nothing lies there"):
        ObjectStore(s3_buckets=["clips"], s3_endpoint=s3.endpoint).get("s3://clips/gone.mp4", 1, SHA256)


def test_a_store_that_does_not_answer_may_be_asked_again(root: Path, s3: S3) -> None:
    gone = root / "unmounted"
    with pytest.raises(ClaimUnavailableError, match="is not there"):
        ObjectStore(file_roots=[gone]).get((gone / "a.mp4").as_uri(), 1, SHA256)
    with pytest.raises(ClaimUnavailableError):
        ObjectStore(s3_buckets=["clips"], s3_endpoint="http://127.0.0.1:1").get("s3://clips/a.mp4", 1, SHA256)
