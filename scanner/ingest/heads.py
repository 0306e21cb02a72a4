"""The newest segment of each stream: asked of the topic, remembered in a file so that the next start asks less."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

from scanner.core.errors import SegmentInvalidError
from scanner.ingest.numbering import Head, head_of
from scanner.ports import Bus
from scanner.wire import segment_of

_MARGIN_MS = 120_000  # clocks of brokers and sources differ
_RECENT_MS = 2 * 3600 * 1000
_POLL_S = 0.5


class Heads:
    """One head a stream, once `learn` has asked for it."""

    def __init__(self, bus: Bus, topic: str, file: Path) -> None:
        self._bus = bus
        self._topic = topic
        self._file = file
        self._remembered = _read(file)
        self._heads: dict[str, Head] = {}
        self._asked: set[str] = set()
        self._tried: dict[tuple[str, int, int], Head] = {}

    def __getitem__(self, stream_id: str) -> Head | None:
        """None for a stream of which the topic holds nothing."""
        return self._heads.get(stream_id)

    def __setitem__(self, stream_id: str, head: Head) -> None:
        self._heads[stream_id] = head
        self._remembered[stream_id] = head
        self._tried.clear()

    def trying(self, stream_id: str, head: Head) -> None:
        """Is being published: should nobody hear how it ended, the topic tells, and this says whose it was."""
        self._tried[(stream_id, head.sequence, head.captured_at_ms)] = head

    def learn(self, streams: set[str], turn: Callable[[], None] = lambda: None) -> None:
        """Asks for those not asked before. Raises BrokerUnavailableError, TopicMissingError.

        Args:
            turn: called as a sign of life while a long topic is read.
        """
        wanted = streams - self._asked
        if not wanted:
            return
        now_ms = time.time_ns() // 1_000_000
        known = {stream: self._remembered[stream] for stream in wanted if stream in self._remembered}
        if known:
            since_ms = min(head.captured_at_ms for head in known.values()) - _MARGIN_MS
            self._heads |= {**known, **self._on_topic(set(known), since_ms, turn)}
        new = wanted - known.keys()
        for since_ms in (now_ms - _RECENT_MS, 0):  # a stream that is not found lately may still be there
            if new := new - self._heads.keys():
                self._heads |= self._on_topic(new, since_ms, turn)
        self._asked |= wanted

    def doubt(self) -> None:
        """Whether what was published last is on the topic is not known: it will be asked again."""
        self._asked.clear()

    def save(self) -> None:
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps({name: _plain(head) for name, head in self._remembered.items()}))
        part.rename(self._file)

    def _on_topic(self, streams: set[str], since_ms: int, turn: Callable[[], None]) -> dict[str, Head]:
        found = newest(self._bus, self._topic, streams, since_ms, turn)
        return {name: self._ours(name, head) for name, head in found.items()}

    def _ours(self, stream_id: str, found: Head) -> Head:
        """With the session it came from, when it was this process that published it."""
        tried = self._tried.get((stream_id, found.sequence, found.captured_at_ms))
        last = self._remembered.get(stream_id, found)
        return tried or (last if last.sequence == found.sequence else found)


def newest(
    bus: Bus, topic: str, streams: Iterable[str], since_ms: int, turn: Callable[[], None] = lambda: None
) -> dict[str, Head]:
    """Of each stream the segment with the highest number that was written since. Raises BrokerUnavailableError."""
    found: dict[str, Head] = {}
    keys = {stream.encode() for stream in streams}
    with closing(bus.reader([topic], from_beginning=True, since_ms=max(0, since_ms))) as reader:
        while not reader.at_end():
            turn()
            for delivery in reader.poll(_POLL_S, 200):
                if delivery.record.key in keys:
                    with suppress(SegmentInvalidError):  # somebody else's; the worker will say so
                        segment = segment_of(delivery)
                        before = found.get(segment.stream_id)
                        if before is None or segment.sequence >= before.sequence:
                            found[segment.stream_id] = head_of(segment, delivery.timestamp_ms)
    return found


def _plain(head: Head) -> dict[str, object]:
    facts = asdict(head)
    del facts["session"], facts["offset_ms"]
    return facts


def _read(file: Path) -> dict[str, Head]:
    try:
        return {name: Head(**facts) for name, facts in json.loads(file.read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):  # the topic knows better
        return {}
