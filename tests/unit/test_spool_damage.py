"""What a power loss leaves of the spool: damage is set aside and told, the rest is delivered."""

from __future__ import annotations

import json
import os
import re
from hashlib import sha256
from pathlib import Path

import pytest

from scanner.core.types import Declared, Segment
from scanner.ingest.numbering import Session
from scanner.ingest.spool import Spool, read

HEAD = {
    "stream_id": "cam",
    "sequence": 1,
    "start_ms": 1,
    "sha256": sha256(b"video").hexdigest(),
    "content_type": "video/mp4",
    "captured_at_ms": 1,
    "end_of_stream": False,
    "aigc": None,
    "c2pa": None,
    "session": "a",
}


def segment(captured: int) -> Segment:
    digest = sha256(b"video").hexdigest()
    declared = Declared('{"Label":"1"}', "manifest")
    return Segment("cam", 0, captured, b"video", digest, captured_at_ms=captured, declared=declared)


def left_behind(folder: Path) -> list[Path]:
    """By a process that lost its power: three segments."""
    spool = Spool(folder, 10_000)
    for number in range(3):
        spool.put(segment(number), Session("a", number))
    spool.close()
    return sorted(folder.glob("*.segment"))


def test_what_is_spooled_comes_back_as_it_was(tmp_path: Path) -> None:
    left_behind(tmp_path)
    spool = Spool(tmp_path, 10_000)
    (first, *_) = spool.take(10_000, 0)
    kept, session = read(first)
    assert (kept.declared, kept.captured_at_ms, kept.payload) == (segment(0).declared, 0, b"video")
    assert (session, spool.damaged) == (Session("a", 0), [])
    spool.close()


DAMAGE = pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "its head: Invalid JSON: EOF"),
        (json.dumps(HEAD).encode()[:40], "its head: Invalid JSON: EOF"),
        (bytes(4096), "its head: Invalid JSON"),
        (b"[1, 2]\nvideo", "its head: Input should be"),
        (json.dumps({**HEAD, "watermark": "x"}).encode() + b"\nvideo", "watermark: Unexpected keyword argument"),
        (
            json.dumps({name: HEAD[name] for name in HEAD if name != "aigc"}).encode() + b"\nvideo",
            "aigc: Field required",
        ),
        (json.dumps({**HEAD, "start_ms": "1"}).encode() + b"\nvideo", "start_ms: Input should be a valid integer"),
    ],
    ids=["empty", "half a head", "zeros", "no object", "a later head", "an earlier head", "another type"],
)


@DAMAGE
def test_a_file_that_was_damaged_is_set_aside_and_the_rest_delivered(tmp_path: Path, content: bytes, why: str) -> None:
    path = left_behind(tmp_path)[1]
    path.write_bytes(content)
    spool = Spool(tmp_path, 10_000)
    assert [read(spooled)[0].captured_at_ms for spooled in spool.take(10_000, 0)] == [0, 2]
    (damaged,) = spool.damaged
    assert damaged.path == path.with_suffix(".damaged")
    assert damaged.path.read_bytes() == content
    assert damaged.why.startswith(f"{path} was damaged: {why}")
    assert damaged.stream_among(["door", "cam"]) == "cam"
    assert damaged.stream_among(["door"]) == sha256(b"cam").hexdigest()[:12]
    spool.close()
    again = Spool(tmp_path, 10_000)
    assert (len(again), again.damaged) == (2, [])
    again.close()


@DAMAGE
def test_a_file_that_is_damaged_while_it_waits_is_told(tmp_path: Path, content: bytes, why: str) -> None:
    path = left_behind(tmp_path)[1]
    spool = Spool(tmp_path, 10_000)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(why)):
        read(spool.take(10_000, 0)[1])
    spool.close()


def test_a_new_segment_takes_no_number_of_one_that_was_set_aside(tmp_path: Path) -> None:
    left_behind(tmp_path)[-1].write_bytes(b"")
    for _ in range(2):
        spool = Spool(tmp_path, 10_000)
        spool.put(segment(3), Session("a", 3))
        spool.close()
    assert [path.name[:12] for path in sorted(tmp_path.glob("*-*"))] == [f"{number:012}" for number in range(5)]


def test_what_was_put_survives_a_power_loss_and_delivery_does_not_wait_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, 10_000)
    synced: list[tuple[Path, int]] = []
    monkeypatch.setattr(
        os, "fsync", lambda opened: synced.append((Path(f"/proc/self/fd/{opened}").readlink(), len(spool)))
    )
    spool.put(segment(0), Session("a", 0))
    (path,) = tmp_path.glob("*.segment")
    assert synced == [(path, 1), (tmp_path, 1)]
    spool.close()


def test_a_disk_that_does_not_sync_loses_no_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(opened: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", refused)
    spool = Spool(tmp_path, 10_000)
    assert spool.put(segment(0), Session("a", 0)) == []
    assert [read(spooled)[0].payload for spooled in spool.take(10_000, 0)] == [b"video"]
    spool.close()
