"""How many paced live streams a worker group holds: segments in at the rate of the clock, verdicts read back.

    loops ──paced, streams out of step──▶ segments topic ──▶ workers ──▶ verdicts topic ──▶ latencies

The latency of a segment runs from the moment it is published (a live source would have just finished it) to the moment
its committed verdict reaches a reader.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from scanner.bench.figures import LiveFigures, Load, Tally, figures
from scanner.bench.group import Group
from scanner.bench.material import GOP_S, Loop
from scanner.bench.usage import Role, Usage, usage_of
from scanner.core.types import Verdict
from scanner.ports import Bus, Record
from scanner.wire import Topics, segment_record, verdict_of

GRACE_S = 20.0
_SAMPLE_S = 2.0

Told = Callable[[float, int, int], None]
"""about twice a second: seconds since the start, segments published and answered"""


def _silent(_now_s: float, _published: int, _answered: int) -> None:
    pass


def run_live(
    group: Group, loops: Sequence[Loop], *, streams: int, seconds: float, told: Told = _silent
) -> tuple[LiveFigures, list[Verdict]]:
    """Publishes for `seconds`, waits for what is still owed, and measures.

    Args:
        loops: stream n sends loop n modulo their number, each at its own offset in time.
    """
    tally = Tally()
    done = threading.Event()
    reader = threading.Thread(target=_read, args=(group.bus, group.topics, tally, done), name="bench reader")
    reader.start()
    before = {name: usage_of(role).cpu_s for name, role in group.roles.items()}
    spent = group.libraries()
    sampler = _Sampler(group.roles)
    began = time.monotonic()
    try:
        _publish(group.bus, group.topics, loops, streams, seconds, tally, told)
        published_s = time.monotonic() - began
        behind_s = tally.behind_s()
        _await(tally, told, began)
    finally:
        sampler.stop()
        done.set()
        reader.join()
    took = time.monotonic() - began
    load = Load(
        cpu={name: round((usage_of(role).cpu_s - before[name]) / took, 3) for name, role in group.roles.items()},
        libraries={name: round((now - spent[name]) / took, 3) for name, now in group.libraries().items()},
        memory=sampler.seen,
    )
    return figures(tally, load, streams=streams, seconds=published_s, behind_s=behind_s), tally.verdicts


def _publish(
    bus: Bus,
    topics: Topics,
    loops: Sequence[Loop],
    streams: int,
    seconds: float,
    tally: Tally,
    told: Told,
) -> None:
    publisher = bus.publisher()
    began = time.monotonic()
    due = [(number * GOP_S / streams, number, 0) for number in range(streams)]
    heapq.heapify(due)
    next_told = 0.0
    while due and due[0][0] < seconds:
        at, number, sequence = heapq.heappop(due)
        while (left := began + at - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        stream_id = f"live-{number:04}"
        captured_at_ms = _now_ms() - GOP_S * 1000
        record = published_loop(loops[number % len(loops)], stream_id, sequence, topics.segments, captured_at_ms)
        tally.sent[stream_id, sequence] = time.monotonic()
        publisher.publish(record)
        tally.bytes += len(record.value or b"")
        heapq.heappush(due, (at + GOP_S, number, sequence + 1))
        if time.monotonic() - began > next_told:
            next_told += 0.5
            told(time.monotonic() - began, len(tally.sent), len(tally.delays_s))
    publisher.flush(GRACE_S)
    publisher.close()


def published_loop(loop: Loop, stream_id: str, sequence: int, topic: str, captured_at_ms: int | None = None) -> Record:
    """The record of a stream's segment of that number, when it sends this loop again and again."""
    segment = replace(loop.at(sequence), stream_id=stream_id, captured_at_ms=captured_at_ms)
    return segment_record(segment, topic, at_ms=_now_ms())


def _await(tally: Tally, told: Told, began: float) -> None:
    deadline = time.monotonic() + GRACE_S
    while len(tally.delays_s) < len(tally.sent) and time.monotonic() < deadline:
        told(time.monotonic() - began, len(tally.sent), len(tally.delays_s))
        time.sleep(0.2)


def _read(bus: Bus, topics: Topics, tally: Tally, done: threading.Event) -> None:
    reader = bus.reader([topics.verdicts], from_beginning=True)
    try:
        while not done.is_set():
            deliveries = reader.poll(0.05, limit=500)
            now = time.monotonic()
            for delivery in deliveries:
                verdict = verdict_of(delivery.record)
                key = verdict.stream_id, verdict.sequence
                if key in tally.sent:
                    tally.delays_s.setdefault(key, now - tally.sent[key])
                    tally.verdicts.append(verdict)
    finally:
        reader.close()


class _Sampler:
    """The memory each role takes, every two seconds."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        self.seen: dict[str, list[Usage]] = {name: [] for name in roles}
        self._roles = roles
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_S):
            for name, role in self._roles.items():
                self.seen[name].append(usage_of(role))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
