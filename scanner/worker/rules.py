"""How a worker works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from scanner.core.errors import ScannerError
from scanner.core.types import Mode, Verdict
from scanner.ledger import Debt, Trace
from scanner.pipeline import Look
from scanner.ports import Place
from scanner.wire import Topics


class Tracing(Protocol):
    """Begins the trace of an answered segment."""

    def answered(self, debt: Debt, look: Look, verdict: Verdict) -> Trace: ...

    def refused(self, debt: Debt, error: ScannerError) -> Trace: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """See settings.WorkerSettings."""

    topics: Topics
    group: str
    mode: Mode | None
    """None lets each stream's evidence decide, and takes a stream's segments one after another"""
    lookers: int
    archive_mode: Mode = Mode.FULL
    """of archives, which have time"""
    name: str = ""
    """of this worker; it stands in the headers of its verdicts"""
    cells_restarted: Callable[[], int] = lambda: 0
    """decode cells replaced since the start"""
    commit_interval_s: float = 0.5
    pending_bytes: int = 256 * 1024 * 1024
    drain_s: float = 20.0
    tracing: Tracing | None = None
    """told of every answer; None: nobody traces"""
    faces_every_s: float | None = None
    """how often small pictures of a stream's faces are told; None: never"""
    largest_record_bytes: int = 5 * 1024 * 1024
    """what the dead-letter topic takes"""
    patrol_after_s: float | None = None
    """live segments that are older when their turn comes are patrolled only; None: never"""
    shed_after_s: float | None = None
    """… are answered without a look"""
    inspect_at_once: int | None = None
    """most streams inspected at once; None: as many as ask"""
    claim_wait_s: float = 300.0
    """how long the store behind a claim is waited for"""
    forget_after_s: float = 3600.0
    """what is remembered of a stream that has been silent so long is dropped"""
    stuck_after_s: float = 300.0
    """how long a partition may stand still; see watchdog"""

    def archived(self, place: Place) -> bool:
        """Whether it holds segments of archives, which have time."""
        return place[0] == self.topics.archive

    def fixed_mode(self, place: Place) -> Mode | None:
        """How its segments are looked at; None where each stream's evidence decides."""
        return self.archive_mode if self.archived(place) else self.mode
