"""A bus and workers to bench: Apache Kafka with worker processes, or this process's memory with a worker thread."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from scanner.assembly.bus import kafka_bus, topic_plans, topics_of
from scanner.assembly.scan import assembled, library_seconds, worker_of
from scanner.bench.usage import Role, usage_of
from scanner.bus.broker import LocalBroker
from scanner.bus.memory import MemoryBus
from scanner.core.errors import ScannerError
from scanner.ports import Bus
from scanner.settings import Settings
from scanner.telemetry import Metrics
from scanner.wire import Topics

PARTITIONS = 12
_READY_S = 60.0
_ENDING_S = 60.0
_SCRAPE_S = 10.0
_REST_S, _AT_REST_CORES = 30, 0.25  # a cell that starts keeps a core busy; a broker and a worker that wait, a tenth
_LIBRARY = re.compile(r'^scanner_library_seconds_total\{library="(\w+)"\} (\S+)$', re.MULTILINE)


class WorkersFailedError(ScannerError):
    """The workers of a run did not come together."""


@dataclass(frozen=True, slots=True)
class Group:
    """What a run publishes to and reads from, and which processes to measure."""

    bus: Bus
    name: str
    """of the consumer group"""
    topics: Topics
    roles: Mapping[str, Role]
    libraries: Callable[[], dict[str, float]]
    """processor seconds that the workers and their cells have spent in each library"""


@contextmanager
def on_kafka(settings: Settings, workers: int, bootstrap: str | None) -> Iterator[Group]:
    """Topics of its own on the broker at `bootstrap`, or on one that is started for it, and worker processes.

    Raises:
        WorkersFailedError: a worker ended, or was assigned nothing in time.
    """
    with tempfile.TemporaryDirectory(prefix="scanner-bench-") as folder, _broker(Path(folder), bootstrap) as place:
        address, broker_pid = place
        mine = _renamed(settings, address)
        bus = kafka_bus(mine)
        bus.create(topic_plans(mine))
        log_path = Path(folder, "workers.log")
        ports = [_free_port() for _ in range(workers)]
        with log_path.open("wb") as log, _processes(mine, ports, log.fileno()) as started:
            _await_workers(started, log_path)
            roles = {"bench": Role(os.getpid(), below=False)}
            for number, process in enumerate(started):
                suffix = "" if workers == 1 else f" {number + 1}"
                roles[f"worker{suffix}"] = Role(process.pid, below=False)
                roles[f"cells{suffix}"] = Role(process.pid, itself=False)
            if broker_pid is not None:
                roles["broker"] = Role(broker_pid)
            _await_rest(roles)
            yield Group(bus, mine.kafka.group, topics_of(mine), roles, lambda: _scraped(ports))


@contextmanager
def in_memory(settings: Settings) -> Iterator[Group]:
    """A worker thread on the in-memory bus."""
    bus, stop = MemoryBus(), threading.Event()
    bus.create(topic_plans(settings))
    with assembled(settings) as parts:
        parts.cells.ready()
        worker = worker_of(settings, bus, parts, Metrics.private())
        thread = threading.Thread(target=worker.run, args=(stop,), name="worker")
        thread.start()
        try:
            roles = {"bench and worker": Role(os.getpid(), below=False), "cells": Role(os.getpid(), itself=False)}
            yield Group(bus, settings.kafka.group, topics_of(settings), roles, lambda: library_seconds(parts))
        finally:
            stop.set()
            thread.join()


@contextmanager
def _broker(folder: Path, bootstrap: str | None) -> Iterator[tuple[str, int | None]]:
    if bootstrap:
        yield bootstrap, None
        return
    with LocalBroker(folder / "kafka") as broker:
        yield broker.bootstrap, broker.pid


def _renamed(settings: Settings, bootstrap: str) -> Settings:
    """Settings whose topics and group nobody else uses."""
    mark = f"bench-{uuid.uuid4().hex[:8]}"
    names = {name: f"{mark}.{name}" for name in type(settings.topics).model_fields if name != "partitions"}
    return settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": (bootstrap,), "group": mark}),
            "log": settings.log.model_copy(update={"level": "info", "format": "json"}),  # they tell when they are ready
            "topics": settings.topics.model_copy(update={**names, "partitions": PARTITIONS}),
        }
    )


@contextmanager
def _processes(settings: Settings, ports: Sequence[int], log: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-m", "scanner", "worker"]
    shared = {**os.environ, **_environment(settings)}
    started = [
        subprocess.Popen([*command, "--metrics-port", str(port)], env=shared, stdout=log, stderr=log) for port in ports
    ]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _environment(settings: Settings) -> dict[str, str]:
    """Everything that differs from the defaults, as the variables that say so."""
    found = {}
    for section, values in settings.model_dump(exclude_defaults=True).items():
        for name, value in values.items():
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            found[f"SCANNER_{section}__{name}".upper()] = text
    password = settings.kafka.password
    if password is not None:
        found["SCANNER_KAFKA__PASSWORD"] = password.get_secret_value()
    return found


def _await_workers(started: list[subprocess.Popen[bytes]], log: Path) -> None:
    """Until every worker has said which partitions it was given."""
    waited = threading.Event()
    for _ in range(int(_READY_S / 0.2)):
        ended = next((process for process in started if process.poll() is not None), None)
        if ended is not None:
            raise WorkersFailedError(f"a worker ended with status {ended.returncode}: {_last_line(log)}")
        if log.read_bytes().count(b"partitions_assigned") >= len(started):
            return
        waited.wait(0.2)
    raise WorkersFailedError(f"{len(started)} workers were not all assigned partitions within {_READY_S:g} s")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _scraped(ports: Sequence[int]) -> dict[str, float]:
    """The workers' own count of what libraries take, added up."""
    total: dict[str, float] = defaultdict(float)
    for port in ports:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_SCRAPE_S) as page:
            for name, seconds in _LIBRARY.findall(page.read().decode()):
                total[name] += float(seconds)
    return dict(total)


def _await_rest(roles: Mapping[str, Role]) -> None:
    """Until nothing starts any more: spare cells begin after the first one is ready. At most half a minute."""
    waited = threading.Event()
    for _ in range(_REST_S):
        before = sum(usage_of(role).cpu_s for role in roles.values())
        waited.wait(1.0)
        if sum(usage_of(role).cpu_s for role in roles.values()) - before < _AT_REST_CORES:
            return


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
