"""Many sources in one process: added and removed at run time, none disturbed by another's death."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import structlog

from scanner.core.errors import SettingsError
from scanner.ingest.addresses import address_of
from scanner.ingest.claims import ClaimRule
from scanner.ingest.delivery import Delivery
from scanner.ingest.feed import Feed, Rules
from scanner.ingest.heads import Heads
from scanner.ingest.sources import SourceSpec, read_sources
from scanner.ingest.spool import Spool
from scanner.ingest.status import Status
from scanner.ports import Bus
from scanner.telemetry import IngestMetrics

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


class Ingest:
    """Runs feeds and the delivery behind them."""

    def __init__(self, bus: Bus, plan: Plan, claims: ClaimRule, metrics: IngestMetrics) -> None:
        """Raises SettingsError when the spool is taken."""
        self.status = Status(metrics)
        self.spool = Spool(plan.spool, plan.spool_bytes)
        self._plan = plan
        self._feeds: dict[str, Feed] = {}
        heads = Heads(bus, plan.topic, plan.spool / "heads.json")
        self._delivery = Delivery(bus, plan.topic, self.spool, heads, claims, self.status)

    def run(self, sources: Iterable[SourceSpec], file: Path | None, stop: Event, told: Callable[[], None]) -> None:
        """Until stopped, or every source has ended and none is watched for. Raises SettingsError at the start.

        Args:
            file: a sources.toml whose edits are followed.
            told: called about once a second.
        """
        fixed = tuple(sources)
        self._change_to(fixed + (read_sources(file) if file else ()), strict=True)
        stop_delivery = Event()
        delivery = Thread(target=self._delivery.run, args=(stop_delivery, self._plan.drain_s), name="delivery")
        delivery.start()
        written = _written(file)
        try:
            while not stop.wait(_WATCH_S):
                told()
                if file is None and all(feed.finished for feed in self._feeds.values()):
                    break
                if file is not None and (now := _written(file)) != written:
                    written = now
                    self._reread(fixed, file)
        finally:
            for feed in self._feeds.values():
                feed.stop(end=False)
            stop_delivery.set()
            delivery.join()
            self.spool.close()

    def _reread(self, fixed: tuple[SourceSpec, ...], file: Path) -> None:
        try:
            self._change_to(fixed + read_sources(file), strict=False)
        except SettingsError as error:
            _log.error("sources_unchanged", why=str(error))

    def _change_to(self, sources: tuple[SourceSpec, ...], *, strict: bool) -> None:
        """Only what differs is stopped or started."""
        wanted = {source.name: source for source in sources}
        if len(wanted) < len(sources):
            names = [source.name for source in sources]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise SettingsError(f"two sources would be one stream: {', '.join(twice)}; name them apart: NAME=URL")
        addresses = {}
        for source in sources:
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


def _written(file: Path | None) -> tuple[int, int] | None:
    try:
        return None if file is None else (file.stat().st_mtime_ns, file.stat().st_size)
    except OSError:
        return None
