"""The run itself: several files at once, results in the order of the items, whatever finishes first."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock

from scanner.core.errors import MediaError
from scanner.replay.cache import Cache
from scanner.replay.fetch import Fetching
from scanner.replay.items import Item
from scanner.replay.journal import Done, Journal
from scanner.wire import Failure, json_of

_AHEAD = 4  # finished files that may wait for a slower one before them, for each one that runs

Scan = Callable[[Item, Path], Iterator[bytes]]
"""an item, and the file with its bytes, to the lines of its verdicts, errors and summary"""


@dataclass(frozen=True, slots=True)
class _Scanned:
    done: Done
    lines: list[bytes]


class _StoppedError(Exception):
    """Half a file is no result: it is begun anew the next time."""


class Throttle:
    """Bytes a second, shared by all threads."""

    def __init__(self, bytes_per_s: float | None) -> None:
        self._rate = bytes_per_s
        self._lock = Lock()
        self._free_s = time.monotonic()

    def wait(self, size: int) -> None:
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            starts = max(now, self._free_s)
            self._free_s = starts + size / self._rate
        time.sleep(starts - now)


def replay(
    items: Sequence[Item],
    scan: Scan,
    journal: Journal,
    cache: Cache,
    stop: Event,
    *,
    at_once: int,
    fetching: Fetching,
) -> Iterator[Done]:
    """Each file that was not done before, when its results are durable. Raises what `scan` raises for everybody."""
    open_items = [item for item in items if not journal.holds(item.stream_id, item.version)]
    waiting: deque[Future[_Scanned]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="replay") as threads:
        try:
            for item in open_items:
                if stop.is_set():
                    break
                waiting.append(threads.submit(_timed, item, scan, cache, fetching, stop))
                while len(waiting) >= at_once * _AHEAD:
                    yield _finished(journal, waiting.popleft())
            while waiting and not stop.is_set():
                yield _finished(journal, waiting.popleft())
        except _StoppedError:
            return
        finally:
            for future in waiting:
                future.cancel()


def _finished(journal: Journal, future: Future[_Scanned]) -> Done:
    scanned = future.result()
    return journal.finish(scanned.done, scanned.lines)


def _timed(item: Item, scan: Scan, cache: Cache, fetching: Fetching, stop: Event) -> _Scanned:
    began_s = time.monotonic()
    scanned = _one(item, scan, cache, fetching, stop)
    took_ms = round((time.monotonic() - began_s) * 1000)
    return _Scanned(replace(scanned.done, took_ms=took_ms), scanned.lines)


def _one(item: Item, scan: Scan, cache: Cache, fetching: Fetching, stop: Event) -> _Scanned:
    try:
        if item.stored and (seen := cache.digest_of(item.stored.uri, item.version)):
            known = cache.get(seen, item.stream_id)
            if known is not None:
                return _told(item, seen, known, cached=True)
        with fetching.file(item) as (path, digest):
            return _scanned(item, path, digest, scan, cache, stop)
    except MediaError as error:
        return _told(item, "", [json_of(Failure(item.place, error.stage.value, str(error)))], cached=False)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return _told(item, "", [json_of(Failure(item.place, "decode", reason))], cached=False)


def _scanned(item: Item, path: Path, digest: str, scan: Scan, cache: Cache, stop: Event) -> _Scanned:
    if item.stored:
        cache.fetched(item.stored.uri, item.version, digest)
    known = cache.get(digest, item.stream_id)
    if known is not None:
        return _told(item, digest, known, cached=True)
    lines = []
    for line in scan(item, path):
        lines.append(line)
        if stop.is_set():
            raise _StoppedError
    scanned = _told(item, digest, lines, cached=False)
    if not scanned.done.failures:  # what failed may succeed another time
        cache.put(digest, item.stream_id, lines)
    return scanned


def _told(item: Item, digest: str, lines: list[bytes], *, cached: bool) -> _Scanned:
    parsed = [json.loads(line) for line in lines]
    summary = next((line for line in parsed if line.get("type") == "summary"), None)
    failures = tuple(line["reason"] for line in parsed if line.get("type") == "error")
    done = Done(
        stream_id=item.stream_id,
        digest=digest,
        bytes=item.size,
        duration_ms=summary["duration_ms"] if summary else 0,
        segments=sum("verdict_id" in line for line in parsed),
        label=summary["label"] if summary else None,
        failures=failures,
        cached=cached,
        version=item.version,
    )
    return _Scanned(done, lines)
