"""What is known of a source, and of one that ended."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from scanner.ingest.status import State, Status
from scanner.telemetry import IngestMetrics


def test_a_source_that_ended_is_not_down_whatever_a_late_thread_says_of_it() -> None:
    registry = CollectorRegistry()
    status = Status(IngestMetrics(registry))

    def live() -> float | None:
        return registry.get_sample_value("scanner_ingest_live", {"source": "cam"})

    status.add("cam", "rtsp://h/s")
    status.state("cam", State.CONNECTING)
    assert live() == 0
    status.live("cam", "h264", (320, 240))
    assert live() == 1
    status.state("cam", State.PAUSING)
    assert live() == 0
    status.state("cam", State.ENDED)
    status.state("cam", State.CONNECTING)
    assert (live(), status.sources()[0]["state"]) == (None, State.ENDED)
    status.add("cam", "rtsp://h/s")
    status.state("cam", State.LISTENING)
    assert live() == 0


def test_an_end_before_any_beginning_is_none_either() -> None:
    registry = CollectorRegistry()
    status = Status(IngestMetrics(registry))
    status.add("cam", "rtsp://h/s")
    status.state("cam", State.ENDED)
    assert registry.get_sample_value("scanner_ingest_live", {"source": "cam"}) is None
