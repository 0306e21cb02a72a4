"""What ingestion counts."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge


class IngestMetrics:
    """One verb each. Sources are named: an operator has hundreds, not millions."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        source = ["source"]
        self._segments = Counter("scanner_ingest_segments", "Segments made durable.", source, registry=registry)
        self._lost = Counter("scanner_ingest_lost", "Segments known to be lost.", source, registry=registry)
        self._reconnects = Counter("scanner_ingest_reconnects", "Connections that ended.", source, registry=registry)
        self._live = Gauge(
            "scanner_ingest_live", "1 while segments come from a source that is wanted.", source, registry=registry
        )
        self._spool = Gauge("scanner_ingest_spool_bytes", "Waiting on disk for the broker.", registry=registry)
        self._broker = Gauge("scanner_ingest_broker_up", "1 while the broker takes segments.", registry=registry)

    def published(self, source: str, count: int) -> None:
        self._segments.labels(source).inc(count)

    def lost(self, source: str, count: int) -> None:
        self._lost.labels(source).inc(count)

    def reconnecting(self, source: str) -> None:
        self._reconnects.labels(source).inc()

    def live(self, source: str, *, up: bool) -> None:
        self._live.labels(source).set(up)

    def ended(self, source: str) -> None:
        """Nothing is expected of it any more, so that nobody is told that nothing comes."""
        self._live.remove(source)

    def spooled(self, byte_count: int) -> None:
        self._spool.set(byte_count)

    def broker(self, *, up: bool) -> None:
        self._broker.set(up)
