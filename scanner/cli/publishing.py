"""Files to the segments topic: each file a stream, streams side by side, at a chosen speed.

file ──cut──▶ Segment ──wait until it would have been recorded──▶ inline, or stored with a claim check ──▶ topic
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Event
from typing import Literal

from scanner.core.errors import MediaError, SettingsError
from scanner.core.types import Segment
from scanner.ingest.claims import ClaimRule, ClaimStore
from scanner.media.cutter import cut
from scanner.media.demux import Limits
from scanner.media.inputs import STDIN, Input
from scanner.ports import Publisher
from scanner.wire import Failure, segment_record

_FLUSH_S = 120.0  # 32 MiB under way on a link of 3 Mbit/s


@dataclass(frozen=True, slots=True)
class Plan:
    """How streams are published."""

    topic: str
    target_s: float
    limits: Limits
    speed: float | None
    """multiples of real time; None as fast as the broker takes it"""
    loop: bool
    """from the start again after the end, as one stream without an end"""
    inline_limit_bytes: int
    claims_root: str | None
    lifted: Callable[[Path], str | None] = lambda _: None
    """what a file's C2PA manifest says"""
    after: Mapping[str, int] = field(default_factory=dict)
    """of streams that were begun before: the last sequence that is on the topic already"""
    opened: Callable[[Path], AbstractContextManager[Path]] = nullcontext
    """a stream's path to the file to cut, for as long as it is cut"""
    taken: Callable[[Path, int], None] = lambda *_: None
    """told how many bytes of which path are published next; takes the time that they may take"""


@dataclass(frozen=True, slots=True)
class Published:
    """What became of one stream."""

    stream_id: str
    segments: int
    bytes: int
    claims: int
    duration_ms: int
    damage: str
    whole: bool = True
    """False when it was stopped on the way"""
    type: Literal["published"] = "published"


Told = Callable[[Segment], None]
"""called from many threads after each segment handed to the publisher"""


def publish_all(
    streams: Sequence[Input],
    plan: Plan,
    publisher: Publisher,
    store: ClaimStore,
    stop: Event,
    *,
    at_once: int,
    told: Told = lambda _: None,
) -> Iterator[Published | Failure]:
    """One outcome a stream, as they end. Raises BrokerUnavailableError, ClaimRefusedError, SettingsError."""
    with ThreadPoolExecutor(at_once, thread_name_prefix="publish") as threads:
        feeds = [_Feed(stream, plan, publisher, store, stop, told) for stream in streams]
        try:
            for done in as_completed([threads.submit(feed.run) for feed in feeds]):
                yield done.result()
        finally:
            stop.set()
            threads.shutdown(cancel_futures=True)


class _Feed:
    """One stream on its way."""

    def __init__(
        self, stream: Input, plan: Plan, publisher: Publisher, store: ClaimStore, stop: Event, told: Told
    ) -> None:
        self._stream = stream
        self._file = stream.path
        self._plan = plan
        self._publisher = publisher
        self._claims_rule = ClaimRule(store, plan.inline_limit_bytes, plan.claims_root)
        self._stop = stop
        self._told = told
        self._segments = 0
        self._bytes = 0
        self._claims = 0
        self._until_ms = 0
        """media time up to which the stream is published"""
        self._cut_ms = 0
        """media time up to which it is cut: a little ahead"""
        self._damage = ""
        self._whole = True

    def run(self) -> Published | Failure:
        try:
            with self._plan.opened(self._stream.path) as self._file:
                self._run()
        except MediaError as error:
            told = str(error).replace(str(self._file), str(self._stream.path))
            return Failure(str(self._stream.path), error.stage.value, told)
        finally:
            self._publisher.flush(_FLUSH_S)
        return Published(
            stream_id=self._stream.stream_id,
            segments=self._segments,
            bytes=self._bytes,
            claims=self._claims,
            duration_ms=self._until_ms,
            damage=self._damage,
            whole=self._whole,
        )

    def _run(self) -> None:
        began_s, began_ms = time.monotonic(), time.time_ns() // 1_000_000
        after = self._plan.after.get(self._stream.stream_id, -1)
        for segment, ready_ms in self._timed():
            if segment.sequence <= after:
                continue
            if self._plan.speed is None:
                self._publish(segment, ready_ms)
            elif not self._stop.wait(max(0.0, began_s + ready_ms / 1000 / self._plan.speed - time.monotonic())):
                captured_at_ms = began_ms + round(segment.start_ms / self._plan.speed)
                self._publish(replace(segment, captured_at_ms=captured_at_ms), ready_ms)
            if self._stop.is_set():
                self._whole = segment.end_of_stream
                break
        if self._plan.loop and self._segments:
            self._publish(self._end(), self._until_ms)

    def _timed(self) -> Iterator[tuple[Segment, int]]:
        """Each segment with the media time at which a live source would have finished it: when the next one starts."""
        held: Segment | None = None
        for segment in self._endless() if self._plan.loop else self._once(0, 0):
            if held is not None:
                yield held, segment.start_ms
            held = segment
        if held is not None:
            yield held, self._cut_ms

    def _endless(self) -> Iterator[Segment]:
        if self._stream.path == STDIN:
            raise SettingsError("--loop needs a file: standard input cannot be read again")
        sequence = 0
        for _ in count():
            offset_ms = self._cut_ms
            for segment in self._once(sequence, offset_ms):
                sequence = segment.sequence + 1
                yield replace(segment, end_of_stream=False)
            if self._cut_ms == offset_ms:
                raise MediaError(f"{self._stream.path}: holds no segment")

    def _once(self, sequence: int, offset_ms: int) -> Iterator[Segment]:
        """The file's segments, numbered on from `sequence` and `offset_ms`."""
        source = "-" if self._file == STDIN else self._file
        plan = self._plan
        c2pa = None if self._file == STDIN else plan.lifted(self._file)
        with cut(
            source, stream_id=self._stream.stream_id, target_s=plan.target_s, limits=plan.limits, c2pa=c2pa
        ) as pieces:
            last_ms = 0
            for segment in pieces:
                last_ms = segment.start_ms
                # Known only as a promise of the container; a segment that starts later proves it wrong.
                end_ms = max(round((pieces.duration_s or 0) * 1000), last_ms + 1)
                self._cut_ms = offset_ms + end_ms
                yield replace(segment, sequence=sequence + segment.sequence, start_ms=offset_ms + segment.start_ms)
            self._damage = pieces.damage

    def _publish(self, segment: Segment, until_ms: int) -> None:
        self._plan.taken(self._stream.path, len(segment.payload))
        segment = self._claims_rule.applied(segment)
        self._claims += segment.claim is not None
        self._publisher.publish(segment_record(segment, self._plan.topic, at_ms=time.time_ns() // 1_000_000))
        self._segments += 1
        self._bytes += len(segment.payload)
        self._until_ms = until_ms
        self._told(segment)

    def _end(self) -> Segment:
        """A bare end: says that nothing more comes, and shows nothing."""
        return Segment(
            stream_id=self._stream.stream_id,
            sequence=self._segments,
            start_ms=self._until_ms,
            payload=b"",
            sha256=sha256(b"").hexdigest(),
            end_of_stream=True,
        )
