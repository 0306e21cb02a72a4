"""A source by HTTPS, fetched for FFmpeg, which checks no certificate: playlists, keys and segments, each by our TLS.

FFmpeg asks ─▶ this machine's authorities vouch for the host? ─▶ playlist: as text
                                                             └─▶ segment, key, file: as it comes, deciphered
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from io import BytesIO
from os import SEEK_CUR, SEEK_END, SEEK_SET
from time import sleep
from urllib.parse import urljoin

from scanner.core.errors import MediaError
from scanner.media.fetching import AddressError, Answer, Flow, HttpClient, NotThereError, Part

_PLAYLIST = b"#EXTM3U"
_URI = re.compile(r'(?<=URI=")[^"]*')
_OTHER = re.compile(r"#EXT-X-(?:STREAM-INF|MEDIA):")
_MOST_OTHERS = 256  # playlists in one; FFmpeg asks for every one of them before it plays, and sets 9 kB aside for each
_CIPHERED = "crypto+"  # what FFmpeg puts before the address of an encrypted segment
_PATIENCE, _PAUSE_S = 3, 0.5  # looks at what is announced and not there


class Https:
    """Opens what FFmpeg asks for, as `av.open` wants its `io_open`; it tells about itself as Dash does.

    What cannot be had is an empty file, and kept as a complaint: an exception that FFmpeg passes over would be raised
    by PyAV wherever it looks next.
    """

    def __init__(self, url: str) -> None:
        """To be made before a process is confined."""
        from scanner.media.deciphering import deciphered  # noqa: PLC0415 - 7 MB that no other source needs

        self._client, self._deciphered = HttpClient(url), deciphered
        self._first: tuple[Answer, bytes] | None = None
        self._playlists: set[str] = set()
        self._under_way = False
        """every playlist was asked for, and media come"""
        self._patient = True
        self._lacks = ""
        self._said = ""

    @property
    def output(self) -> str:
        """The address to open."""
        return self._client.url

    def open(self) -> str | None:
        """The container in FFmpeg's words, where it could not know a playlist by its name. Raises MediaError."""
        self._first = _begun(self._client.ask(Part(self.output)))
        return "hls" if self._first[1] == _PLAYLIST else None

    def opens(self, url: str, flags: int, options: Mapping[str, str]) -> Flow | BytesIO:  # noqa: ARG002 - PyAV's call
        """A file to read from."""
        if self._said:
            return BytesIO()
        try:
            return self._found(url, options)
        except NotThereError as error:
            self._patient = False  # once in a row: a playlist may be full of what is gone
            if url in self._playlists or not self._under_way:
                self._complain(str(error))
        except MediaError as error:
            self._complain(str(error))
        return BytesIO()

    def listen(self) -> None:
        """Nothing is said in between."""

    def complaint(self) -> str:
        """Why it ended; empty where it came to the end of its source."""
        return self._said or self._lacks

    def _complain(self, words: str) -> None:
        """Of several playlists FFmpeg does without those that are not to be had, if it can."""
        if self._under_way:
            self._said = self._said or words
        else:
            self._lacks = self._lacks or words

    def _found(self, url: str, options: Mapping[str, str]) -> Flow | BytesIO:
        ciphered = "key" in options
        part = Part(url.removeprefix(_CIPHERED) if ciphered else url, _span(options))
        answer, begun = self._asked(part)
        if begun == _PLAYLIST:
            return BytesIO(self._playlist(url, answer, begun).encode())
        self._under_way, self._lacks = True, ""
        if ciphered:
            return Flow(self._deciphered(answer.rest(begun), options["key"], options["iv"]), self._complain)
        if answer.in_parts and not part.span:
            return _Seekable(self._client, part, answer, begun, self._complain)
        return Flow(answer.rest(begun), self._complain)

    def _playlist(self, url: str, answer: Answer, begun: bytes) -> str:
        """Its text. Raises MediaError where it leads to more playlists than are looked for: to itself, for example."""
        text = answer.whole(begun).decode(errors="replace")
        others = len(_OTHER.findall(text))
        if others > (0 if self._playlists else _MOST_OTHERS):
            raise MediaError(f"a playlist that leads to {others} others{' in another one' * bool(self._playlists)}")
        self._playlists.add(url)
        return _in_full(text, answer.url) if answer.moved else text

    def _asked(self, part: Part) -> tuple[Answer, bytes]:
        """With as much of it as tells a playlist."""
        first, self._first = self._first, None
        found = first or _begun(self._waited(part))
        self._patient = True
        return found

    def _waited(self, part: Part) -> Answer:
        """A live playlist may announce what is about to be published."""
        for _ in range(_PATIENCE - 1 if self._patient else 0):
            try:
                return self._client.ask(part)
            except NotThereError:
                sleep(_PAUSE_S)
        return self._client.ask(part)


class _Seekable(Flow):
    """A file whose parts can be asked for: the index of an MP4 may lie at its end."""

    def __init__(
        self, web: HttpClient, part: Part, answer: Answer, begun: bytes, complain: Callable[[str], None]
    ) -> None:
        self._client, self._url = web, part.url
        self._size = len(begun) + (answer.length or 0)
        self._at = 0
        super().__init__(answer.rest(begun), complain)

    def read(self, size: int = -1) -> bytes:
        taken = super().read(size)
        self._at += len(taken)
        return taken

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        at = offset + {SEEK_SET: 0, SEEK_CUR: self._at, SEEK_END: self._size}[whence]
        if at != self._at:
            self._at = at
            self.turn(self._from(at))
        return at

    def tell(self) -> int:
        return self._at

    def _from(self, at: int) -> Generator[bytes, None, None]:
        """Asked for when it is read: FFmpeg looks for the end to learn the size."""
        if at < self._size:
            yield from self._client.get(Part(self._url, f"{at}-"))


def _begun(answer: Answer) -> tuple[Answer, bytes]:
    begun = b""
    while len(begun) < len(_PLAYLIST) and (more := answer.read(len(_PLAYLIST) - len(begun))):
        begun += more
    return answer, begun


def _span(options: Mapping[str, str]) -> str:
    """From `offset` to before `end_offset`; to the end, where that is 0 or not told."""
    first, end = int(options.get("offset", "0")), int(options.get("end_offset", "0"))
    return f"{first}-{end - 1 if end else ''}" if first or end else ""


def _in_full(playlist: str, base: str) -> str:
    """FFmpeg takes addresses to start where it asked; of a playlist that was found elsewhere, they do not."""
    try:
        return "\n".join(_line_in_full(line, base) for line in playlist.splitlines())
    except ValueError as error:
        raise AddressError from error


def _line_in_full(line: str, base: str) -> str:
    if line.startswith("#"):
        return _URI.sub(lambda found: urljoin(base, found.group()), line)
    return line and urljoin(base, line)
