"""Dead letters put on their topic again from the page, one redrive at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import structlog

from scanner.core.errors import ScannerError
from scanner.core.types import Source
from scanner.ports import Bus
from scanner.redrive import Fate, Letter, letter_of, redrive
from scanner.wire import Topics

log = structlog.get_logger()

FATES_KEPT = 1000


class Redriver:
    """Runs one redrive at a time on a thread of its own: looking for earlier ones may take minutes."""

    def __init__(self, bus: Bus, topics: Topics) -> None:
        self._bus = bus
        self._topics = topics
        self._lock = threading.Lock()
        self._fates: OrderedDict[Source, Fate | None] = OrderedDict()
        """of dead letters; None is under way"""
        self._thread: threading.Thread | None = None
        self.trouble = ""
        """why the last redrive ended early; empty when it did not"""

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def fates(self) -> dict[Source, str]:
        """What became of dead letters that were redriven from here: a fate, or "under_way"."""
        with self._lock:
            return {place: fate.value if fate else "under_way" for place, fate in self._fates.items()}

    def start(self, places: Sequence[Source], by: str) -> bool:
        """Whether it has begun: not while another is under way.

        Args:
            places: of dead letters on their topic.
        """
        with self._lock:
            if self.busy:
                return False
            self.trouble = ""
            for place in places:
                self._note(place, None)
            self._thread = threading.Thread(target=self._run, args=(places, by), name="dashboard-redrive", daemon=True)
            self._thread.start()
        return True

    def wait(self, timeout_s: float) -> None:
        """Waits for the redrive that is under way."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self, places: Sequence[Source], by: str) -> None:
        try:
            found = [letter for place in places if (letter := self._letter(place)) is not None]
            redrive(self._bus, self._topics, found, dry=False, told=lambda letter, fate: self._told(letter, fate, by))
        except ScannerError as error:
            self.trouble = str(error)
            log.warning("redrive_interrupted", error=str(error), by=by)
        finally:
            with self._lock:
                for place in [place for place, fate in self._fates.items() if fate is None]:
                    del self._fates[place]

    def _letter(self, place: Source) -> Letter | None:
        delivery = self._bus.fetch(place)
        letter = letter_of(delivery) if delivery else None
        if letter is None:
            with self._lock:
                self._note(place, Fate.GONE)
        return letter

    def _told(self, letter: Letter, fate: Fate, by: str) -> None:
        with self._lock:
            self._note(letter.at, fate)
        log.info("redriven_from_the_page", letter=letter.name, fate=fate.value, by=by)

    def _note(self, place: Source, fate: Fate | None) -> None:
        self._fates[place] = fate
        self._fates.move_to_end(place)
        if len(self._fates) > FATES_KEPT:
            self._fates.popitem(last=False)
