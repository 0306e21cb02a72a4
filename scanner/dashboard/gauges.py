"""The dashboard's own metrics, read off its parts whenever somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scanner.dashboard.feed import now_ms
from scanner.dashboard.site import Site
from scanner.dashboard.streams import Attention
from scanner.dashboard.tiles import counted


class DashboardMetrics(Collector):
    """Streams by attention, cases that wait, and people who watch."""

    def __init__(self, site: Site, readers: Callable[[], int]) -> None:
        self._site = site
        self._readers = readers

    def collect(self) -> Iterator[Metric]:
        with self._site.feed.looking() as view:
            counts = counted(view.streams.values(), now_ms())
            waiting = view.cases.count(self._site.reviewers)
        streams = _gauge("scanner_dashboard_streams", "Streams on the wall, by attention.", labels=["attention"])
        for attention in Attention:
            streams.add_metric([attention.name.lower()], counts[attention])
        yield streams
        for name, meaning, value in (
            ("scanner_dashboard_cases_waiting", "Cases that nobody has answered yet.", waiting),
            ("scanner_dashboard_readers", "Pages that are open.", self._readers()),
            ("scanner_dashboard_feed_interrupted", "1 while nothing can be read.", int(bool(self._site.feed.trouble))),
        ):
            gauge = _gauge(name, meaning)
            gauge.add_metric([], value)
            yield gauge


def _gauge(name: str, meaning: str, labels: list[str] | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, labels=labels or [])
