"""Many sources in one process: added and removed at run time, none disturbed by another's death."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock

import structlog

from scanner.core.errors import SettingsError
from scanner.ingest.addresses import address_of
from scanner.ingest.claims import ClaimRule
from scanner.ingest.delivery import Delivery
from scanner.ingest.feed import Feed, Rules
from scanner.ingest.heads import Heads
from scanner.ingest.roster import Roster
from scanner.ingest.sources import SourceSpec
from scanner.ingest.spool import Spool
from scanner.ingest.status import Status
from scanner.ports import Bus
from scanner.telemetry import IngestMetrics, Pulse

_WATCH_S = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """How everything is ingested."""

    topic: str
    spool: Path
    spool_bytes: int
    drain_s: float
    rules: Rules


class BothPulse(Pulse):
    """Alive, and ready, while two loops go round: the one over the feeds, which turns it, and delivery's."""

    def __init__(self, delivery: Pulse) -> None:
        super().__init__()
        self._delivery = delivery

    @property
    def alive(self) -> bool:
        return super().alive and self._delivery.alive

    @property
    def ready(self) -> bool:
        return self.alive


class Ingest:
    """Runs feeds and the delivery behind them."""

    def __init__(self, bus: Bus, plan: Plan, roster: Roster, claims: ClaimRule, metrics: IngestMetrics) -> None:
        """Raises SettingsError when the spool is taken."""
        self.status = Status(metrics)
        self.spool = Spool(plan.spool, plan.spool_bytes)
        self._plan = plan
        self._feeds: dict[str, Feed] = {}
        self._roster = roster
        self._ending = False
        self._lock = Lock()
        """of the three above"""
        heads = Heads(bus, plan.topic, plan.spool / "heads.json")
        self._delivery = Delivery(bus, plan.topic, self.spool, heads, claims, self.status)
        self.pulse = BothPulse(self._delivery.pulse)

    def run(self, stop: Event, told: Callable[[], None], *, lasting: bool = False) -> None:
        """Until stopped, or every source has ended and none is watched for.

        Args:
            told: called about once a second.
            lasting: goes on when every source has ended: others may be added.

        Raises:
            SettingsError: at the start.
            DeliveryDiedError: segments come, and nobody delivers them.
        """
        with self._lock:
            self._change(strict=True)
            self._tell_damage()
        self._delivery.start()
        lasting |= self._roster.file is not None
        try:
            while not stop.wait(_WATCH_S):
                self.pulse.turn()
                self._delivery.check()
                told()
                with self._lock:
                    if not lasting and all(feed.finished for feed in self._feeds.values()):
                        break
                    self._reread()
                    for feed in self._feeds.values():
                        feed.tick()
        finally:
            with self._lock:
                self._ending = True
                for feed in self._feeds.values():
                    feed.stop(end=False)
            self._delivery.stop(self._plan.drain_s)
            self.spool.close()
        self._delivery.check()

    def put(self, source: SourceSpec) -> bool:
        """Adds a source, or changes one that was added. Whether it is new. From any thread. Raises SettingsError."""
        address_of(source)
        with self._changing():
            return self._roster.put(source)

    def remove(self, name: str) -> bool:
        """Ends a source that was added. Whether it was there. From any thread. Raises SettingsError."""
        with self._changing():
            return self._roster.remove(name)

    def sources(self) -> list[dict[str, object]]:
        """What is ingested now, plain, by name; without what addresses hide."""
        with self._lock:
            here = {name: self._roster.origin(name) for name in self._feeds}
        told = (source for source in self.status.sources() if source["name"] in here)
        return [{**source, "origin": here[str(source["name"])]} for source in told]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            if self._ending:
                raise SettingsError("ingestion is ending")
            yield
            self._change(strict=False)

    def _tell_damage(self) -> None:
        streams = [source.name for source in self._roster.sources()]
        for damaged in self.spool.damaged:
            stream = damaged.stream_among(streams)
            _log.warning("segments_lost", stream=stream, count=1, why=damaged.why, kept_as=str(damaged.path))
            self.status.lost(stream, 1)

    def _reread(self) -> None:
        try:
            if self._roster.edited():
                self._change(strict=False)
        except SettingsError as error:
            _log.error("sources_unchanged", why=str(error))

    def _change(self, *, strict: bool) -> None:
        """Only what differs is stopped or started."""
        wanted = {source.name: source for source in self._roster.sources()}
        addresses = {}
        for source in wanted.values():
            try:
                addresses[source.name] = address_of(source)
            except SettingsError as error:
                if strict:
                    raise
                _log.error("source_refused", why=str(error))
        for name, feed in list(self._feeds.items()):
            if wanted.get(name) != feed.source and (name not in wanted or name in addresses):
                feed.stop(end=name not in wanted)
                del self._feeds[name]
                _log.info("source_removed" if name not in wanted else "source_changed", source=name)
        for name, address in addresses.items():
            if name not in self._feeds:
                self._feeds[name] = Feed(wanted[name], address, self._plan.rules, self.spool, self.status)
                self._feeds[name].start()
