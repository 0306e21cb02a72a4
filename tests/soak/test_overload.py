"""Ten times more segments than a worker can look at: memory stays flat, live streams are shed honestly, archives wait.

pytest -m soak tests/soak/test_overload.py -s                      15 minutes each
SCANNER_SOAK_S=60 pytest -m soak tests/soak/test_overload.py -s
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from chaos_worker import Orders, run
from crew import FORKS, topics_on, wait_for_no_lag
from test_streams_come_and_go import Use

from scanner import wire
from scanner.bus.broker import LocalBroker
from scanner.bus.kafka import KafkaBus, KafkaConfig
from scanner.core.types import Reason, Segment, Verdict
from scanner.verify import verify

pytestmark = [pytest.mark.soak, pytest.mark.kafka, pytest.mark.timeout(7200)]

STREAMS = 12
LOOK_S = 0.5  # four lookers: 8 segments a second
PER_S = 80
SEGMENT_BYTES = 50_000
PENDING_BYTES = 16 * 1024 * 1024
SHED_AFTER_S = 6.0
GROWTH_MIB = 10.0


def segments(count: int, *, live: bool) -> Iterator[Segment]:
    for number in range(count):
        payload = f"slow {number % 200} {LOOK_S} ".encode() + bytes(SEGMENT_BYTES)
        stream, sequence = f"cam-{number % STREAMS}", number // STREAMS
        captured_at_ms = time.time_ns() // 1_000_000 if live else None
        digest = hashlib.sha256(payload).hexdigest()
        yield Segment(stream, sequence, sequence * 2000, payload, digest, captured_at_ms=captured_at_ms)


@pytest.mark.parametrize("live", [True, False], ids=["live", "archive"])
def test_overload_costs_neither_memory_nor_answers(tmp_path: Path, *, live: bool) -> None:
    for_s = float(os.environ.get("SCANNER_SOAK_S", "900"))
    with LocalBroker(tmp_path / "broker") as broker:
        bus = KafkaBus(KafkaConfig((broker.bootstrap,)))
        topics = topics_on(bus)
        log = str(tmp_path / "worker.log")
        orders = Orders(
            broker.bootstrap, topics, "g", "slot", log, pending_bytes=PENDING_BYTES, shed_after_s=SHED_AFTER_S
        )
        ready = FORKS.Event()
        process = FORKS.Process(target=run, args=(orders, ready), daemon=True)
        process.start()
        assert ready.wait(60)
        assert process.pid
        uses: list[Use] = []
        began = time.monotonic()
        with closing(bus.publisher()) as publisher:
            for number, segment in enumerate(segments(int(for_s * PER_S), live=live)):
                publisher.publish(wire.segment_record(segment, topics.segments))
                time.sleep(max(0.0, began + number / PER_S - time.monotonic()))
                if number % (PER_S * for_s // 20) == 0:
                    uses.append(Use.of(process.pid))
                    print(f"\n{time.monotonic() - began:.0f} s, {number} segments: {uses[-1]}", end="")
            publisher.flush(30)
        if live:
            wait_for_no_lag(bus, topics, "g", for_s)
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
        assert process.exitcode == 0
        proof = verify(bus, topics, "g")
        verdicts = everything(bus, topics.verdicts)
    half = len(uses) // 2
    early, late = (max(use.rss_mib for use in part) for part in (uses[2:half], uses[half:]))
    shed = [verdict for verdict in verdicts if Reason.SHED in verdict.reasons]
    memory = f"at most {early:.0f} MiB in the first half, {late:.0f} MiB in the second"
    print(f"\n{proof.segments} segments, {len(verdicts)} answered, {len(shed)} shed, RSS {memory}")
    assert proof.holds, proof.findings[:5]
    assert late - early < GROWTH_MIB
    if live:
        assert proof.pending == 0
        assert 0 < len(shed) < len(verdicts), "some are looked at, in every stream"
        assert {v.stream_id for v in verdicts if Reason.SHED not in v.reasons} == {f"cam-{n}" for n in range(STREAMS)}
    else:
        assert shed == []
        assert proof.pending > 0.5 * proof.segments, "an archive waits"


def everything(bus: KafkaBus, topic: str) -> list[Verdict]:
    found: list[Verdict] = []
    with closing(bus.reader([topic], from_beginning=True)) as reader:
        while not reader.at_end():
            found += [wire.verdict_of(delivery.record) for delivery in reader.poll(0.1, 1000)]
    return found
