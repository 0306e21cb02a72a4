"""A member of the worker group: segments off the topic, exactly one answer each, back to the topics.

One thread owns the bus: it polls, judges and commits. Looking (decode, score) happens on a pool of threads, each
waiting for a decode cell. Streams are judged in their own order; different streams do not wait for each other.

    1. poll ─▶ 2. look (many at once) ─▶ 3. judge (in stream order) ─▶ 4. commit (in partition order)

A commit is one transaction: verdicts, alerts, states, dead letters and the offsets of the segments they answer. What
is not committed when a worker dies was never there, and its partitions' next owner begins with what was: the offsets,
and the states that belong to them.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import structlog

from scanner import wire
from scanner.core.errors import (
    BrokerUnavailableError,
    ClaimUnavailableError,
    Disposition,
    MembershipLostError,
    ScannerError,
    SegmentInvalidError,
)
from scanner.core.types import Mode, Segment, StreamState, Verdict
from scanner.ledger import Debt, Ledger, Payment
from scanner.local import ATTEMPTS, look_again
from scanner.pipeline import Look, Pipeline
from scanner.ports import Bus, Delivery, MediaStore, Place, Subscription
from scanner.telemetry import Metrics

log = structlog.get_logger()

POLL_S = 0.05  # how long the owner thread waits for records when nothing else is to be done
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts at a bus or store that does not answer


@dataclass(frozen=True, slots=True)
class Rules:
    """How a worker works; see settings.WorkerSettings."""

    topics: wire.Topics
    group: str
    mode: Mode | None
    """None lets each stream's evidence decide, and takes a stream's segments one after another"""
    lookers: int
    commit_interval_s: float = 0.2
    pending_bytes: int = 256 * 1024 * 1024
    drain_s: float = 20.0
    largest_record_bytes: int = 5 * 1024 * 1024
    """what the dead-letter topic takes"""


@dataclass(slots=True)
class _Stream:
    """Segments of one stream that were delivered and not yet judged, in order."""

    state: StreamState
    waiting: deque[_Job] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class _Job:
    debt: Debt
    segment: Segment
    future: Future[Look] | None = None


class Worker:
    """Runs until told to stop. One instance, one membership."""

    def __init__(self, bus: Bus, pipeline: Pipeline, store: MediaStore, metrics: Metrics, rules: Rules) -> None:
        self._bus = bus
        self._pipeline = pipeline
        self._store = store
        self._metrics = metrics
        self._rules = rules
        self._ledger = Ledger()
        self._streams: dict[Place, dict[str, _Stream]] = {}
        self._finished: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._paused = False
        self._last_commit_s = 0.0

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then finishes what was begun, commits and leaves.

        Raises:
            ScannerError: of disposition HALT; nothing uncommitted is lost, it will be delivered again.
        """
        subscription = self._bus.subscribe([self._rules.topics.segments], self._rules.group, self)
        with ThreadPoolExecutor(self._rules.lookers, thread_name_prefix="look") as lookers:
            try:
                while not stop.is_set():
                    self._step(subscription, lookers)
                self._drain(subscription)
            finally:
                for streams in self._streams.values():
                    for stream in streams.values():
                        _cancel(stream.waiting)
                subscription.close()

    # The loop.

    def _step(self, subscription: Subscription, lookers: ThreadPoolExecutor) -> None:
        # Step 1. Take what is there, unless enough is pending already.
        self._hold_or_resume(subscription)
        for delivery in self._poll(subscription):
            self._take(delivery)
        # Step 2. Start looking where a stream's turn has come.
        self._start(lookers)
        # Step 3. Judge what was seen, in the order of each stream.
        self._judge()
        # Step 4. Commit answers and offsets together.
        if time.monotonic() - self._last_commit_s >= self._rules.commit_interval_s:
            self._commit(subscription)

    def _poll(self, subscription: Subscription) -> list[Delivery]:
        try:
            return subscription.poll(POLL_S if self._finished.empty() else 0.0, limit=self._rules.lookers * 4)
        except BrokerUnavailableError as error:
            log.warning("bus_unavailable", error=str(error))
            time.sleep(BACKOFF_S[0])
            return []

    def _take(self, delivery: Delivery) -> None:
        debt = self._ledger.take(delivery, time.monotonic())
        try:
            segment = wire.segment_of(delivery)
        except SegmentInvalidError as error:
            self._refuse(debt, error, attempt=1)
            return
        streams = self._streams.setdefault(debt.place, {})
        stream = streams.setdefault(segment.stream_id, _Stream(StreamState(segment.stream_id)))
        stream.waiting.append(_Job(debt, segment))
        self._metrics.pending(self._ledger.pending_bytes)

    def _start(self, lookers: ThreadPoolExecutor) -> None:
        for streams in self._streams.values():
            for stream in streams.values():
                for job in stream.waiting:
                    if job.future is None:
                        mode = self._rules.mode or stream.state.mode
                        job.future = lookers.submit(contextvars.copy_context().run, self._look, job, mode)
                        job.future.add_done_callback(lambda _, job=job: self._finished.put(job))  # type: ignore[misc]
                    if self._rules.mode is None:
                        break  # the next segment's mode depends on this one's verdict

    def _look(self, job: _Job, mode: Mode) -> Look:
        segment = _fetched(self._store, job.segment)
        return look_again(self._pipeline, segment, mode)

    def _judge(self) -> None:
        while not self._finished.empty():
            job = self._finished.get()
            stream = self._streams.get(job.debt.place, {}).get(job.segment.stream_id)
            while stream and stream.waiting and (future := stream.waiting[0].future) and future.done():
                self._settle(stream, stream.waiting.popleft(), future)

    def _settle(self, stream: _Stream, job: _Job, future: Future[Look]) -> None:
        if future.cancelled() or not self._ledger.owes(job.debt):
            return
        try:
            look = future.result()
        except ScannerError as error:
            if error.disposition is Disposition.HALT:
                raise
            self._refuse(job.debt, error, attempt=ATTEMPTS if error.disposition is Disposition.RETRY else 1)
            return
        conclusion = self._pipeline.answer(stream.state, look)
        stream.state = conclusion.state
        source = job.debt.delivery.source
        queued_ms = max(0, round((time.monotonic() - job.debt.taken_s) * 1000) - look.timing.total)
        timing = replace(look.timing, queued=queued_ms, total=look.timing.total + queued_ms)
        verdict = replace(conclusion.verdict, source=source, timing_ms=timing)
        topics, now = self._rules.topics, _now_ms()
        job.debt.outputs = (
            wire.verdict_record(verdict, topics.verdicts, at_ms=now, live_at_ms=_live_at_ms(job, verdict)),
            *(wire.alert_record(alert, topics.alerts, at_ms=now) for alert in conclusion.alerts),
            wire.state_record(conclusion.state, topics.states, at_ms=now),
        )
        self._metrics.judged(verdict)
        for alert in conclusion.alerts:
            self._metrics.alerted(alert.edge.value)
        log.info(
            "segment_scanned",
            stream_id=verdict.stream_id,
            sequence=verdict.sequence,
            partition=source.partition,
            offset=source.offset,
            label=verdict.label.value,
            score=verdict.score,
            observe_ms=timing.observe,
            score_ms=timing.score,
        )

    def _refuse(self, debt: Debt, error: ScannerError, attempt: int) -> None:
        disposition = "timeout" if error.disposition is Disposition.RETRY else "poison"
        letter = wire.DeadLetter(error, attempt, "timeout" if disposition == "timeout" else "poison")
        record = wire.deadletter_record(
            debt.delivery,
            letter,
            self._rules.topics.deadletters,
            at_ms=_now_ms(),
            largest_bytes=self._rules.largest_record_bytes,
        )
        debt.outputs = (record,)
        self._metrics.dead_lettered()
        source = debt.delivery.source
        log.warning(
            "segment_rejected",
            partition=source.partition,
            offset=source.offset,
            stage=error.stage.value,
            error=str(error),
            attempt=attempt,
        )

    def _commit(self, subscription: Subscription) -> None:
        payment = self._ledger.payable()
        self._last_commit_s = time.monotonic()
        if payment is None:
            return
        try:
            subscription.commit(payment.outputs, payment.offsets)
        except MembershipLostError as error:
            # Now and then during a rebalance. The next polls tell what was revoked; its new owner answers.
            log.info("commit_postponed", error=str(error), segments=len(payment.debts))
            return
        except BrokerUnavailableError as error:
            log.warning("commit_failed", error=str(error), segments=len(payment.debts))
            return  # still owed: the next round commits again
        self._ledger.paid(payment)
        self._note(payment)

    def _note(self, payment: Payment) -> None:
        now = _now_ms()
        for debt in payment.debts:
            self._metrics.committed(debt.delivery.partition, max(0, now - debt.delivery.timestamp_ms) / 1000)
        self._metrics.pending(self._ledger.pending_bytes)

    def _hold_or_resume(self, subscription: Subscription) -> None:
        pending = self._ledger.pending_bytes
        full = pending > self._rules.pending_bytes or len(self._ledger) > self._rules.lookers * 16
        if full and not self._paused:
            subscription.pause(list(self._streams))
            self._paused = True
        elif self._paused and not full and pending <= self._rules.pending_bytes // 2:
            subscription.resume(list(self._streams))
            self._paused = False

    def _drain(self, subscription: Subscription) -> None:
        """Finishes what is being looked at, within the budget; the rest is delivered again to somebody else."""
        deadline = time.monotonic() + self._rules.drain_s
        subscription.pause(list(self._streams))
        for streams in self._streams.values():
            for stream in streams.values():
                stream.waiting = deque(job for job in stream.waiting if job.future is not None)
        while any(s.waiting for streams in self._streams.values() for s in streams.values()):
            if time.monotonic() > deadline:
                log.warning("drain_budget_spent", segments_handed_back=len(self._ledger))
                break
            self._judge()
            self._commit(subscription)
            time.sleep(0.01)
        self._commit(subscription)
        log.info("worker_drained", segments_handed_back=len(self._ledger))

    # Partitions come and go, on this same thread, inside poll.

    def assigned(self, places: Sequence[Place]) -> None:
        began = time.monotonic()
        for place in places:
            self._streams.setdefault(place, {})
        restored = self._restore([partition for _, partition in places])
        self._metrics.assigned(len(self._streams))
        log.info(
            "partitions_assigned",
            partitions=sorted(partition for _, partition in places),
            streams_restored=restored,
            restore_s=round(time.monotonic() - began, 3),
        )

    def revoked(self, places: Sequence[Place]) -> None:
        for place in places:
            for stream in self._streams.pop(place, {}).values():
                _cancel(stream.waiting)
            self._metrics.revoked(place[1])
        self._ledger.drop(places)
        self._metrics.assigned(len(self._streams))
        log.info("partitions_revoked", partitions=sorted(partition for _, partition in places))

    def _restore(self, partitions: list[int]) -> int:
        """Reads what is remembered of the streams of these partitions; waits for a bus that does not answer."""
        if not partitions:
            return 0
        states: dict[tuple[int, str], StreamState] = {}
        reader = self._bus.reader([self._rules.topics.states], from_beginning=True, partitions=partitions)
        try:
            while not reader.at_end():
                for delivery in reader.poll(POLL_S, limit=1000):
                    self._remember(states, delivery)
        finally:
            reader.close()
        for (partition, stream_id), state in states.items():
            self._streams[self._rules.topics.segments, partition][stream_id] = _Stream(state)
        return len(states)

    @staticmethod
    def _remember(states: dict[tuple[int, str], StreamState], delivery: Delivery) -> None:
        key = delivery.partition, delivery.record.key.decode(errors="replace")
        if delivery.record.value is None:
            states.pop(key, None)
            return
        try:
            states[key] = wire.state_of(delivery.record)
        except SegmentInvalidError as error:
            log.warning("state_unreadable", stream_id=key[1], offset=delivery.offset, error=str(error))


def _fetched(store: MediaStore, segment: Segment) -> Segment:
    """The segment with its bytes, waiting for a store that does not answer. Raises ClaimRefusedError."""
    if segment.claim is None:
        return segment
    for pause_s in (*BACKOFF_S, None):
        try:
            payload = store.get(segment.claim.uri, segment.claim.size, segment.claim.sha256)
        except ClaimUnavailableError as error:
            log.warning("claim_store_unavailable", uri=segment.claim.uri, error=str(error))
            if pause_s is None:
                raise
            time.sleep(pause_s)
        else:
            return replace(segment, payload=payload)
    raise AssertionError("unreachable")


def _cancel(jobs: Iterable[_Job]) -> None:
    for job in jobs:
        if job.future is not None:
            job.future.cancel()


def _live_at_ms(job: _Job, verdict: Verdict) -> int:
    """When the segment's last frame was live, or, as long as its source does not tell, when it came onto the topic."""
    captured_ms = job.segment.captured_at_ms
    return job.debt.delivery.timestamp_ms if captured_ms is None else captured_ms + verdict.end_ms - verdict.start_ms


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
