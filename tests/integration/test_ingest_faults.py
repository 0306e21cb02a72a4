"""What goes wrong inside ingestion itself: a damaged spool, a delivery that died or hangs."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from live_parts import TOPIC, MoodyBus, free_port, ingest_of, ingesting, on_topic, wait_until
from prometheus_client import CollectorRegistry

from scanner.cli.app import main
from scanner.core.types import Segment
from scanner.ingest import SourceSpec, source_of
from scanner.ingest.delivery import DeliveryDiedError
from scanner.ingest.heads import Heads
from scanner.ingest.numbering import Session
from scanner.ingest.spool import Spool
from scanner.ports import TopicPlan
from scanner.telemetry import Pulse, serve_metrics
from scanner.wire import segment_record


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


class BrokenBus(MoodyBus):
    """Fails as a defect does, where a broker that is away would say so."""

    def publisher(self) -> Any:
        raise LookupError("a defect")


@pytest.fixture
def _signals() -> Iterator[None]:
    """A verb that runs here takes them over."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals")
def test_the_command_ends_when_its_delivery_died_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bus, served = BrokenBus(), []
    bus.create({TOPIC: TopicPlan(1)})
    left_behind(tmp_path, 2)
    monkeypatch.setattr("scanner.assembly.bus.kafka_bus", lambda *_, **__: bus)
    monkeypatch.setattr("scanner.telemetry.serve_metrics", lambda *given: served.append(given))
    source = f"cam=tcp://127.0.0.1:{free_port()}?listen=1"
    monkeypatch.setattr(sys, "argv", ["scanner", "ingest", source, "--spool", str(tmp_path), "--metrics-port", "9102"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    said = capfd.readouterr().err
    assert "delivery died of LookupError: a defect; 2 segments wait for the next start" in said
    assert "Traceback" in said, "whoever mends it wants to know where"
    assert len(list(tmp_path.glob("*.segment"))) == 2
    ((port, pulse),) = served
    assert (port, isinstance(pulse, Pulse)) == (9102, True)


def test_delivery_that_dies_while_it_drains_is_told_too(tmp_path: Path) -> None:
    bus, stop = BrokenBus(), Event()
    bus.create({TOPIC: TopicPlan(1)})
    left_behind(tmp_path, 1)
    stop.set()
    with pytest.raises(DeliveryDiedError, match="LookupError: a defect; 1 segments wait"):
        ingest_of(bus, tmp_path).run(stop, lambda: None)


class HangingBus(MoodyBus):
    """Does not come back while it is held."""

    def __init__(self) -> None:
        super().__init__()
        self.free = Event()

    def publisher(self) -> Any:
        self.free.wait(60)
        return super().publisher()


def livez(port: int) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_delivery_that_hangs_is_not_alive_until_it_goes_on(tmp_path: Path) -> None:
    bus = HangingBus()
    bus.create({TOPIC: TopicPlan(1)})
    left_behind(tmp_path, 2)
    with ingesting(bus, tmp_path) as ingest:
        port = serve_metrics(0, ingest.pulse, CollectorRegistry())
        assert livez(port) == 200
        ingest._delivery.pulse._patience_s = 0.7
        wait_until(lambda: livez(port) == 503)
        assert not ingest.pulse.ready
        bus.free.set()
        wait_until(lambda: livez(port) == 200)
        wait_until(lambda: len(on_topic(bus)) == 2)


def test_a_watch_over_the_sources_that_hangs_is_not_alive_until_it_goes_on(bus: MoodyBus, tmp_path: Path) -> None:
    with ingesting(bus, tmp_path) as ingest:
        port = serve_metrics(0, ingest.pulse, CollectorRegistry())
        with ingest._lock:
            ingest.pulse._patience_s = 1.5
            wait_until(lambda: livez(port) == 503)
        wait_until(lambda: livez(port) == 200)


def test_a_broker_that_is_away_is_no_reason_to_be_restarted(bus: MoodyBus, tmp_path: Path) -> None:
    bus.away = True
    left_behind(tmp_path, 1)
    turned = set()
    with ingesting(bus, tmp_path) as ingest:

        def turns() -> bool:
            turned.add(ingest._delivery.pulse._turned_s)
            return ingest.status.broker == "away" and len(turned) > 3

        wait_until(turns)
        assert ingest.pulse.alive
        bus.away = False


def test_reading_a_long_topic_is_a_sign_of_life(bus: MoodyBus, tmp_path: Path) -> None:
    publisher, payload = bus.publisher(), b"video"
    for number in range(1000):
        digest = sha256(payload).hexdigest()
        publisher.publish(segment_record(Segment("cam", number, number, payload, digest, captured_at_ms=number), TOPIC))
    publisher.flush(5)
    turns: list[float] = []
    heads = Heads(bus, TOPIC, tmp_path / "heads.json")
    heads.learn({"cam"}, lambda: turns.append(time.monotonic()))
    head = heads["cam"]
    assert head is not None
    assert head.sequence == 999
    assert len(turns) >= 5
