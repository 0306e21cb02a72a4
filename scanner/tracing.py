"""Traces of segments on their way through a worker, by OpenTelemetry (the extra `otel`). Nothing else imports it.

traceparent of the segment ─▶ segment ─┬─ queue     delivered until somebody looked
                                       ├─ observe   in the decode cell
                                       ├─ score     in the model
                                       └─ publish   judged until the answer was committed
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from scanner.core.errors import ScannerError
from scanner.core.types import Verdict
from scanner.ledger import Debt
from scanner.letters import header
from scanner.pipeline import Look

_PROPAGATOR = TraceContextTextMapPropagator()


@contextmanager
def exporting(endpoint: str, share: float, worker: str) -> Iterator[Tracing]:
    """Traces sent to a collector, over OTLP and HTTP, from a thread of its own; what waits at the end is sent.

    Args:
        share: of segments without a sampled parent that are traced, in [0, 1].
    """
    about = {"service.name": "scanner-worker", "service.instance.id": worker, "service.version": _version()}
    provider = TracerProvider(resource=Resource.create(about), sampler=ParentBased(TraceIdRatioBased(share)))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    try:
        yield Tracing(provider)
    finally:
        provider.shutdown()


class Tracing:
    """Begins the trace of a segment when it is answered; times that lie behind are told afterwards."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer("scanner")

    def answered(self, debt: Debt, look: Look, verdict: Verdict) -> SegmentTrace:
        told = {"stream.id": verdict.stream_id, "segment.sequence": verdict.sequence, "verdict.label": verdict.label}
        begun = SegmentTrace(self._tracer, debt, {**told, "verdict.id": verdict.verdict_id})
        if look.began_s:
            observed_s = look.began_s + look.timing.observe / 1000
            begun.past("queue", debt.taken_s, look.began_s)
            begun.past("observe", look.began_s, observed_s, mode=verdict.coverage.mode.value)
            begun.past("score", observed_s, observed_s + look.timing.score / 1000, clips=len(look.scored))
        return begun

    def refused(self, debt: Debt, error: ScannerError) -> SegmentTrace:
        begun = SegmentTrace(self._tracer, debt, {"scanner.stage": error.stage.value})
        begun.failed(error)
        return begun


class SegmentTrace:
    """One segment's span, until its answer is committed."""

    def __init__(self, tracer: trace.Tracer, debt: Debt, told: dict[str, Any]) -> None:
        source = debt.delivery.source
        place = {"messaging.system": "kafka", "messaging.destination.name": source.topic}
        place |= {"messaging.destination.partition.id": str(source.partition)}
        parent = _PROPAGATOR.extract({"traceparent": header(debt.delivery.record, "traceparent") or ""})
        self._tracer = tracer
        self._span = tracer.start_span(
            "segment", parent, trace.SpanKind.CONSUMER, {**place, "messaging.kafka.offset": source.offset, **told},
            start_time=_wall_ns(debt.taken_s),
        )  # fmt: skip
        self._inside = trace.set_span_in_context(self._span)
        self._publish = tracer.start_span("publish", self._inside, trace.SpanKind.PRODUCER)

    @property
    def traceparent(self) -> str:
        """For those who read the answer."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier, self._inside)
        return carrier["traceparent"]

    def past(self, name: str, began_s: float, ended_s: float, **told: str | int) -> None:
        """A span that is over. Times are of the monotonic clock."""
        began_ns = _wall_ns(began_s)  # asked once: the two clocks do not keep step to the nanosecond
        span = self._tracer.start_span(name, self._inside, attributes=told, start_time=began_ns)
        span.end(began_ns + max(0, round((ended_s - began_s) * 1e9)))

    def failed(self, error: ScannerError) -> None:
        self._span.set_status(trace.Status(trace.StatusCode.ERROR, str(error)[:200]))
        self._span.set_attribute("error.type", type(error).__qualname__)

    def published(self) -> None:
        """The answer is committed."""
        self._publish.end()
        self._span.end()


def _wall_ns(monotonic_s: float) -> int:
    return time.time_ns() - round((time.monotonic() - monotonic_s) * 1e9)


def _version() -> str:
    return metadata.version("scanner")
