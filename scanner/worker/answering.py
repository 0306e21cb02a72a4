"""Conclusions and errors to the records that answer a segment, told to metrics and log on the way."""

from __future__ import annotations

import time
from dataclasses import replace

import structlog

from scanner import letters, wire
from scanner.core.errors import Disposition, MediaError, ScannerError
from scanner.core.types import StreamState, Timing, Verdict
from scanner.ledger import Debt
from scanner.local import ATTEMPTS
from scanner.pipeline import Look, Pipeline
from scanner.ports import Record
from scanner.shadow import Told
from scanner.telemetry import Metrics
from scanner.worker.faces import Faces
from scanner.worker.rules import Rules
from scanner.worker.streams import Job, Stream

log = structlog.get_logger()


class Answering:
    def __init__(self, pipeline: Pipeline, metrics: Metrics, rules: Rules) -> None:
        self._pipeline = pipeline
        self._metrics = metrics
        self._rules = rules
        self._faces = None if rules.faces_every_s is None else Faces(rules.topics.faces, rules.faces_every_s)

    def answer(self, job: Job, stream: Stream, look: Look) -> tuple[Record, ...]:
        """The records that answer the job; its stream remembers, unless its answer is larger than topics take."""
        before = stream.state
        conclusion = self._pipeline.answer(before, look)
        stream.state = conclusion.state
        source = job.debt.delivery.source
        queued_ms = max(0, round((time.monotonic() - job.debt.taken_s) * 1000) - look.timing.total)
        timing = replace(look.timing, queued=queued_ms, total=look.timing.total + queued_ms)
        verdict = replace(conclusion.verdict, source=source, timing_ms=timing)
        topics, now = self._rules.topics, now_ms()
        if self._rules.tracing is not None:
            job.debt.trace = self._rules.tracing.answered(job.debt, look, verdict)
        parent = job.debt.trace.traceparent if job.debt.trace else job.segment.traceparent
        live_at_ms = None if self._rules.archived(job.debt.place) else _live_at_ms(job, verdict)
        records = (
            wire.verdict_record(
                verdict, topics.verdicts, at_ms=now, live_at_ms=live_at_ms, by=self._me(), traceparent=parent
            ),
            *(wire.alert_record(alert, topics.alerts, at_ms=now) for alert in conclusion.alerts),
            wire.state_record(conclusion.state, topics.states_of(source.topic), at_ms=now),
            *(self._faces.records(look, verdict, at_ms=now) if self._faces else ()),
            *self._compared(job, stream, before, look, timing),
        )
        largest, most = max(record.size for record in records), self._rules.largest_record_bytes
        if largest > most:
            stream.state = before
            return self.refuse(job.debt, MediaError(f"a record of its answer has {largest} bytes, the most is {most}"))
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
        return records

    def _compared(
        self, job: Job, stream: Stream, before: StreamState, look: Look, timing: Timing
    ) -> tuple[Record, ...]:
        """What a second model says of the same clips, on a topic of its own."""
        try:
            conclusion = self._pipeline.compare(stream.shadow, before, look)
        except Exception:
            log.exception("shadow_failed", stream_id=stream.state.stream_id)
            conclusion = None
        stream.shadow = conclusion.state if conclusion else None
        if conclusion is None:
            return ()
        verdict = replace(conclusion.verdict, source=job.debt.delivery.source, timing_ms=timing)
        return (wire.verdict_record(verdict, self._rules.topics.shadow, at_ms=now_ms(), by=self._me()),)

    def _me(self) -> wire.Answerer:
        return wire.Answerer(self._rules.name, self._rules.cells_restarted())

    def refuse(self, debt: Debt, error: ScannerError) -> tuple[Record, ...]:
        """The dead letter of a segment that will not get a verdict."""
        passing = error.disposition is Disposition.RETRY
        attempt = ATTEMPTS if passing else 1
        record = letters.deadletter_record(
            debt.delivery,
            letters.DeadLetter(error, attempt, "timeout" if passing else "poison"),
            self._rules.topics.deadletters,
            at_ms=now_ms(),
            largest_bytes=self._rules.largest_record_bytes,
        )
        if self._rules.tracing is not None:
            debt.trace = self._rules.tracing.refused(debt, error)
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
        return (record,)


def _live_at_ms(job: Job, verdict: Verdict) -> int:
    """When the segment's last frame was live, or, when that is not told or long over, when it came onto the topic."""
    captured_ms = job.segment.captured_at_ms
    if captured_ms is None or job.debt.live_at_ms is None:
        return job.debt.due_ms
    return captured_ms + verdict.end_ms - verdict.start_ms


def told_shadow(metrics: Metrics) -> Told:
    """Counts what becomes of the second model's segments, and says so when that changes."""
    last = ""

    def told(outcome: str, why: str) -> None:
        nonlocal last
        metrics.shadowed(outcome)
        if outcome != last:
            (log.info if outcome == "judged" else log.warning)("shadow_" + outcome, why=why)
        last = outcome

    return told


def now_ms() -> int:
    return time.time_ns() // 1_000_000
