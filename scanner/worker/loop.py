"""The worker's loop.

    1. poll ─▶ 2. look (many at once) ─▶ 3. judge (in stream order) ─▶ 4. commit (in partition order)

Live segments go first: one of an archive is looked at when none of them waits (turns.py, holding.py).

A commit is one transaction: verdicts, alerts, states, dead letters and the offsets of the segments they answer. What
is not committed when a worker dies was never there, and its partitions' next owner begins with what was: the offsets,
and the states that belong to them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from scanner import wire
from scanner.bus.waiting import insisted
from scanner.core.errors import (
    BrokerUnavailableError,
    Disposition,
    MembershipLostError,
    ScannerError,
    SegmentInvalidError,
    WorkerStuckError,
)
from scanner.ledger import Ledger, Payment
from scanner.pipeline import Look, Pipeline
from scanner.ports import Bus, Delivery, MediaStore, Place, Record, Subscription
from scanner.telemetry import Metrics
from scanner.worker.answering import Answering, now_ms
from scanner.worker.behind import Behind
from scanner.worker.holding import Holding
from scanner.worker.looking import Looker
from scanner.worker.rousing import Rousing
from scanner.worker.rules import Rules
from scanner.worker.shedding import live_at_ms
from scanner.worker.streams import Job, Stream, Streams, remembered
from scanner.worker.turns import Turns
from scanner.worker.watchdog import Remedy, Watchdog

log = structlog.get_logger()

POLL_S = 0.1  # how long the owner thread waits for records when nothing else is to be done
AWAY_S = 0.2  # … after a poll that found no broker


class _RejoinError(Exception):
    """This membership yields nothing: begin another one."""


class Worker:
    """Runs until told to stop. One instance, one membership at a time."""

    def __init__(self, bus: Bus, pipeline: Pipeline, store: MediaStore, metrics: Metrics, rules: Rules) -> None:
        self._bus = bus
        self._metrics = metrics
        self._rules = rules
        self._looker = Looker(pipeline, store, rules.claim_wait_s)
        self._answering = Answering(pipeline, metrics, rules)
        self._watchdog = Watchdog(rules.stuck_after_s)
        self._turns = Turns(rules, self._looker, self._watchdog, metrics)
        self._holding = Holding(rules)
        self._behind = Behind(rules, metrics)
        self._ledger = Ledger()
        self._streams = Streams()
        self._rousing = Rousing(self._watchdog, self._streams, self._ledger, self._holding, self._looker, metrics)
        self._last_commit_s = 0.0
        self._away = False
        """whether the last commit found no broker"""
        self._heard = True
        """whether the last poll found one"""

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set, then finishes what was begun, commits and leaves.

        Raises:
            ScannerError: of disposition HALT; nothing uncommitted is lost, it will be delivered again.
        """
        lookers = ThreadPoolExecutor(self._rules.lookers, thread_name_prefix="look")
        try:
            while not stop.is_set():
                self._belong(stop, lookers)
        finally:
            # A look that is under way ends with its decode cell, not with the membership.
            lookers.shutdown(wait=False, cancel_futures=True)

    def _belong(self, stop: threading.Event, lookers: ThreadPoolExecutor) -> None:
        """One membership, as soon as there is a broker to have it with."""
        subscription = insisted(self._subscribe, stop, self._metrics.pulse.turn, close=lambda late: late.close())
        if subscription is None:
            return
        try:
            while not stop.is_set():
                self._step(subscription, lookers)
            self._drain(subscription)
        except _RejoinError:
            log.warning("joining_again")
        finally:
            self._streams.hand_back(begun=True)
            subscription.close()
            self._forget(self._streams.places)
            self._metrics.assigned(0)

    def _subscribe(self) -> Subscription:
        try:
            return self._bus.subscribe(self._rules.topics.asked, self._rules.group, self)
        except BrokerUnavailableError:
            self._watchdog.excuse(time.monotonic())
            raise

    # The loop.

    def _step(self, subscription: Subscription, lookers: ThreadPoolExecutor) -> None:
        # Step 1. Take what is there, unless enough is pending already. Never wait for a segment here.
        self._holding.update(subscription, self._streams, self._ledger)
        for delivery in self._poll(subscription):
            self._take(delivery)
        # Step 2. Start looking where a stream's turn has come.
        self._turns.start(self._streams, lookers)
        # Step 3. Judge what was seen, in the order of each stream; then it is the next one's turn.
        while self._judge():
            self._turns.start(self._streams, lookers)
        # Step 4. Commit answers and offsets together.
        if time.monotonic() - self._last_commit_s >= self._rules.commit_interval_s:
            self._commit(subscription)
        # Step 5. Look after partitions that stand still.
        for place, remedy in self._rousing.due(subscription):
            self._heal(subscription, place, remedy)
        self._metrics.pulse.turn()

    def _poll(self, subscription: Subscription) -> list[Delivery]:
        try:
            found = subscription.poll(0.0 if self._turns.any_ended else POLL_S, limit=self._rules.lookers * 4)
        except BrokerUnavailableError as error:
            log.warning("bus_unavailable", error=str(error))
            self._heard = False
            self._watchdog.excuse(time.monotonic())
            time.sleep(AWAY_S)
            return []
        self._heard = True
        return found

    def _take(self, delivery: Delivery) -> None:
        debt = self._ledger.take(delivery, time.monotonic())
        try:
            segment = wire.segment_of(delivery)
        except SegmentInvalidError as error:
            debt.outputs = self._answering.refuse(debt, error)
            return
        debt.claimed_bytes = segment.claim.size if segment.claim else 0
        debt.live_at_ms = live_at_ms(segment, delivery)
        self._streams.add(debt, segment)
        self._metrics.pending(self._ledger.pending_bytes)

    def _judge(self) -> bool:
        """Whether there was something to judge."""
        if not self._turns.any_ended:
            return False
        for place, stream_id in self._turns.ended():
            for stream, job in self._streams.finished(place, stream_id):
                if job.future is None or job.future.cancelled() or not self._ledger.owes(job.debt):
                    continue
                look = self._seen(job, job.future)
                if look is not None:
                    job.debt.outputs = self._answering.answer(job, stream, look)
                self._forget_streams(stream, job)
                self._watchdog.alive([job.debt.place], time.monotonic())
        return True

    def _forget_streams(self, stream: Stream, job: Job) -> None:
        """Streams that ended or fell silent are remembered no more: here, and on the topic in the same transaction."""
        place = job.debt.place
        gone = self._streams.forget(place, time.monotonic() - self._rules.forget_after_s)
        if job.segment.end_of_stream and self._streams.end(place, stream):
            gone.append(job.segment.stream_id)
        forgotten = (Record(self._rules.topics.states_of(place[0]), name.encode(), None) for name in gone)
        job.debt.outputs = (*(job.debt.outputs or ()), *forgotten)

    def _seen(self, job: Job, future: Future[Look]) -> Look | None:
        """The look, or None when the segment is refused. Raises errors that are not the segment's."""
        try:
            return future.result()
        except ScannerError as error:
            if error.disposition is Disposition.HALT:
                raise
            job.debt.outputs = self._answering.refuse(job.debt, error)
            return None

    def _commit(self, subscription: Subscription) -> None:
        payment = self._ledger.payable()
        self._last_commit_s = time.monotonic()
        self._behind.tell(self._streams, self._ledger, self._holding, heard=self._heard)
        self._metrics.waiting(self._looker.waiting)
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
            self._away = True
            self._watchdog.excuse(time.monotonic())
            return  # still owed: the next round commits the same again
        self._away = False
        self._ledger.paid(payment)
        self._note(payment)

    def _note(self, payment: Payment) -> None:
        now = now_ms()
        for debt in payment.debts:
            if debt.trace is not None:
                debt.trace.published()
            if self._rules.archived(debt.place):
                self._metrics.archived()
                continue
            self._metrics.committed(max(0, now - debt.delivery.timestamp_ms) / 1000)
            self._metrics.behind(debt.delivery.partition, max(0, now - debt.due_ms) / 1000)
        self._metrics.pending(self._ledger.pending_bytes)

    def _heal(self, subscription: Subscription, place: Place, remedy: Remedy) -> None:
        if remedy is Remedy.SEEK:
            self._forget([place])
            try:
                subscription.rewind([place])
                self.assigned([place])
            except BrokerUnavailableError as error:
                raise _RejoinError from error
        elif remedy is Remedy.REJOIN:
            raise _RejoinError
        elif remedy is Remedy.END:
            raise WorkerStuckError(f"partition {place[1]} of {place[0]} stands still whatever is tried")

    def _drain(self, subscription: Subscription) -> None:
        """Finishes what is being looked at, within the budget; the rest is delivered again to somebody else.

        A broker that is away is not waited for: it would hear of nothing that is finished now.
        """
        deadline = time.monotonic() + self._rules.drain_s
        subscription.pause(self._streams.places)
        self._streams.hand_back(begun=False)
        while not self._streams.idle and not self._away:
            if time.monotonic() > deadline:
                log.warning("drain_budget_spent", segments_handed_back=len(self._ledger))
                break
            self._judge()
            self._commit(subscription)
            self._metrics.pulse.turn()
            time.sleep(0.01)
        if not self._away:
            self._commit(subscription)
        log.info("worker_drained", segments_handed_back=len(self._ledger))

    # Partitions come and go, on this same thread, inside poll.

    def assigned(self, places: Sequence[Place]) -> None:
        began = time.monotonic()
        states = remembered(self._bus, self._rules.topics, places)
        for place in places:
            self._streams.assign(place, states[place], began)
        self._watchdog.watch(places, time.monotonic())
        self._metrics.assigned(len(self._streams.places))
        log.info(
            "partitions_assigned",
            partitions=_told(places),
            streams_restored=sum(map(len, states.values())),
            restore_s=round(time.monotonic() - began, 3),
        )

    def revoked(self, places: Sequence[Place]) -> None:
        self._forget(places)
        self._watchdog.forget(places)
        self._metrics.assigned(len(self._streams.places))
        log.info("partitions_revoked", partitions=_told(places))

    def _forget(self, places: Sequence[Place]) -> None:
        self._streams.revoke(places)
        self._ledger.drop(places)
        self._holding.forget(places)
        for place in places:
            if not self._rules.archived(place):
                self._metrics.revoked(place[1])


def _told(places: Sequence[Place]) -> dict[str, list[int]]:
    """Topic to partitions, for people."""
    return {topic: sorted(n for name, n in places if name == topic) for topic in sorted({name for name, _ in places})}
