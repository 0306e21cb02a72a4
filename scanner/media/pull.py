"""A live source to self-contained segments, by the cutter's rules, in a confined process that may use the network.

address ──▶ confined process: connect or listen, demux, cut, mux ──socket──▶ Segment, Segment, …
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic

from scanner.core.errors import MediaError
from scanner.core.types import Segment
from scanner.media.child import Child
from scanner.media.cutter import Cut
from scanner.media.demux import Limits
from scanner.media.protocol import Fields, Message, OverdueError, ProtocolError
from scanner.media.sandbox import Confinement

OPENING_S = 20.0  # names, handshakes, a playlist and its first segments
SILENT_S = 3.0  # other streams go on and no picture comes
LONGEST_SILENT_S = 30.0  # then it is opened anew: pictures of another codec come in a stream that FFmpeg made later


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream comes from and what FFmpeg is told about it."""

    url: str = field(repr=False)
    """may hold a stream key or a password: `shown` is for people"""
    shown: str
    options: Mapping[str, str] = field(default_factory=dict)
    """of demuxer and protocol, `format_whitelist` and `protocol_whitelist` among them"""
    container_format: str | None = None
    relay: tuple[str, ...] = field(default=(), repr=False)
    """the command of an ffmpeg program that speaks the protocol and copies to its standard output"""
    devices: tuple[str, ...] = ()
    """files that the relay may open for reading and writing"""
    listens: bool = False
    """waits for somebody to push, as long as it takes"""
    alone: bool = False
    """only the chosen video is fetched"""
    pipe: bool = False
    """the URL is the path of a named pipe"""
    dash: bool = False
    """the URL is that of a DASH manifest"""
    fetched: bool = False
    """every byte is fetched for FFmpeg, which checks no certificate"""


class Pull(Cut):
    """Segments of one connection to one source, until it ends. Sequence jumps by one where something is missing."""

    def __init__(
        self,
        address: Address,
        *,
        stream_id: str,
        target_s: float,
        stall_s: float,
        limits: Limits | None = None,
        confinement: Confinement | None = None,
        shows: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """
        Args:
            stall_s: without any packet for so long, the source is held to be dead.
            shows: told when pictures stop to come while sound goes on, and when they come again.
        """
        opening_s = None if address.listens else max(OPENING_S, stall_s)
        super().__init__(
            address.shown, stream_id, target_s, limits or Limits(), confinement or Confinement(), opening_s
        )
        self.name = address.shown
        self.connected = False
        self.video_packets = 0
        self.other_packets = 0
        self.codec = ""
        self.size = (0, 0)
        self._address = address
        self._alive_s = stall_s
        self._child: Child | None = None
        self._aborted = False
        self._shows = shows
        self._showing = True
        self._seen_s = 0.0
        self._segments = self._pulled()

    def abort(self) -> None:
        """Ends it from another thread: whoever iterates gets a MediaError."""
        self._aborted = True
        if child := self._child:
            child.kill()

    def _pulled(self) -> Generator[Segment, None, None]:
        try:
            yield from self._connected()
        except MediaError as error:
            raise MediaError(f"{self.name}: {error}") from error.__cause__

    def _connected(self) -> Iterator[Segment]:
        self._child = child = Child("scanner.media.pull_main")
        if self._aborted:
            child.kill()
        try:
            yield from self._heard(child)
        except OverdueError as error:
            doing = "sent nothing" if self.connected else "could not be opened"
            raise MediaError(f"{doing} for {self._stall_s:g} s") from error
        except ProtocolError as error:
            raise MediaError(f"the process that read it {child.obituary(error)}") from error
        finally:
            child.close()

    def _orders(self) -> Message:
        address = self._address
        return {
            **super()._orders(),
            "url": address.url,
            "options": dict(address.options),
            "format": address.container_format,
            "pipe": address.pipe,
            "dash": address.dash,
            "fetched": address.fetched,
            "relay": address.relay,
            "devices": address.devices,
            "alone": address.alone,
        }

    def _learn(self, facts: Fields) -> None:
        super()._learn(facts)
        self.codec = facts.text("codec", 32)
        self.size = facts.integer("width", 0, 2**16), facts.integer("height", 0, 2**16)
        self.connected, self._seen_s = True, monotonic()
        self._stall_s = self._alive_s

    def _alive(self, pulse: Fields) -> None:
        video, now_s = pulse.integer("video", 0, 2**62), monotonic()
        self.other_packets = pulse.integer("other", 0, 2**62)
        if video != self.video_packets:
            self.video_packets, self._seen_s = video, now_s
        silent_s = now_s - self._seen_s
        if self._showing != (showing := silent_s < SILENT_S):
            self._showing = showing
            self._shows(showing)
        if silent_s > LONGEST_SILENT_S and not self._address.listens:
            raise MediaError(f"no pictures for {LONGEST_SILENT_S:g} s, though other packets come")
