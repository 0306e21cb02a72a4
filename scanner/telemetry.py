"""What runs tell: one class of metrics, one set-up of logs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Literal

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from scanner.core.types import Verdict

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Every metric of the product; base units, few labels, one verb each."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._segments = Counter(
            "scanner_segments",
            "Segments answered, by label or dead_letter.",
            ["outcome"],
            registry=registry,
        )
        self._frames = Counter("scanner_frames", "Frames, by what became of them.", ["fate"], registry=registry)
        self._abstained = Counter("scanner_abstentions", "Reasons for abstaining.", ["reason"], registry=registry)
        self._alerts = Counter("scanner_alerts", "Edges of the sequential test.", ["edge"], registry=registry)
        self._stage = Histogram(
            "scanner_stage_seconds", "Time a segment spent in a stage.", ["stage"], buckets=SECONDS, registry=registry
        )
        self._delay = Histogram(
            "scanner_verdict_delay_seconds",
            "From the segment's arrival on the topic to its committed verdict.",
            buckets=SECONDS,
            registry=registry,
        )
        self._behind = Gauge(
            "scanner_seconds_behind_live",
            "Age of the last answered segment.",
            ["partition"],
            registry=registry,
        )
        self._pending = Gauge("scanner_pending_bytes", "Fetched and not yet answered.", registry=registry)
        self._cells = Gauge("scanner_cells_restarted", "Decode cells replaced since the start.", registry=registry)
        self._model = Gauge("scanner_model_info", "The model in force.", ["name", "sha256"], registry=registry)
        self._stuck = Counter(
            "scanner_partitions_stuck", "Partitions that stood still, by what was tried.", ["remedy"], registry=registry
        )
        self._assigned = Gauge("scanner_partitions_assigned", "Partitions this worker owns.", registry=registry)

    @classmethod
    def private(cls) -> Metrics:
        """Metrics that nobody scrapes, for a worker that lives only for a while beside others."""
        return cls(CollectorRegistry())

    def judged(self, verdict: Verdict) -> None:
        self._segments.labels(verdict.label.value).inc()
        tally = verdict.coverage
        self._frames.labels("decoded").inc(tally.frames_decoded)
        self._frames.labels("scored").inc(tally.frames_scored)
        self._frames.labels("damaged").inc(tally.frames_damaged)
        self._frames.labels("not_decoded").inc(max(0, tally.frames_total - tally.frames_decoded))
        if verdict.score is None:
            for reason in verdict.reasons:
                self._abstained.labels(reason.value).inc()
        timing = verdict.timing_ms
        for stage, spent_ms in (("queued", timing.queued), ("observe", timing.observe), ("score", timing.score)):
            self._stage.labels(stage).observe(spent_ms / 1000)

    def dead_lettered(self) -> None:
        self._segments.labels("dead_letter").inc()

    def alerted(self, edge: str) -> None:
        self._alerts.labels(edge).inc()

    def committed(self, partition: int, delay_s: float) -> None:
        self._delay.observe(delay_s)
        self._behind.labels(str(partition)).set(delay_s)

    def pending(self, byte_count: int) -> None:
        self._pending.set(byte_count)

    def cells_restarted(self, count: int) -> None:
        self._cells.set(count)

    def assigned(self, partitions: int) -> None:
        self._assigned.set(partitions)

    def revoked(self, partition: int) -> None:
        """Forgets a partition that another worker owns now."""
        if (str(partition),) in self._behind._metrics:  # noqa: SLF001 - the library has no public way to ask
            self._behind.remove(str(partition))

    def stuck(self, remedy: str) -> None:
        """A partition stands still, and this is tried."""
        self._stuck.labels(remedy).inc()

    def model(self, name: str, sha256: str) -> None:
        self._model.labels(name, sha256).set(1)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block as a stage."""
        began = monotonic()
        try:
            yield
        finally:
            self._stage.labels(name).observe(monotonic() - began)


def serve_metrics(port: int) -> None:
    """Serves /metrics on all addresses until the process ends."""
    start_http_server(port)


def set_up_logs(level: str, form: Literal["auto", "console", "json"]) -> None:
    """Events to stderr: for people on a terminal, as JSON lines elsewhere."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.getLogger("kafka").setLevel(logging.ERROR)  # its warnings speak of its own event loop, not of the broker
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
