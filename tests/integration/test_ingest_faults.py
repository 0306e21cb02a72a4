"""What goes wrong inside ingestion itself: a damaged spool, a delivery that died or hangs."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from live_parts import MoodyBus, free_port, ingesting, on_topic, wait_until

from scanner.core.types import Segment
from scanner.ingest import SourceSpec, source_of
from scanner.ingest.numbering import Session
from scanner.ingest.spool import Spool


def waiting() -> SourceSpec:
    """A source named cam that waits for a push which never comes."""
    return source_of(f"cam=tcp://127.0.0.1:{free_port()}?listen=1")


def left_behind(folder: Path, count: int) -> list[Path]:
    """Segments of cam that another process spooled."""
    spool = Spool(folder, 10_000)
    for number in range(count):
        payload = b"video %d" % number
        digest = sha256(payload).hexdigest()
        spool.put(Segment("cam", 0, number, payload, digest, captured_at_ms=1 + number), Session("a", number))
    spool.close()
    return sorted(folder.glob("*.segment"))


def test_a_start_on_a_damaged_spool_delivers_the_rest_and_counts_the_loss(bus: MoodyBus, tmp_path: Path) -> None:
    paths = left_behind(tmp_path, 4)
    paths[1].write_bytes(b"")
    paths[2].write_bytes(paths[2].read_bytes()[:-1])
    with ingesting(bus, tmp_path, waiting()) as ingest:
        wait_until(lambda: len(on_topic(bus)) == 2)
        wait_until(lambda: ingest.status.sources()[0]["lost"] == 2)
    assert [(segment.sequence, segment.payload) for segment in on_topic(bus)] == [(0, b"video 0"), (3, b"video 3")]
    assert [path.name for path in tmp_path.glob("*-*")] == [paths[1].with_suffix(".damaged").name]
