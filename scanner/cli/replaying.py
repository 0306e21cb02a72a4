"""An archive through one assembled scan: progress, totals, and what to say at the end."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from prometheus_client import CollectorRegistry

from scanner.assembly.cores import core_count
from scanner.assembly.scan import Assembled, assembled, mode_of, policy_of, scan_input
from scanner.cli.common import complain, errors
from scanner.cli.replay_page import write_summary
from scanner.cli.replay_shown import shown
from scanner.core.errors import MediaError, SettingsError
from scanner.core.summary import summarise
from scanner.core.types import Mode, Verdict
from scanner.inference.card import find_model, read_card
from scanner.local import Refused
from scanner.media.inputs import Input
from scanner.media.objects import archive_at
from scanner.replay.cache import Cache
from scanner.replay.fetch import Fetching
from scanner.replay.items import Item
from scanner.replay.journal import Done, Journal
from scanner.replay.results import write_parquet
from scanner.replay.run import Throttle, replay
from scanner.replay.runs import Run
from scanner.report.archive import rows_of
from scanner.settings import Settings
from scanner.telemetry import ReplayMetrics, serve_metrics
from scanner.version import code_version
from scanner.wire import Failure, json_of


@dataclass(frozen=True, slots=True)
class Order:
    """How an archive is replayed."""

    out: Path
    cache: Path | None
    at_once: int
    megabytes_per_s: float | None
    parquet: bool
    room_bytes: int
    """for what is fetched from a store"""


def facts_of(settings: Settings) -> dict[str, Any]:
    """All that results depend on beside the bytes and the stream's name."""
    if mode_of(settings, live=False) is None:
        raise SettingsError("a replay needs a coverage: full, inspect or patrol")
    folder = find_model(settings.scan.model)
    card = read_card(folder)
    return {
        "model": card.sha256,
        "policy": json.loads(policy_of(settings, card).text),
        "coverage": (mode_of(settings, live=False) or Mode.FULL).value,
        "segment_s": settings.scan.segment_s,
        "cell": settings.cell.model_dump(include={"max_pixels", "max_frames", "max_duration_s", "max_faces"}),
        "device": settings.scan.device,
        "code": code_version(),
    }


def dry(items: Sequence[Item], settings: Settings, order: Order) -> Iterator[dict[str, Any]]:
    """One line a file that would be scanned, and the total."""
    left = list(items)
    if order.out.exists():
        journal = Journal(order.out, facts_of(settings))
        left = [item for item in items if not journal.holds(item.stream_id, item.version)]
        journal.close()
    for item in left:
        yield {"type": "item", "stream_id": item.stream_id, "path": item.place, "bytes": item.size}
    total = sum(item.size for item in left)
    yield {"type": "plan", "files": len(left), "bytes": total, "done_before": len(items) - len(left)}


def run_all(items: Sequence[Item], settings: Settings, order: Order) -> dict[str, Any]:
    """Everything that was not done before; what became of all of it. Raises ScannerError of disposition HALT."""
    facts = facts_of(settings)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    journal = Journal(order.out, facts)
    before = {item.stream_id for item in items if journal.holds(item.stream_id, item.version)}
    if before:
        errors.print(f"{len(before)} files were done before", style="dim", markup=False)
    began_s = time.monotonic()
    fetching = fetching_for(settings, order, Throttle(order.megabytes_per_s and order.megabytes_per_s * 1e6))
    try:
        if left := [item for item in items if item.stream_id not in before]:
            journal.plan(len(left), sum(item.size for item in left), time.time_ns() // 1_000_000)
            with assembled(settings) as parts, _told(items, journal, _metrics(settings)) as told:
                scan = _Scan(parts, settings)
                cache = Cache(order.cache, facts)
                for done in replay(items, scan, journal, cache, stop, at_once=order.at_once, fetching=fetching):
                    told(done)
    finally:
        journal.close()
    if order.parquet:
        write_parquet(journal.results, order.out / "results.parquet")
    here = [journal.done[item.stream_id] for item in items if item.stream_id in journal.done]
    total = _total(here, before, len(items), time.monotonic() - began_s, stopped=stop.is_set())
    run = Run(order.out)
    run.follow()
    return write_summary(order.out, rows_of(run), settings, total)


def fetching_for(settings: Settings, order: Order, throttle: Throttle) -> Fetching:
    endpoint = settings.claims.s3_endpoint
    return Fetching(order.out, order.room_bytes, throttle.wait, lambda uri: archive_at(uri, endpoint)[0])


class _Scan:
    """A file to its lines, the same that `scanner scan --json` prints."""

    def __init__(self, parts: Assembled, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._policy = policy_of(settings, parts.model.card)

    def __call__(self, item: Item, path: Path) -> Iterator[bytes]:
        uri = item.place
        verdicts: list[Verdict] = []
        try:
            for answer in scan_input(self._parts, Input(path, item.stream_id), self._settings):
                if isinstance(answer, Refused):
                    where = f"segment {answer.segment.sequence}: {answer.error}"
                    yield json_of(Failure(uri, answer.error.stage.value, where))
                    continue
                verdicts.append(answer.conclusion.verdict)
                yield json_of(answer.conclusion.verdict)
        except MediaError as error:
            yield json_of(Failure(uri, error.stage.value, str(error).replace(str(path), uri)))
        if verdicts:
            yield json_of(summarise(uri, verdicts, self._policy))


def _total(done: Sequence[Done], before: set[str], wanted: int, took_s: float, *, stopped: bool) -> dict[str, Any]:
    """The last line. Failures are told one by one on stderr."""
    for one in done:
        for reason in one.failures:
            complain(reason if one.stream_id in reason else f"{one.stream_id}: {reason}")
    new = [one for one in done if one.stream_id not in before]
    scanned = [one for one in new if not one.cached]
    hours = sum(one.duration_ms for one in scanned) / 3_600_000
    rate = hours / (took_s / 3600) if took_s else 0.0
    return {
        "type": "replayed",
        "files": wanted,
        "done": len(done),
        "done_before": len(done) - len(new),
        "from_cache": len(new) - len(scanned),
        "failed": sum(bool(one.failures) for one in done),
        "segments": sum(one.segments for one in done),
        "labels": dict(Counter(one.label or "no_verdict" for one in done)),
        "seconds": round(took_s, 1),
        "video_hours_per_hour": round(rate, 2),
        "video_hours_per_hour_and_core": round(rate / core_count(), 2),
        "stopped": stopped,
    }


def _metrics(settings: Settings) -> ReplayMetrics:
    """Served where the settings say."""
    registry = CollectorRegistry()
    if settings.replay.metrics_port is not None:
        serve_metrics(settings.replay.metrics_port, registry=registry)
    return ReplayMetrics(registry)


@contextmanager
def _told(items: Sequence[Item], journal: Journal, metrics: ReplayMetrics) -> Iterator[Callable[[Done], None]]:
    """Whom to tell of each file: the terminal and the metrics."""
    left = [item for item in items if not journal.holds(item.stream_id, item.version)]
    metrics.planned(len(left))
    with shown(len(left), sum(max(1, item.size) for item in left)) as bars:

        def told(done: Done) -> None:
            length_s = done.duration_ms / 1000
            metrics.done(done.label, video_s=length_s, size=done.bytes, failed=bool(done.failures), cached=done.cached)
            bars.add(max(1, done.bytes), video_s=0.0 if done.cached else length_s, read=not done.cached)
            bars.file(failed=bool(done.failures))

        yield told
