"""What a worker counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from scanner.core.types import Edge, Label, Reason, Verdict
from scanner.telemetry.pulse import Pulse

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REMEDIES = ("report", "seek", "rejoin", "end")
"""what is tried on a partition that stands still"""


class Metrics:
    """Every metric of a worker; base units, few labels, one verb each."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._segments = Counter(
            "scanner_segments",
            "Segments answered, by label or dead_letter.",
            ["outcome"],
            registry=registry,
        )
        self._frames = Counter("scanner_frames", "Frames, by what became of them.", ["fate"], registry=registry)
        self._abstained = Counter("scanner_abstentions", "Reasons for abstaining.", ["reason"], registry=registry)
        self._withheld = Counter(
            "scanner_inspections_withheld",
            "Segments patrolled although their stream's evidence asked for an inspection.",
            registry=registry,
        )
        self._inspected = Gauge("scanner_streams_inspected", "Streams being inspected.", registry=registry)
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
        self._shadow = Counter(
            "scanner_shadow_segments", "Segments a second model was shown, by outcome.", ["outcome"], registry=registry
        )
        self._archived = Counter("scanner_archive_segments", "Segments of archives answered.", registry=registry)
        self._behind = Gauge(
            "scanner_seconds_behind_live",
            "Age of the oldest segment that waits for its answer, or of the last answered one, and 0 when none came for"
            " a while: since it was complete where its source told when it was live, else since it reached its topic.",
            ["partition"],
            registry=registry,
        )
        self._pending = Gauge("scanner_pending_bytes", "Fetched and not yet answered.", registry=registry)
        self._model = Gauge("scanner_model_info", "The model in force.", ["name", "sha256"], registry=registry)
        self._waiting = Gauge(
            "scanner_looks_waiting",
            "Looks that wait for the store of their claim, or for the model.",
            registry=registry,
        )
        self._stuck = Counter(
            "scanner_partitions_stuck", "Partitions that stood still, by what was tried.", ["remedy"], registry=registry
        )
        self._assigned = Gauge("scanner_partitions_assigned", "Partitions this worker owns.", registry=registry)
        self._registry = registry
        self.pulse = Pulse()
        _from_zero(self._segments, [*(label.value for label in Label), "dead_letter"])
        _from_zero(self._alerts, [edge.value for edge in Edge])
        _from_zero(self._stuck, REMEDIES)

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
        if Reason.INSPECTION_WITHHELD in verdict.reasons:
            self._withheld.inc()
        timing = verdict.timing_ms
        for stage, spent_ms in (("queued", timing.queued), ("observe", timing.observe), ("score", timing.score)):
            self._stage.labels(stage).observe(spent_ms / 1000)

    def dead_lettered(self) -> None:
        self._segments.labels("dead_letter").inc()

    def alerted(self, edge: str) -> None:
        self._alerts.labels(edge).inc()

    def inspected(self, streams: int) -> None:
        self._inspected.set(streams)

    def committed(self, delay_s: float) -> None:
        self._delay.observe(delay_s)

    def shadowed(self, outcome: str) -> None:
        """What became of a segment that a second model was shown."""
        self._shadow.labels(outcome).inc()

    def archived(self) -> None:
        """A segment that has time: it counts in no figure of delay."""
        self._archived.inc()

    def behind(self, partition: int, seconds: float) -> None:
        self._behind.labels(str(partition)).set(seconds)

    def pending(self, byte_count: int) -> None:
        self._pending.set(byte_count)

    def waiting(self, looks: int) -> None:
        self._waiting.set(looks)

    def cells(self, restarts: Callable[[], int]) -> None:
        """Asks how many decode cells were replaced whenever somebody scrapes."""
        self._registry.register(_Asked("scanner_cells_restarted", "Decode cells replaced since the start.", restarts))

    def libraries(self, seconds: Callable[[], Mapping[str, float]]) -> None:
        """Asks where processor time went whenever somebody scrapes."""
        self._registry.register(_Libraries(seconds))

    def assigned(self, partitions: int) -> None:
        self._assigned.set(partitions)
        self.pulse.partitions = partitions

    def revoked(self, partition: int) -> None:
        """Forgets a partition that another worker owns now."""
        if (str(partition),) in self._behind._metrics:  # noqa: SLF001 - the library has no public way to ask
            self._behind.remove(str(partition))

    def stuck(self, remedy: str) -> None:
        """A partition stands still, and this is tried."""
        self._stuck.labels(remedy).inc()

    def model(self, name: str, sha256: str) -> None:
        self._model.labels(name, sha256).set(1)
        self.pulse.warm = True

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times a block as a stage."""
        began = monotonic()
        try:
            yield
        finally:
            self._stage.labels(name).observe(monotonic() - began)


def _from_zero(counter: Counter, values: Iterable[str]) -> None:
    """Begins the series: of one that first appears at 1, Prometheus's increase() is 0, and its alert stays silent."""
    for value in values:
        counter.labels(value)


class _Asked(Collector):
    """A counter that lives elsewhere."""

    def __init__(self, name: str, meaning: str, ask: Callable[[], int]) -> None:
        self._name = name
        self._meaning = meaning
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._meaning, value=self._ask())


class _Libraries(Collector):
    def __init__(self, ask: Callable[[], Mapping[str, float]]) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        meaning = "Processor time spent inside a library, by this worker and its decode cells."
        family = CounterMetricFamily("scanner_library_seconds", meaning, labels=["library"])
        for library, seconds in self._ask().items():
            family.add_metric([library], seconds)
        yield family
