"""A DASH presentation as one run of bytes: fetched piece by piece, and of a live one no faster than it grows.

read ─▶ init, piece, piece ─▶ nothing new? wait, read the manifest again ─▶ piece …
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from time import sleep
from typing import Self

from scanner.core.errors import MediaError
from scanner.media.dash.addressing import Piece
from scanner.media.dash.manifest import Manifest, Rendition, parse
from scanner.media.fetching import Flow, HttpClient, NotThereError

_BEHIND_S, _BEHIND_PIECES = 12.0, 3
"""of a live presentation's end: so far back, whichever is more, a connection begins. What an outage kept from us is
fetched later, and what came before is recognised: an Overlap looks at 16 segments."""
_SOONEST_S, _LATEST_S = 0.5, 5.0  # between two looks at a live manifest; else half a piece
_PATIENCE = 3  # looks at a piece that is announced and not there; then it is left out
_FORMATS = {"video/webm": "matroska", "video/mp2t": "mpegts"}


class Dash:
    """A file to `read` from, once it was opened; it tells about itself as a Relay does."""

    def __init__(self, url: str) -> None:
        """To be made before a process is confined."""
        self._client = HttpClient(url)
        self.duration_s: float | None = None
        """of a source that has an end; known when it is open"""
        self._place = ""
        self._said = ""
        self._flow: Flow | None = None

    @property
    def output(self) -> Self:
        return self

    def open(self) -> str:
        """The container that its bytes are in, in FFmpeg's words. Raises MediaError when there is no presentation."""
        self._manifest = self._told("")
        chosen = self._manifest.first_choice()
        if not self._manifest.live:
            if not chosen.pieces:
                raise MediaError("a finished DASH presentation without a piece")
            self.duration_s = chosen.seconds or sum(piece.seconds for piece in chosen.pieces) or None
        self._flow = Flow(self._run(chosen), self._complain)
        return _FORMATS.get(chosen.mime.partition(";")[0], "mov")

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, and empty when it ended."""
        return self._flow.read(size) if self._flow else b""

    def listen(self) -> None:
        """Nothing is said in between."""

    def complaint(self) -> str:
        """Why it ended; empty where it came to the end of its source."""
        return self._said

    def _complain(self, words: str) -> None:
        self._said = words

    def _run(self, chosen: Rendition) -> Generator[bytes, None, None]:
        if chosen.init is not None:
            yield from self._client.get(chosen.init)
        fresh = list(chosen.pieces)
        if self._manifest.live:
            fresh = fresh[-_behind(fresh) :]
        done = -1
        while True:
            for piece in fresh:
                yield from self._piece(piece)
                done = piece.start
            if not self._manifest.live:
                return
            sleep(_pause_s(chosen))
            self._manifest = self._told(chosen.name)
            names = [rendition.name for rendition in self._manifest.renditions]
            if chosen.name not in names:
                raise MediaError("the presentation goes on in another Period")
            chosen = self._manifest.renditions[names.index(chosen.name)]
            fresh = [piece for piece in chosen.pieces if piece.start > done]
            if not fresh and any(later.pieces for later in self._manifest.renditions[names.index(chosen.name) + 1 :]):
                raise MediaError("the presentation goes on in another Period")

    def _piece(self, piece: Piece) -> Iterator[bytes]:
        """A live presentation may announce what it is about to publish, or have taken away what it announced."""
        for _ in range(_PATIENCE if self._manifest.live else 0):
            try:
                yield from self._client.get(piece.part)
            except NotThereError:
                sleep(min(max(piece.seconds / 2, _SOONEST_S), _LATEST_S))
            else:
                return
        if not self._manifest.live:
            yield from self._client.get(piece.part)

    def _told(self, name: str) -> Manifest:
        page = self._client.page(self._place)
        manifest = parse(page.text, page.url, page.now_s, name)
        self._place = manifest.place or self._place
        return manifest


def _behind(pieces: list[Piece]) -> int:
    """How many of the last pieces a connection begins with."""
    seconds = 0.0
    for count, piece in enumerate(reversed(pieces)):
        if seconds >= _BEHIND_S and count >= _BEHIND_PIECES:
            return count
        seconds += piece.seconds
    return len(pieces)


def _pause_s(chosen: Rendition) -> float:
    last_s = chosen.pieces[-1].seconds if chosen.pieces else 0.0
    return min(max(last_s / 2, _SOONEST_S), _LATEST_S)
