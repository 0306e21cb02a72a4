"""The shipped rules and dashboards, judged by Prometheus itself, over the metrics that the product really exports."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from scanner.core.types import Label, Mode, ModelRef, Provenance, Reason, Tally, Timing, Verdict
from scanner.telemetry import IngestMetrics, Metrics, ReplayMetrics, serve_metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "scanner.json").read_text("utf-8"))
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]

VERDICT = Verdict(
    "v", "cam", 0, 0, 2000, Label.SUSPECTED, 0.8, (), (), Provenance(), Tally(60, 16, 16, 1, Mode.PATROL),
    ModelRef("m", "0"), "0", timing_ms=Timing(3, 41, 12, 56),
)  # fmt: skip


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")


def test_alerts_are_raised_by_what_they_are_about_and_by_nothing_else() -> None:
    promtool("test", "rules", "rules_test.yml")


def test_exported_names_keep_to_what_promtool_wants() -> None:
    registry = CollectorRegistry()
    worked(registry)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(registry), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_panels_ask_only_for_what_is_exported(exported) -> None:
    asked = {name for _, expr in QUERIES for name in re.findall(r"\bscanner_\w+", expr)}
    asked |= set(re.findall(r"\bscanner_\w+", (DEPLOY / "prometheus" / "rules.yml").read_text("utf-8")))
    assert asked - exported == set()


def test_rules_and_readme_name_log_events_that_are_written() -> None:
    sources = "".join(path.read_text("utf-8") for path in (DEPLOY.parent / "scanner").rglob("*.py"))
    written = set(re.findall(r"""\b_?log\.\w+\(\s*"(\w+)""", sources))
    actions = re.findall(r"action: (.*)", (DEPLOY / "prometheus" / "rules.yml").read_text("utf-8"))
    # A word with an underscore that is neither a setting (after a dot) nor a metric.
    named = {word for action in actions for word in re.findall(r"(?<![\w.])(?!scanner_)[a-z]+_\w+", action)}
    named |= set(re.findall(r"`(\w+)` in the log", (DEPLOY.parent / "README.md").read_text("utf-8")))
    assert {"partition_stuck", "waiting_for_broker"} <= named
    assert named - written == set()


def worked(registry: CollectorRegistry) -> tuple[Metrics, ReplayMetrics]:
    """Metrics of a worker and a replay that have met everything."""
    metrics = Metrics(registry)
    metrics.model("tempo-s", "0" * 64)
    metrics.assigned(3)
    metrics.cells(lambda: int(time.monotonic() * 10))
    metrics.pending(1000)
    ingest = IngestMetrics(registry)
    ingest.live("studio", up=True)
    ingest.lost("studio", 1)
    ingest.spooled(1000)
    ingest.broker(up=True)
    replay = ReplayMetrics(registry)
    replay.planned(10)
    toil(metrics, replay)
    return metrics, replay


def toil(metrics: Metrics, replay: ReplayMetrics) -> None:
    replay.done("suspected", video_s=10, size=1000, failed=True, cached=False)
    metrics.inspected(2)
    metrics.judged(replace(VERDICT, reasons=(Reason.INSPECTION_WITHHELD,)))
    metrics.archived()
    for label in Label:
        metrics.judged(replace(VERDICT, label=label))
    metrics.judged(replace(VERDICT, label=Label.INSUFFICIENT_EVIDENCE, score=None, reasons=(Reason.NO_FACE,)))
    metrics.dead_lettered()
    metrics.alerted("raised")
    metrics.committed(0.3)
    metrics.behind(3, 0.3)
    metrics.stuck("report")


@pytest.fixture(scope="module")
def desk_registry(tmp_path_factory) -> CollectorRegistry:
    from scanner.assembly.bus import topic_plans
    from scanner.bus.memory import MemoryBus
    from scanner.dashboard.accounts import Accounts, Role
    from scanner.dashboard.gauges import DashboardMetrics
    from scanner.dashboard.serve import site_for
    from scanner.settings import load

    accounts = Accounts(tmp_path_factory.mktemp("users") / "users.json")
    accounts.add("ana", Role.VIEWER, "correct horse battery")
    bus = MemoryBus()
    bus.create(topic_plans(load()))
    registry = CollectorRegistry()
    registry.register(DashboardMetrics(site_for(load(), bus, accounts), lambda: 1))
    return registry


@pytest.fixture(scope="module")
def exported(desk_registry) -> set[str]:
    registry = CollectorRegistry()
    worked(registry)
    text = (generate_latest(registry) + generate_latest(desk_registry)).decode()
    return set(re.findall(r"^(\w+?)(?:\{| )", re.sub(r"(?m)^#.*$", "", text), re.MULTILINE))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, desk_registry):
    """A Prometheus that has scraped a busy worker and a dashboard for a few seconds; its address."""
    folder = tmp_path_factory.mktemp("prometheus")
    registry = CollectorRegistry()
    busily = worked(registry)
    ports = serve_metrics(0, registry=registry), serve_metrics(0, registry=desk_registry)
    targets = json.dumps([f"127.0.0.1:{port}" for port in ports])
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 250ms, evaluation_interval: 250ms}\n"
        f"rule_files: ['{DEPLOY / 'prometheus' / 'rules.yml'}']\n"
        f"scrape_configs: [{{job_name: all, static_configs: [{{targets: {targets}}}]}}]\n",
        "utf-8",
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    process = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    ended = threading.Event()
    busy = threading.Thread(target=lambda: _keep_busy(*busily, ended))
    busy.start()
    try:
        _until(lambda: len(asked(address, "count_over_time(scanner_pending_bytes[1m]) > 8")) > 0)
        yield address
    finally:
        ended.set()
        busy.join()
        process.terminate()
        process.wait(10)


def _keep_busy(metrics: Metrics, replay: ReplayMetrics, ended: threading.Event) -> None:
    while not ended.wait(0.05):
        toil(metrics, replay)


def told(address: str, path: str) -> dict:
    with urlopen(f"{address}/api/v1/{path}", timeout=5) as answer:
        return json.load(answer)["data"]


def asked(address: str, expr: str) -> list:
    try:
        return told(address, f"query?query={quote(expr)}")["result"]
    except (URLError, ConnectionError):
        return []


def _until(reached) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline, "Prometheus has scraped nothing"
        time.sleep(0.2)


def test_every_panel_shows_something_under_load(prometheus) -> None:
    empty = []
    for title, expr in QUERIES:
        found = asked(prometheus, expr.replace("$__rate_interval", "5s"))
        if not [sample for sample in found if sample["value"][1] != "NaN"]:
            empty.append((title, expr))
    assert empty == []


def test_every_rule_is_evaluated_without_an_error(prometheus) -> None:
    rules = [rule for group in told(prometheus, "rules")["groups"] for rule in group["rules"]]
    assert len(rules) == 12
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []
