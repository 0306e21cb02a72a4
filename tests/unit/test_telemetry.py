"""Metrics: base units, bounded labels, and every answer counted once."""

from __future__ import annotations

import json
import re
from time import monotonic
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import structlog
from prometheus_client import CollectorRegistry, generate_latest

from scanner.core.types import Edge, Label, Mode, ModelRef, Provenance, Reason, Tally, Timing, Verdict
from scanner.ingest.status import Status
from scanner.telemetry import IngestMetrics, Metrics, Pulse, ReplayMetrics, serve_metrics, set_up_logs
from scanner.telemetry.worker import REMEDIES
from scanner.worker.watchdog import Remedy


@pytest.fixture(autouse=True)
def _own_logs():
    yield
    structlog.reset_defaults()


UNITS = ("_seconds", "_bytes", "_total", "_info", "_assigned", "_inspected", "_waiting", "_restarted_total")


def verdict(**changes):
    facts = {
        "verdict_id": "0",
        "stream_id": "cam",
        "sequence": 0,
        "start_ms": 0,
        "end_ms": 2000,
        "label": Label.SUSPECTED,
        "score": 0.6,
        "reasons": (),
        "tracks": (),
        "provenance": Provenance(),
        "coverage": Tally(60, 16, 16, 1, Mode.PATROL),
        "model": ModelRef("m", "0"),
        "policy_sha256": "0",
        "timing_ms": Timing(queued=3, observe=41, score=12, total=56),
    }
    return Verdict(**{**facts, **changes})


def value(registry, name, **labels):
    return registry.get_sample_value(name, labels)


def test_a_verdict_is_counted_with_its_frames_and_stages() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.judged(verdict())
    assert value(registry, "scanner_segments_total", outcome="suspected") == 1
    assert value(registry, "scanner_frames_total", fate="decoded") == 16
    assert value(registry, "scanner_frames_total", fate="not_decoded") == 44
    assert value(registry, "scanner_frames_total", fate="damaged") == 1
    assert value(registry, "scanner_stage_seconds_sum", stage="observe") == 0.041
    assert value(registry, "scanner_abstentions_total", reason="no_face") is None


def test_what_alerts_ask_for_is_there_before_it_first_happens() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    outcomes = [*(label.value for label in Label), "dead_letter"]
    assert [value(registry, "scanner_segments_total", outcome=outcome) for outcome in outcomes] == [0] * len(outcomes)
    assert [value(registry, "scanner_alerts_total", edge=edge.value) for edge in Edge] == [0, 0]
    remedies = [remedy.name.lower() for remedy in Remedy]
    assert [value(registry, "scanner_partitions_stuck_total", remedy=remedy) for remedy in remedies] == [0] * 4


def test_remedies_are_those_of_the_watchdog() -> None:
    assert [remedy.name.lower() for remedy in Remedy] == list(REMEDIES)


def test_a_source_that_was_added_has_lost_nothing_until_it_loses_something() -> None:
    registry = CollectorRegistry()
    status = Status(IngestMetrics(registry))
    status.add("studio", "rtmp://studio")
    assert value(registry, "scanner_ingest_lost_total", source="studio") == 0
    status.lost("studio", 2)
    status.add("studio", "rtmp://elsewhere")
    assert value(registry, "scanner_ingest_lost_total", source="studio") == 2


def test_abstentions_are_counted_by_reason() -> None:
    registry = CollectorRegistry()
    reasons = (Reason.NO_FACE, Reason.DECODE_PARTIAL)
    Metrics(registry).judged(verdict(label=Label.INSUFFICIENT_EVIDENCE, score=None, reasons=reasons))
    assert value(registry, "scanner_abstentions_total", reason="no_face") == 1


def test_inspections_that_were_withheld_are_counted() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.judged(verdict(reasons=(Reason.INSPECTION_WITHHELD,)))
    metrics.judged(verdict())
    metrics.inspected(3)
    assert value(registry, "scanner_inspections_withheld_total") == 1
    assert value(registry, "scanner_streams_inspected") == 3


def test_a_revoked_partition_no_longer_falls_behind() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.behind(3, 1.5)
    assert value(registry, "scanner_seconds_behind_live", partition="3") == 1.5
    metrics.revoked(3)
    metrics.revoked(4)
    assert value(registry, "scanner_seconds_behind_live", partition="3") is None


def test_names_have_base_units() -> None:
    registry = CollectorRegistry()
    Metrics(registry).model("m", "0")
    for name in re.findall(r"^# TYPE (\w+)", generate_latest(registry).decode(), re.MULTILINE):
        assert name.startswith("scanner_"), name
        assert any(unit in name for unit in (*UNITS, "_created", "_live")), name


def test_logs_off_a_terminal_are_json_lines(capsys) -> None:
    set_up_logs("info", "auto")
    structlog.get_logger().info("segment_scanned", stream_id="cam", score=0.5)
    structlog.get_logger().debug("not_shown")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["stream_id"], told["level"]) == ("segment_scanned", "cam", "info")


def asked(port, path):
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, ""


def test_probes_tell_progress_and_readiness_and_nothing_of_the_broker() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    port = serve_metrics(0, metrics.pulse, registry)
    assert asked(port, "/livez")[0] == 200
    assert asked(port, "/readyz")[0] == 503, "no model yet"
    metrics.model("m", "0")
    assert asked(port, "/readyz")[0] == 503, "no partition yet"
    metrics.assigned(2)
    assert asked(port, "/readyz")[0] == 200
    metrics.assigned(0)
    assert asked(port, "/readyz")[0] == 503
    assert asked(port, "/nowhere")[0] == 404


def test_a_loop_that_does_not_turn_is_not_alive(monkeypatch) -> None:
    pulse = Pulse(patience_s=60)
    now = monotonic()
    monkeypatch.setattr("scanner.telemetry.pulse.monotonic", lambda: now + 61)
    assert not pulse.alive
    pulse.turn()
    assert pulse.alive


def test_replaced_cells_are_asked_for_at_every_scrape() -> None:
    registry = CollectorRegistry()
    restarts = [1]
    Metrics(registry).cells(lambda: restarts[0])
    assert value(registry, "scanner_cells_restarted_total") == 1
    restarts[0] = 4
    port = serve_metrics(0, registry=registry)
    assert "scanner_cells_restarted_total 4.0" in asked(port, "/metrics")[1]


def test_a_replay_counts_files_and_video_and_what_is_left() -> None:
    registry = CollectorRegistry()
    replay = ReplayMetrics(registry)
    replay.planned(3)
    replay.done("suspected", video_s=10.0, size=100, failed=False, cached=False)
    replay.done(None, video_s=5.0, size=50, failed=True, cached=False)
    replay.done("suspected", video_s=10.0, size=100, failed=False, cached=True)
    told = {name: registry.get_sample_value(f"scanner_replay_{name}") for name in (
        "files_left", "video_seconds_total", "read_bytes_total", "files_failed_total", "files_cached_total",
    )}  # fmt: skip
    assert list(told.values()) == [0, 15, 250, 1, 1]
    assert registry.get_sample_value("scanner_replay_files_total", {"label": "suspected"}) == 2
    assert registry.get_sample_value("scanner_replay_files_total", {"label": "no_verdict"}) == 1
