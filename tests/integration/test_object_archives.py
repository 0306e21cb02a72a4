"""Archives in stores: in memory, on disk, and behind an S3-compatible server."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import LocalStore, MemoryStore, S3Store

from scanner.core.errors import MediaError, StoreUnavailableError
from scanner.media.objects import ObjectArchive
from scanner.testing import draw_video

KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


@pytest.fixture(params=["memory", "disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryStore | LocalStore | S3Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "disk":
        return LocalStore(tmp_path / "store", mkdir=True)
    return bucket(request.getfixturevalue("s3_server"), f"films-{time.monotonic_ns()}")


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("wb") as told:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=told, stderr=told
        )
        try:
            deadline = time.monotonic() + 60
            while not listens(port):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def bucket(endpoint: str, name: str) -> S3Store:
    subprocess.run(["curl", "-sf", "-X", "PUT", f"{endpoint}/{name}"], check=True)
    config: Any = {
        "endpoint": endpoint,
        "access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
        "secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"],
        "region": KEYS["AWS_REGION"],
    }
    return S3Store(name, config=config, client_options={"allow_http": True})


def test_what_lies_below_a_prefix_is_listed_by_name_and_one_object_alone(store: Any) -> None:
    for key in ("a/b.mp4", "a/c/d.mp4", "ab.mp4", "a.txt"):
        obstore.put(store, key, key.encode())
    archive = ObjectArchive(store, "s3://films")
    assert [(each.uri, each.size) for each in archive.listed("a")] == [
        ("s3://films/a/b.mp4", 7),
        ("s3://films/a/c/d.mp4", 9),
    ]
    assert [each.key for each in archive.listed("")] == ["a.txt", "a/b.mp4", "a/c/d.mp4", "ab.mp4"]
    assert [each.key for each in archive.listed("ab.mp4")] == ["ab.mp4"]
    assert all(each.etag for each in archive.listed(""))


def test_an_object_is_fetched_whole_and_every_byte_is_accounted_for(store: Any, tmp_path: Path) -> None:
    payload = os.urandom(3_000_000)
    obstore.put(store, "film.mp4", payload)
    archive, told = ObjectArchive(store, "s3://films"), []
    (stored,) = archive.listed("film.mp4")
    assert archive.fetch(stored, tmp_path / "film", told.append) == hashlib.sha256(payload).hexdigest()
    assert (tmp_path / "film").read_bytes() == payload
    assert sum(told) == 3_000_000
    assert max(told) < 3_000_000, "piece by piece, so that a bandwidth can be kept"


def test_an_answer_that_breaks_off_is_taken_up_where_it_ended(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload = os.urandom(5_000_000)
    obstore.put(store, "film.mp4", payload)
    archive, asked = ObjectArchive(store, "s3://films"), []
    plain = archive._asked

    def torn(stored: Any, start: int) -> Iterator[bytes]:
        asked.append(start)
        for piece in plain(stored, start):
            if len(asked) < 4:
                yield piece[:700_000]
                raise ConnectionResetError("torn")
            yield piece

    monkeypatch.setattr("scanner.media.objects.ObjectArchive._asked", lambda _, *given: torn(*given))
    (stored,) = archive.listed("film.mp4")
    assert archive.fetch(stored, tmp_path / "film") == hashlib.sha256(payload).hexdigest()
    assert (tmp_path / "film").read_bytes() == payload
    assert len(asked) == 4
    assert asked == sorted(set(asked)), "no byte is asked for twice"


def test_an_object_that_was_changed_or_removed_since_it_was_listed_is_told(store: Any, tmp_path: Path) -> None:
    obstore.put(store, "film.mp4", b"one")
    obstore.put(store, "gone.mp4", b"one")
    archive = ObjectArchive(store, "s3://films")
    film, gone = archive.listed("")
    time.sleep(0.01)  # a folder tells versions apart by time
    obstore.put(store, "film.mp4", b"two, longer")
    obstore.delete(store, "gone.mp4")
    with pytest.raises(MediaError, match=r"was changed since it was listed|has 11 bytes"):
        archive.fetch(film, tmp_path / "film")
    with pytest.raises(MediaError, match="nothing lies there"):
        archive.fetch(gone, tmp_path / "gone")


def test_a_store_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    from scanner.media.objects import archive_at

    archive, key = archive_at("s3://films/a", "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailableError, match="s3://films/a: "):
        list(archive.listed(key))


@contextmanager
def replayed(endpoint: str, out: Path, *more: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "scanner", "replay", *more, "--out", str(out), "--json", "--no-cache"]
    environment = {**os.environ, **KEYS, "SCANNER_CLAIMS__S3_ENDPOINT": endpoint, "SCANNER_SCAN__CELLS": "2"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=200, check=False)
    assert done.returncode in {0, 3}, done.stderr.decode()
    yield json.loads(done.stdout.splitlines()[-1])


def said(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    declared = {"timing_ms", "source", "uri"}
    return [{name: value for name, value in line.items() if name not in declared} for line in lines]


def test_an_archive_behind_an_s3_server_is_replayed_as_if_it_lay_here(s3_server: str, tmp_path: Path) -> None:
    films = tmp_path / "films"
    (films / "more").mkdir(parents=True)
    for number, name in enumerate(("1.mp4", "more/2.mp4")):
        (films / name).write_bytes(draw_video(frames=50, gop=25, seed=number))
    (films / "broken.mp4").write_text("not a video")
    store = bucket(s3_server, "archive")
    for file in films.rglob("*.mp4"):
        obstore.put(store, f"2026/{file.relative_to(films)}", file.read_bytes())
    obstore.put(store, "2026/notes.txt", b"no video")
    with replayed(s3_server, tmp_path / "here", str(films)) as told:
        assert (told["files"], told["failed"]) == (3, 1)
    with replayed(s3_server, tmp_path / "there", "s3://archive/2026") as told:
        assert (told["files"], told["done"], told["failed"]) == (3, 3, 1)
    here, there = said(tmp_path / "here"), said(tmp_path / "there")
    assert [line for line in there if line.get("type") != "error"] == [
        line for line in here if line.get("type") != "error"
    ]
    (failure,) = (line for line in there if line.get("type") == "error")
    assert failure["reason"].startswith("s3://archive/2026/broken.mp4: cannot be read as video")
    assert not list((tmp_path / "there" / "fetched").iterdir())
    obstore.put(store, "2026/1.mp4", draw_video(frames=50, gop=25, seed=9))
    with replayed(s3_server, tmp_path / "there", "s3://archive/2026") as told:
        assert (told["done"], told["done_before"]) == (3, 2)
    manifest = tmp_path / "list.csv"
    manifest.write_text("uri,stream_id\ns3://archive/2026/more/2.mp4,two\ns3://archive/2026/none.mp4,none\n")
    with replayed(s3_server, tmp_path / "listed", "--manifest", str(manifest)) as told:
        assert (told["files"], told["failed"], told["segments"]) == (2, 1, 1)
