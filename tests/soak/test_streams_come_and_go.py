"""A worker process through which streams come and go: memory, threads and file descriptors stay flat.

pytest -m soak tests/soak -s                      30 minutes, 5,000 streams
SCANNER_SOAK_S=240 pytest -m soak tests/soak -s   shorter, the same streams
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from chaos_worker import Orders, run
from crew import FORKS, topics_on, wait_for_no_lag

from scanner import wire
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.types import Segment
from scanner.ports import Record
from scanner.verify import verify

pytestmark = [pytest.mark.soak, pytest.mark.kafka, pytest.mark.timeout(7200)]

STREAMS = 5000
AT_ONCE = 20
SEGMENTS = 3  # of each stream
GROWTH_MIB = 10.0


@dataclass(frozen=True)
class Use:
    """What a process holds."""

    rss_mib: float
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Use:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"]), descriptors)


def records(topic: str) -> Iterator[Record]:
    """Some streams at once; when one ends another begins. Every tenth vanishes without an end."""
    for first in range(0, STREAMS, AT_ONCE):
        for sequence in range(SEGMENTS):
            for number in range(first, first + AT_ONCE):
                payload = f"good {number % 200 + sequence} ".encode() + bytes(20_000)
                ends = sequence == SEGMENTS - 1 and number % 10 > 0
                digest = hashlib.sha256(payload).hexdigest()
                at_ms = sequence * 2000
                segment = Segment(f"live-{number}", sequence, at_ms, payload, digest, end_of_stream=ends)
                yield wire.segment_record(segment, topic)


def test_a_worker_stays_as_it_is(tmp_path: Path) -> None:
    for_s = float(os.environ.get("SCANNER_SOAK_S", "1800"))
    with LocalBroker(tmp_path / "broker") as broker:
        bus = KafkaBus(KafkaConfig((broker.bootstrap,)))
        topics = topics_on(bus)
        log = str(tmp_path / "worker.log")
        orders = Orders(broker.bootstrap, topics, "soak", "slot", log, forget_after_s=for_s / 20)
        ready = FORKS.Event()
        process = FORKS.Process(target=run, args=(orders, ready), daemon=True)
        process.start()
        assert ready.wait(60)
        assert process.pid
        uses: list[Use] = []
        began = time.monotonic()
        every_s = for_s / (STREAMS * SEGMENTS)
        with closing(bus.publisher()) as publisher:
            for number, each in enumerate(records(topics.segments)):
                publisher.publish(each)
                time.sleep(max(0.0, began + number * every_s - time.monotonic()))
                if number % (STREAMS * SEGMENTS // 20) == 0:
                    uses.append(Use.of(process.pid))
                    print(f"\n{time.monotonic() - began:.0f} s, {number} segments: {uses[-1]}", end="")
            publisher.flush(30)
        wait_for_no_lag(bus, topics, "soak", 600)
        uses.append(Use.of(process.pid))
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
        assert process.exitcode == 0
        proof = verify(bus, topics, "soak")
    warm, end = uses[len(uses) // 4], uses[-1]
    print(f"\n{STREAMS} streams, {proof.segments} segments: {warm} became {end}")
    assert (proof.holds, proof.pending, proof.segments) == (True, 0, STREAMS * SEGMENTS)
    assert end.rss_mib - warm.rss_mib < GROWTH_MIB
    assert end.threads <= warm.threads + 1
    assert end.descriptors <= warm.descriptors + 3
