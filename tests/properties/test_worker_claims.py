"""A claim that its store never hands over: waited for, but not for ever, and redriven when the store is back."""

from __future__ import annotations

import hashlib
import threading
import time

import pytest
from prometheus_client import CollectorRegistry
from scripted import pipeline
from works import TOPICS, lag, published, read

from scanner import letters, wire
from scanner.bus.memory import MemoryBus
from scanner.core.errors import ClaimUnavailableError
from scanner.core.types import Claim, Mode, Segment
from scanner.ledger import Debt
from scanner.ports import Delivery
from scanner.redrive import Wanted, redrive
from scanner.redrive import letters as found_letters
from scanner.telemetry import Metrics
from scanner.verify import verify
from scanner.worker import Rules, Worker
from scanner.worker.looking import Looker
from scanner.worker.streams import Job

PAYLOAD = b"good 7"
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.worker.looking.BACKOFF_S", (0.01, 0.05))


class Store:
    """Refuses to say what lies there, until it is told who asks."""

    def __init__(self) -> None:
        self.open = False
        self.asked = 0

    def get(self, uri: str, size: int, sha256: str) -> bytes:
        self.asked += 1
        if not self.open:
            raise ClaimUnavailableError(f"{uri}: 403 Forbidden")
        assert (size, sha256) == (len(PAYLOAD), DIGEST)
        return PAYLOAD


def claimed(sequence: int) -> Segment:
    claim = Claim("s3://bucket/gone", len(PAYLOAD), DIGEST)
    return Segment("claims", sequence, sequence * 2000, b"", DIGEST, claim=claim)


def worked(bus: MemoryBus, store: Store, registry: CollectorRegistry, wait_s: float) -> list[float]:
    """Runs a worker until nothing is left. How many looks waited, now and then."""
    stop = threading.Event()
    rules = Rules(
        TOPICS, "group", None, lookers=2, commit_interval_s=0.0, drain_s=5, claim_wait_s=wait_s, stuck_after_s=0.2
    )

    def run() -> None:
        with pipeline() as parts:
            Worker(bus, parts, store, Metrics(registry), rules).run(stop)

    thread = threading.Thread(target=run)
    thread.start()
    deadline, waited = time.monotonic() + 60, []
    while lag(bus):
        assert time.monotonic() < deadline
        waited.append(registry.get_sample_value("scanner_looks_waiting") or 0.0)
        time.sleep(0.005)
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    return waited


def test_a_claim_that_nobody_hands_over_becomes_a_dead_letter_and_its_partition_goes_on() -> None:
    bus, store, registry = published([], 1, partitions=1), Store(), CollectorRegistry()
    for sequence in range(4):  # more than there are lookers
        bus.publisher().publish(wire.segment_record(claimed(sequence), TOPICS.segments))
    inline = Segment("inline", 0, 0, PAYLOAD, DIGEST)
    bus.publisher().publish(wire.segment_record(inline, TOPICS.segments))
    waited = worked(bus, store, registry, wait_s=0.5)
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.verdicts, proof.dead_letters) == (True, 1, 4), proof.findings
    told = letters.rejected_of(read(bus, TOPICS.deadletters)[0].record)
    assert (told.stage, told.disposition) == ("claim", "timeout")
    assert told.error.endswith("ClaimUnavailableError")
    assert "403 Forbidden (asked again and again for" in told.message
    assert max(waited) == 1, "a stream's segments go one after another"
    assert not registry.get_sample_value("scanner_partitions_stuck_total", {"remedy": "report"})

    store.open = True
    redrive(bus, TOPICS, found_letters(bus, TOPICS, Wanted(stage="claim")), dry=False, told=lambda *_: None)
    worked(bus, store, registry=CollectorRegistry(), wait_s=0.5)
    proof = verify(bus, TOPICS, "group")
    assert (proof.holds, proof.verdicts, proof.dead_letters) == (True, 5, 4), proof.findings


@pytest.mark.parametrize(("wait_s", "least"), [(0.0, 1), (0.4, 4)])
def test_a_store_is_asked_for_as_long_as_the_setting_says(wait_s: float, least: int) -> None:
    store, segment = Store(), claimed(0)
    job = Job(Debt(Delivery(wire.segment_record(segment, TOPICS.segments), 0, 0, 0), 0.0), segment)
    began_s = time.monotonic()
    with pipeline() as parts:
        looker = Looker(parts, store, wait_s)
        with pytest.raises(ClaimUnavailableError):
            looker.look(job, Mode.FULL)
    assert wait_s - 0.06 <= time.monotonic() - began_s < wait_s + 5
    assert store.asked >= least
    assert looker.waiting == 0
