"""One source on its way to the spool: connect, cut, keep; again after every end, until it is removed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock, Thread
from uuid import uuid4

import structlog

from scanner.core.errors import MediaError, ScannerError
from scanner.core.types import Segment
from scanner.ingest.numbering import Session
from scanner.ingest.overlap import Overlap
from scanner.ingest.sources import SourceSpec
from scanner.ingest.spool import Spool
from scanner.ingest.status import State, Status
from scanner.media.cutter import Cut, cut
from scanner.media.demux import Limits
from scanner.media.pull import Address, Pull

_FIRST_PAUSE_S = 0.5
_LISTENER_PAUSE_S = 0.2  # an encoder that was cut off is already knocking
_JOIN_S = 10.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rules:
    """What all feeds share."""

    segment_s: float
    stall_s: float
    longest_pause_s: float
    end_after_s: float
    limits: Limits
    lifted: Callable[[Path], str | None] = lambda _: None
    """a file's C2PA manifest, to go along with its segments"""


class Feed:
    """A thread that owns one source."""

    def __init__(self, source: SourceSpec, address: Address | Path, rules: Rules, spool: Spool, status: Status) -> None:
        self.source = source
        self.finished = False
        """the source has an end and reached it"""
        self._address = address
        self._rules = rules
        self._spool = spool
        self._status = status
        self._stop = Event()
        self._pieces: Cut | None = None
        self._pieces_begun: Cut | None = None
        self._overlap = Overlap()
        self._last: Segment | None = None
        self._session = Session("", 0)
        self._ended = True
        self._flows = False
        """whether this connection has brought segments"""
        self._lock = Lock()
        """of what was kept last: a silent stream is ended from outside"""
        status.add(source.name, str(address) if isinstance(address, Path) else address.shown)
        self._thread = Thread(target=self._run, name=f"ingest {source.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, end: bool) -> None:
        """Returns when its thread is gone. `end` says that the stream is over, not only this process."""
        self._stop.set()
        pieces = self._pieces
        if isinstance(pieces, Pull):
            pieces.abort()
        self._thread.join(_JOIN_S)
        if end:
            self._over()

    def _run(self) -> None:
        name = self.source.name
        failures = 0
        while not self._stop.is_set():
            segments, error = self._connection()
            if self._stop.is_set():
                return
            if self.finished:
                self._over()
                _log.info("source_ended", source=name, segments=segments)
                return
            failures = 0 if segments else failures + 1
            self._status.failed(name, error)
            pause_s = self._pause_s(failures)
            _log.warning("source_lost", source=name, why=error, segments=segments, again_in_s=round(pause_s, 1))
            self._status.state(name, State.PAUSING)
            self._stop.wait(pause_s)

    def _connection(self) -> tuple[int, str]:
        """How many segments came until it ended, and why it did."""
        segments = 0
        session = uuid4().hex
        error = "the source ended"
        listens = isinstance(self._address, Address) and self._address.listens
        playlist = isinstance(self._address, Address) and self._address.alone
        self._status.state(self.source.name, State.LISTENING if listens else State.CONNECTING)
        try:
            with self._opened() as pieces:
                self._pieces = pieces
                for segment in pieces:
                    segments += 1
                    fresh = Session(session, segment.sequence)
                    placed = self._overlap.placed(segment, session) if playlist else (segment, fresh)
                    if placed is not None:
                        with self._lock:
                            self._flows = True
                            self._keep(*placed, pieces)
                    if self._stop.is_set():
                        break
                error = pieces.damage or error
                self.finished = isinstance(self._address, Path) or (
                    self._address.alone and pieces.duration_s is not None and not pieces.damage
                )
        except MediaError as media_error:
            error = str(media_error)
            self.finished = isinstance(self._address, Path)
        except (ScannerError, OSError) as unexpected:
            error = f"{type(unexpected).__name__}: {unexpected}"
        finally:
            self._pieces, self._flows = None, False
        return segments, error

    def _opened(self) -> Cut:
        source, rules = self.source, self._rules
        target_s = source.segment_s or rules.segment_s
        if isinstance(self._address, Path):
            c2pa = rules.lifted(self._address)
            return cut(self._address, stream_id=source.name, target_s=target_s, limits=rules.limits, c2pa=c2pa)
        return Pull(
            self._address,
            stream_id=source.name,
            target_s=target_s,
            stall_s=source.stall_s or rules.stall_s,
            limits=rules.limits,
            shows=self._shows,
        )

    def _shows(self, pictures: bool) -> None:
        self._status.state(self.source.name, State.LIVE if pictures else State.NO_VIDEO)
        _log.info("pictures_back" if pictures else "pictures_stopped", source=self.source.name)

    def _keep(self, segment: Segment, session: Session, pieces: Cut) -> None:
        now_ms = time.time_ns() // 1_000_000
        captured_at_ms = now_ms if segment.captured_at_ms is None else segment.captured_at_ms
        before = self._last
        if before is not None and before.captured_at_ms is not None:
            captured_at_ms = max(before.captured_at_ms + 1, captured_at_ms)
        kept = replace(segment, captured_at_ms=captured_at_ms, end_of_stream=False)
        finite = isinstance(self._address, Path) or (pieces.duration_s is not None and self._address.alone)
        while finite and not self._stop.is_set() and not self._spool.wait_for_room(0.5):
            pass  # an archive can wait where a live stream cannot
        if self._pieces_begun is not pieces:
            self._pieces_begun = pieces
            self._began(kept, session, pieces)
        if self._session.name == session.name and (lost := session.ordinal - self._session.ordinal - 1):
            self._report_lost(self.source.name, lost, "the source left a hole")
        self._session, self._last, self._ended = session, kept, False
        drift_ms = (kept.start_ms - self._began_at[0]) - (captured_at_ms - self._began_at[1])
        self._put(kept)
        self._status.cut(self.source.name, len(segment.payload), drift_ms)

    def _began(self, first: Segment, session: Session, pieces: Cut) -> None:
        self._began_at = (first.start_ms, first.captured_at_ms or 0)
        codec, size = (pieces.codec, pieces.size) if isinstance(pieces, Pull) else ("", (0, 0))
        self._status.live(self.source.name, codec, size)
        facts = {"codec": codec, "size": "×".join(map(str, size))} if codec else {}
        _log.info("source_live", source=self.source.name, session=session.name[:8], **facts)

    def _put(self, segment: Segment) -> None:
        try:
            overflow = self._spool.put(segment, self._session)
        except OSError as error:
            self._report_lost(self.source.name, 1, f"the spool's disk: {error.strerror}")
            return
        for gone in overflow:
            self._report_lost(gone.stream_id, 1, "the spool is full")
        self._status.spooled(self._spool.bytes)

    def _report_lost(self, stream_id: str, lost: int, why: str) -> None:
        self._status.lost(stream_id, lost)
        _log.warning("segments_lost", stream=stream_id, count=lost, why=why)

    def tick(self) -> None:
        """Ends the stream on the topic when its silence has lasted: to be called now and then."""
        if self._flows:
            return
        with self._lock:
            last = self._last
            if last is None or self._flows:
                return
            if time.time() * 1000 - (last.captured_at_ms or 0) > self._rules.end_after_s * 1000:
                self._end()

    def _over(self) -> None:
        with self._lock:
            self._end()
        self._status.state(self.source.name, State.ENDED)

    def _end(self) -> None:
        """A bare end: nothing more comes."""
        last = self._last
        if last is None or self._ended:
            return
        now_ms = max(time.time_ns() // 1_000_000, (last.captured_at_ms or 0) + 1)
        self._ended = True
        end = replace(
            last,
            start_ms=last.start_ms + now_ms - (last.captured_at_ms or 0),
            payload=b"",
            sha256=sha256(b"").hexdigest(),
            captured_at_ms=now_ms,
            end_of_stream=True,
        )
        self._last = end
        self._put(end)

    def _pause_s(self, failures: int) -> float:
        """Doubles to the longest, with jitter: a server that comes back is not met by all at once."""
        if isinstance(self._address, Address) and self._address.listens:
            return _LISTENER_PAUSE_S
        longest = min(self._rules.longest_pause_s, _FIRST_PAUSE_S * 2.0 ** min(failures, 16))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
