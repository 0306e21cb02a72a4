"""What was delivered and not yet judged, by partition and stream, and what is remembered of each stream."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import structlog

from scanner import wire
from scanner.core.errors import SegmentInvalidError
from scanner.core.types import Segment, StreamState
from scanner.ledger import Debt
from scanner.pipeline import Look
from scanner.ports import Bus, Delivery, Place
from scanner.wire import Topics

log = structlog.get_logger()

_POLL_S = 0.05
_AT_ONCE = 10_000
_FORGOTTEN_AT_ONCE = 16


@dataclass(slots=True, eq=False)
class Job:
    """A segment on its way to its answer."""

    debt: Debt
    segment: Segment
    future: Future[Look] | None = None
    gone: threading.Event = field(default_factory=threading.Event)
    """set when nobody waits for the look any more"""


@dataclass(slots=True)
class Stream:
    """Segments of one stream that were delivered and not yet judged, in order."""

    state: StreamState
    waiting: deque[Job] = field(default_factory=deque)
    heard_s: float = 0.0
    """monotonic clock when its last segment came, or its state"""
    shadow: StreamState | None = None
    """what a second model remembers of it, as long as it stays here"""


class Streams:
    """Of all partitions that this worker owns."""

    def __init__(self) -> None:
        self._places: dict[Place, dict[str, Stream]] = {}

    @property
    def places(self) -> list[Place]:
        return list(self._places)

    def assign(self, place: Place, states: Iterable[StreamState], now_s: float) -> None:
        self._places[place] = {state.stream_id: Stream(state, heard_s=now_s) for state in states}

    def revoke(self, places: Iterable[Place]) -> None:
        for place in places:
            for stream in self._places.pop(place, {}).values():
                _cancel(stream.waiting)

    def add(self, debt: Debt, segment: Segment) -> None:
        streams = self._places.setdefault(debt.place, {})
        stream = streams.pop(segment.stream_id, None) or Stream(StreamState(segment.stream_id))
        stream.heard_s = debt.taken_s
        stream.waiting.append(Job(debt, segment))
        streams[segment.stream_id] = stream  # at the end: the first is the one that has been silent longest

    def forget(self, place: Place, before_s: float) -> list[str]:
        """Drops streams that were silent since then, a few at a time, and returns their names."""
        streams = self._places.get(place, {})
        oldest = [name for name, stream in islice(streams.items(), _FORGOTTEN_AT_ONCE) if stream.heard_s < before_s]
        gone = [name for name in oldest if not streams[name].waiting]
        for name in gone:
            del streams[name]
        return gone

    def end(self, place: Place, stream: Stream) -> bool:
        """Drops a stream that ended, unless it began again already."""
        if stream.waiting:
            return False
        return self._places.get(place, {}).pop(stream.state.stream_id, None) is not None

    def startable(self, place: Place, *, together: bool) -> Iterator[tuple[Stream, Job]]:
        """A partition's jobs whose turn has come: with `together` all, else the first of each stream."""
        for stream in self._places.get(place, {}).values():
            for job in stream.waiting:
                if job.future is None:
                    yield stream, job
                if not together:
                    break  # the next segment's mode depends on this one's verdict

    def finished(self, place: Place, stream_id: str) -> Iterator[tuple[Stream, Job]]:
        """The looked-at head of a stream, taken off it."""
        stream = self._places.get(place, {}).get(stream_id)
        while stream and stream.waiting and (future := stream.waiting[0].future) and future.done():
            yield stream, stream.waiting.popleft()

    def hand_back(self, *, begun: bool) -> None:
        """Forgets jobs that were not begun; with `begun` all."""
        for stream in self._all():
            dropped = [job for job in stream.waiting if begun or job.future is None]
            stream.waiting = deque(job for job in stream.waiting if job not in dropped)
            _cancel(dropped)

    @property
    def idle(self) -> bool:
        return not any(stream.waiting for stream in self._all())

    def _all(self) -> Iterator[Stream]:
        for streams in self._places.values():
            yield from streams.values()


def remembered(bus: Bus, topics: Topics, places: Iterable[Place]) -> dict[Place, list[StreamState]]:
    """What is remembered of the streams of these partitions. Raises BrokerUnavailableError.

    Commits that are under way are waited for: a partition's states are those that belong to its committed offset.
    """
    wanted = list(places)
    found: dict[Place, list[StreamState]] = {place: [] for place in wanted}
    for asked in topics.asked:
        numbers = [number for topic, number in wanted if topic == asked]
        for number, state in _read(bus, topics.states_of(asked), numbers) if numbers else ():
            found[asked, number].append(state)
    return found


def _read(bus: Bus, topic: str, numbers: list[int]) -> list[tuple[int, StreamState]]:
    last: dict[tuple[int, bytes], Delivery] = {}
    with closing(bus.reader([topic], from_beginning=True, partitions=numbers)) as reader:
        # Asking for the end is a round trip, and parsing costs more than reading: only where it is needed.
        while (found := reader.poll(_POLL_S, limit=_AT_ONCE)) or not reader.at_end():
            last |= {(delivery.partition, delivery.record.key): delivery for delivery in found}
    states = ((number, _state(delivery)) for (number, _), delivery in last.items())
    return [(number, state) for number, state in states if state is not None]


def _state(delivery: Delivery) -> StreamState | None:
    """None when the stream was forgotten, or nobody can read what was remembered."""
    if delivery.record.value is None:
        return None
    try:
        return wire.state_of(delivery.record)
    except SegmentInvalidError as error:
        stream_id = delivery.record.key.decode(errors="replace")
        log.warning("state_unreadable", stream_id=stream_id, offset=delivery.offset, error=str(error))
        return None


def _cancel(jobs: Iterable[Job]) -> None:
    for job in jobs:
        job.gone.set()
        if job.future is not None:
            job.future.cancel()
