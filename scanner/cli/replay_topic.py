"""An archive to the segments topic, for the worker group; and a stretch of that topic, scanned here."""

from __future__ import annotations

import json
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any

from scanner.assembly.bus import kafka_bus, media_store, topics_of
from scanner.assembly.scan import assembled, mode_of, policy_of
from scanner.bus.waiting import insisted
from scanner.cli.common import complain
from scanner.cli.publish import plan_of
from scanner.cli.publishing import Plan, Published, publish_all
from scanner.cli.replay_page import write_summary
from scanner.cli.replay_shown import OnTheWay, shown
from scanner.cli.replaying import Order, fetching_for
from scanner.core.errors import ScannerError, SettingsError
from scanner.core.summary import summarise
from scanner.core.types import Segment, Verdict
from scanner.ingest.heads import newest
from scanner.local import Refused, answers
from scanner.media.inputs import Input
from scanner.ports import Bus, MediaStore
from scanner.replay.items import Item
from scanner.replay.journal import RESULTS, Done, Journal
from scanner.replay.results import FileResult, by_segment
from scanner.replay.run import Throttle
from scanner.report.archive import Row, row_of
from scanner.settings import Settings
from scanner.wire import Failure, json_of, segment_of, verdict_of

_CLOCKS_MS = 60_000  # the broker's and ours
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def archive_topic(settings: Settings) -> str:
    """Where archives are published: to a topic of their own, which live streams do not wait for, if there is one."""
    topics = topics_of(settings)
    return topics.archive or topics.segments


def publish_archive(items: Sequence[Item], settings: Settings, order: Order, speed: str, topic: str) -> dict[str, Any]:
    """Everything not published before; a stream that somebody died over goes on where the topic ends.

    A broker that is away at the start is waited for. Raises BrokerUnavailableError when it goes away later,
    TopicMissingError, SettingsError.
    """
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    bus = kafka_bus(settings)
    journal = Journal(order.out, {"to": topic, "segment_s": settings.scan.segment_s})
    before = set(journal.done)
    began_s = time.monotonic()
    try:
        left = [item for item in items if item.stream_id not in journal.done]
        streams = {str(Path(item.place)): item for item in left}
        plan = _reading(replace(plan_of(settings, speed, loop=False), topic=topic), streams, settings, order)
        reached = insisted(
            lambda: (bus.publisher(), _on_topic(bus, topic, journal)), stop, close=lambda late: late[0].close()
        )
        if reached is None:
            return _total(items, journal, before, topic, began_s)
        publisher, after = reached
        journal.plan(len(left), sum(item.size for item in left), time.time_ns() // 1_000_000)
        journal.begin([item.stream_id for item in left], time.time_ns() // 1_000_000)
        sizes = {item.stream_id: max(1, item.size) for item in left}
        with closing(publisher), shown(len(left), sum(sizes.values())) as bars:
            way = OnTheWay(bars, sizes)
            inputs = [Input(Path(item.place), item.stream_id) for item in left]
            store, plan = media_store(settings), replace(plan, after=after)
            for outcome in publish_all(inputs, plan, publisher, store, stop, at_once=order.at_once, told=way.segment):
                done = _finished(outcome, streams, journal)
                if done is not None:
                    way.ended(done.stream_id, until_ms=done.duration_ms, failed=bool(done.failures))
    finally:
        journal.close()
    return _total(items, journal, before, topic, began_s)


def _finished(outcome: Published | Failure, streams: Mapping[str, Item], journal: Journal) -> Done | None:
    """Notes what became of a stream; None when it was stopped on the way."""
    if isinstance(outcome, Failure):
        item = streams[outcome.uri]
        reason = outcome.reason.replace(outcome.uri, item.place)
        complain(reason)
        lost = Done(item.stream_id, "", item.size, 0, 0, None, (reason,), version=item.version)
        return journal.finish(lost, [json_of(replace(outcome, uri=item.place, reason=reason))])
    if not outcome.whole:
        return None
    sent = Done(outcome.stream_id, "", outcome.bytes, outcome.duration_ms, outcome.segments, None)
    return journal.finish(sent, [json.dumps(asdict(outcome)).encode()])


def _reading(plan: Plan, streams: Mapping[str, Item], settings: Settings, order: Order) -> Plan:
    """The plan for files and objects alike, held to the bandwidth: objects when they are fetched, files as they go."""
    throttle = Throttle(order.megabytes_per_s and order.megabytes_per_s * 1e6)
    fetching = fetching_for(settings, order, throttle)

    @contextmanager
    def opened(path: Path) -> Iterator[Path]:
        with fetching.file(streams[str(path)], digested=False) as (file, _):
            yield file

    def taken(path: Path, size: int) -> None:
        if streams[str(path)].stored is None:
            throttle.wait(size)

    return replace(plan, opened=opened, taken=taken)


def _total(items: Sequence[Item], journal: Journal, before: set[str], topic: str, began_s: float) -> dict[str, Any]:
    here = [journal.done[item.stream_id] for item in items if item.stream_id in journal.done]
    return {
        "type": "replayed",
        "to": topic,
        "files": len(items),
        "done": len(here),
        "done_before": len(before & {one.stream_id for one in here}),
        "failed": sum(bool(one.failures) for one in here),
        "segments": sum(one.segments for one in here),
        "seconds": round(time.monotonic() - began_s, 1),
        "stopped": len(here) < len(items),
    }


def _on_topic(bus: Bus, topic: str, journal: Journal) -> dict[str, int]:
    """The last sequence of each stream that was begun and not finished, if any of it arrived."""
    open_streams = {name: at_ms for name, at_ms in journal.begun.items() if name not in journal.done}
    if not open_streams:
        return {}
    found = newest(bus, topic, open_streams, min(open_streams.values()) - _CLOCKS_MS)
    return {name: head.sequence for name, head in found.items()}


def said_on(settings: Settings, topic: str, since: str) -> dict[str, FileResult]:
    """The verdicts on a topic since then, segment by segment. Raises SettingsError where there is none."""

    def verdicts() -> Iterator[Verdict]:
        with closing(kafka_bus(settings).reader([topic], from_beginning=True, since_ms=moment_ms(since))) as reader:
            while not reader.at_end():
                yield from (verdict_of(delivery.record) for delivery in reader.poll(0.5, 500))

    found = by_segment(verdicts())
    if not found:
        raise SettingsError(f"{topic}: holds no verdict since {since}")
    return found


def scan_topic(settings: Settings, out: Path, since: str, until: str | None) -> dict[str, Any]:
    """Scans what the segments topic holds of that time, here; results are whole or not there.

    Raises BrokerUnavailableError, TopicMissingError, SettingsError.
    """
    mode = mode_of(settings, live=False)
    since_ms, until_ms = moment_ms(since), moment_ms(until) if until else time.time_ns() // 1_000_000
    if until_ms <= since_ms:
        raise SettingsError(f"--until {until} is not after --since {since}")
    out.mkdir(parents=True, exist_ok=True)
    verdicts: dict[str, list[Verdict]] = {}
    part, failed, began_s = out / f"{RESULTS}.part", defaultdict[str, list[str]](list), time.monotonic()
    with assembled(settings) as parts, part.open("wb") as lines:
        policy = policy_of(settings, parts.model.card)

        def refused(stream_id: str, error: ScannerError) -> None:
            failed[stream_id].append(str(error))
            complain(f"{stream_id}: {error}")
            lines.write(json_of(Failure(stream_id, error.stage.value, str(error))) + b"\n")

        segments = _segments(settings, since_ms, until_ms, refused)
        for answer in answers(parts.pipeline, segments, mode=mode, ahead=parts.cell_count + 1):
            if isinstance(answer, Refused):
                refused(answer.segment.stream_id, answer.error)
                continue
            verdict = answer.conclusion.verdict
            verdicts.setdefault(verdict.stream_id, []).append(verdict)
            lines.write(json_of(verdict) + b"\n")
        sums = [summarise(name, said, policy) for name, said in verdicts.items()]
        lines.writelines(json_of(one) + b"\n" for one in sums)
    part.rename(out / RESULTS)
    total = {
        "type": "replayed",
        "streams": len(verdicts),
        "segments": sum(map(len, verdicts.values())),
        "failed": sum(map(len, failed.values())),
        "seconds": round(time.monotonic() - began_s, 1),
        "stopped": False,
    }
    rows = {one.uri: row_of(one, segments=len(verdicts[one.uri])) for one in sums}
    rows |= {name: replace(rows.get(name, Row(name)), failures=tuple(reasons)) for name, reasons in failed.items()}
    return write_summary(out, rows.values(), settings, total)


def _segments(
    settings: Settings, since_ms: int, until_ms: int, refused: Callable[[str, ScannerError], None]
) -> Iterator[Segment]:
    topic, store = topics_of(settings).segments, media_store(settings)
    reader = kafka_bus(settings).reader([topic], from_beginning=True, since_ms=since_ms)
    with closing(reader):
        while not reader.at_end():
            for delivery in reader.poll(0.5, 32):
                if delivery.timestamp_ms > until_ms:
                    continue
                try:
                    yield _fetched(segment_of(delivery), store)
                except ScannerError as error:
                    refused(delivery.record.key.decode(errors="replace"), error)


def _fetched(segment: Segment, store: MediaStore) -> Segment:
    claim = segment.claim
    if claim is None:
        return segment
    return replace(segment, payload=store.get(claim.uri, claim.size, claim.sha256))


def moment_ms(given: str) -> int:
    """`90m` ago, or a time like 2026-01-31T12:00 (local when it names no zone); ms since the epoch."""
    number, unit = given[:-1], given[-1:]
    if unit in _UNITS_S and number.replace(".", "", 1).isdigit():
        return round((time.time() - float(number) * _UNITS_S[unit]) * 1000)
    try:
        return round(datetime.fromisoformat(given).astimezone().timestamp() * 1000)
    except ValueError:
        raise SettingsError(f"{given} is neither like 90m, 2h or 7d ago nor a time like 2026-01-31T12:00") from None
