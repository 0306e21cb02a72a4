"""The segment behind a verdict as something that a browser plays: the same packets, in a container it knows."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from tempfile import TemporaryFile
from threading import Lock

from scanner import wire
from scanner.core.errors import ClaimRefusedError, MediaError, SegmentInvalidError
from scanner.core.types import Source
from scanner.media.cutter import cut
from scanner.ports import Bus, MediaStore

WHOLE_S = 3600.0  # longer than any segment: it is not cut, only put into another container
REMUX_S = 20.0
KEPT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Clip:
    payload: bytes = field(repr=False)
    content_type: str


class Clips:
    """Fetches segments by their place on the bus; remembers the last ones, since players ask for them in pieces."""

    def __init__(self, bus: Bus, store: MediaStore) -> None:
        self._bus = bus
        self._store = store
        self._kept: OrderedDict[Source, Clip] = OrderedDict()
        self._lock = Lock()

    def get(self, source: Source) -> Clip | None:
        """None when retention has taken the segment, or it holds nothing to play.

        Raises BrokerUnavailableError, ClaimUnavailableError, MediaError.
        """
        with self._lock:
            if source in self._kept:
                self._kept.move_to_end(source)
                return self._kept[source]
        clip = self._fetched(source)
        if clip is not None:
            self._keep(source, clip)
        return clip

    def _fetched(self, source: Source) -> Clip | None:
        delivery = self._bus.fetch(source)
        if delivery is None:
            return None
        try:
            segment = wire.segment_of(delivery)
            if segment.claim:
                got = self._store.get(segment.claim.uri, segment.claim.size, segment.claim.sha256)
                segment = replace(segment, payload=got)
        except (SegmentInvalidError, ClaimRefusedError) as error:
            raise MediaError(str(error)) from error
        return playable(segment.payload) if segment.payload else None

    def _keep(self, source: Source, clip: Clip) -> None:
        with self._lock:
            self._kept[source] = clip
            while len(self._kept) > 1 and sum(len(kept.payload) for kept in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)


def playable(payload: bytes) -> Clip:
    """A container as it is when browsers play it; else its packets, uncoded, as fragmented MP4. Raises MediaError.

    What is not played as it is goes through the cutter's confined process, like every other foreign file.
    """
    if payload[4:8] in (b"ftyp", b"styp", b"moov", b"moof") and b"ftypqt" not in payload[4:12]:
        return Clip(payload, "video/mp4")
    if payload[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in payload[:64]:
        return Clip(payload, "video/webm")
    with TemporaryFile() as file:
        file.write(payload)
        file.seek(0)
        with cut(file, stream_id="clip", target_s=WHOLE_S, stall_s=REMUX_S) as pieces:
            written = [segment for segment in pieces if segment.payload]
    if len(written) != 1:
        raise MediaError(f"holds {len(written)} pieces of video, not one")
    return Clip(written[0].payload, written[0].content_type)


def part(clip: Clip, wanted: str | None) -> tuple[int, int] | None:
    """Bytes first to last (inclusive) that a Range header asks for; None for the whole. Raises ValueError."""
    if not wanted or not wanted.startswith("bytes=") or "," in wanted:
        return None
    first_text, _, last_text = wanted.removeprefix("bytes=").partition("-")
    size = len(clip.payload)
    if first_text:
        first, last = int(first_text), min(int(last_text) if last_text else size - 1, size - 1)
    else:
        first, last = max(0, size - int(last_text)), size - 1
    if not 0 <= first <= last:
        raise ValueError(f"no such bytes among {size}: {wanted!r:.60}")
    return first, last
