"""Traces: from the segment's traceparent through observe, score and publish; nothing at all when they are off."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from scripted import pipeline

from scanner import wire
from scanner.bus.memory import MemoryBus
from scanner.core.types import Segment
from scanner.ports import Record, TopicPlan
from scanner.telemetry import Metrics
from scanner.tracing import Tracing, exporting
from scanner.worker import Rules, Worker

TOPICS = wire.Topics()
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def worked(kind: str, traceparent: str | None, tracing: Tracing | None) -> MemoryBus:
    """A bus after one worker has answered one segment."""
    bus = MemoryBus()
    bus.create({topic: TopicPlan(1) for topic in (TOPICS.segments, TOPICS.verdicts, TOPICS.alerts)})
    bus.create({TOPICS.deadletters: TopicPlan(1), TOPICS.states: TopicPlan(1, compacted=True)})
    payload = f"{kind} 1".encode()
    segment = Segment("cam", 0, 0, payload, hashlib.sha256(payload).hexdigest(), traceparent=traceparent)
    bus.publisher().publish(wire.segment_record(segment, TOPICS.segments))
    stop = threading.Event()
    rules = Rules(TOPICS, "group", None, lookers=1, commit_interval_s=0.0, drain_s=5, tracing=tracing)
    with pipeline() as parts, ThreadPoolExecutor(1) as pool:
        running = pool.submit(Worker(bus, parts, None, Metrics(CollectorRegistry()), rules).run, stop)
        deadline = time.monotonic() + 20
        while any(bus.lag(TOPICS.segments, "group").values()) and time.monotonic() < deadline:
            time.sleep(0.002)
        stop.set()
        running.result(20)
    return bus


def traced(kind: str, traceparent: str | None = f"00-{TRACE}-{PARENT}-01") -> tuple[dict[str, ReadableSpan], MemoryBus]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    bus = worked(kind, traceparent, Tracing(provider))
    return {span.name: span for span in exporter.get_finished_spans()}, bus


def answer(bus: MemoryBus, topic: str) -> Record:
    (only,) = bus.reader([topic], from_beginning=True).poll(0.1, 10)
    return only.record


def test_a_segments_trace_goes_on_through_the_worker_to_its_verdict() -> None:
    spans, bus = traced("good")
    segment = spans["segment"]
    assert f"{segment.context.trace_id:032x}" == TRACE
    assert f"{segment.parent.span_id:016x}" == PARENT
    assert spans.keys() == {"segment", "queue", "observe", "score", "publish"}
    for name in spans.keys() - {"segment"}:
        assert spans[name].parent.span_id == segment.context.span_id, name
        assert segment.start_time - 5_000_000 <= spans[name].start_time <= spans[name].end_time, name
        assert spans[name].end_time <= segment.end_time + 5_000_000, name
    assert spans["queue"].end_time <= spans["score"].start_time + 5_000_000
    assert segment.attributes["stream.id"] == "cam"
    told = dict(answer(bus, TOPICS.verdicts).headers)["traceparent"].decode()
    assert told == f"00-{TRACE}-{segment.context.span_id:016x}-01"


def test_a_segment_without_a_trace_begins_one() -> None:
    spans, _ = traced("good", None)
    assert spans["segment"].parent is None


def test_a_dead_letter_is_an_error_of_the_trace() -> None:
    spans, _ = traced("poison")
    assert spans["segment"].status.is_ok is False
    assert spans["segment"].attributes["scanner.stage"] == "decode"
    assert spans.keys() == {"segment", "publish"}


def test_traces_reach_a_collector_before_the_worker_is_gone() -> None:
    taken: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            with exporting(f"http://127.0.0.1:{server.server_port}/v1/traces", 1.0, "gpu-1") as tracing:
                worked("good", None, tracing)
        finally:
            server.shutdown()
    ((path, body),) = taken
    assert path == "/v1/traces"
    sent = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    assert all(name in sent for name in (b"observe", b"score", b"publish", b"gpu-1"))


def test_a_trace_that_is_no_trace_begins_a_new_one() -> None:
    spans, _ = traced("good", "00-zz-1-01")
    assert spans["segment"].parent is None


def test_when_off_the_trace_is_handed_on_and_nothing_is_imported() -> None:
    header = f"00-{TRACE}-{PARENT}-01"
    told = dict(answer(worked("good", header, None), TOPICS.verdicts).headers)
    assert told["traceparent"].decode() == header
    code = (
        "import sys; from scanner.assembly.scan import tracing_of; from scanner.settings import load\n"
        "with tracing_of(load()) as tracing: assert tracing is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
