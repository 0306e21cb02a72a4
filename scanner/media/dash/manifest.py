"""A DASH manifest to the pieces of its best video rendition. Pure.

MPD ─▶ Period ─▶ AdaptationSet ─▶ Representation ─▶ init, piece, piece, …      what is told above holds below
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from scanner.core.errors import MediaError
from scanner.media.dash.addressing import Piece, Scope, pieces
from scanner.media.fetching import Part

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_TRICKS = "http://dashif.org/guidelines/trickmode"
_VIDEO_CODECS = ("avc", "hvc", "hev", "vp0", "vp8", "vp9", "av01", "mp4v", "dvh")


@dataclass(frozen=True, slots=True)
class Rendition:
    """The pictures of one Period in one quality."""

    name: str
    """of Period and Representation; another one needs another decoder"""
    mime: str
    seconds: float | None
    """how long its Period is; None: not said, or it goes on"""
    init: Part | None
    pieces: tuple[Piece, ...]
    """those that can be had, in their order"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is said at one moment; a live presentation says something else a little later."""

    live: bool
    renditions: tuple[Rendition, ...]
    """the best one of each Period that has begun, in their order; at least one"""
    place: str
    """where it wants to be read from next time"""

    def first_choice(self) -> Rendition:
        """Of a live presentation where it is now; of a finished one the longest: the rest is advertising."""
        if self.live:
            return next((one for one in reversed(self.renditions) if one.pieces), self.renditions[-1])
        return max(self.renditions, key=lambda one: one.seconds or 0.0)


def parse(text: bytes, url: str, now_s: float, name: str = "") -> Manifest:
    """Raises MediaError.

    Args:
        url: where the manifest lay; addresses in it start there.
        now_s: the server's clock, seconds since the epoch, UTC: by it, a live presentation without a time line grows.
        name: the rendition to stay with, while there is one of that name.
    """
    try:
        mpd = ET.fromstring(text)  # noqa: S314 - expat bounds what entities grow to, and fetches none
        if _tag(mpd) != "MPD":
            raise MediaError(f"not a DASH manifest: its first element is <{_tag(mpd)[:40]}>")
        return _read(mpd, url, now_s, name)
    except ET.ParseError as error:
        raise MediaError(f"not a DASH manifest: {error}") from error
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise MediaError(f"a DASH manifest that cannot be understood: {error}") from error


def _read(mpd: Element, url: str, now_s: float, name: str) -> Manifest:
    live = mpd.get("type") == "dynamic"
    total_s = _seconds(mpd.get("mediaPresentationDuration"))
    scope = Scope(_based(url, mpd), live=live, window_s=_seconds(mpd.get("timeShiftBufferDepth")))
    begun_s = datetime.fromisoformat(mpd.get("availabilityStartTime", "1970-01-01T00:00:00Z")).timestamp()
    found = []
    for start_s, end_s, period in _periods(mpd, total_s):
        since_s = now_s - begun_s - start_s
        if live and since_s < 0:
            break
        length_s = None if end_s is None else end_s - start_s
        reach_s = since_s if length_s is None else min(length_s, since_s) if live else length_s
        inside = scope.inside(_based(scope.base, period), period, reach_s=reach_s, length_s=length_s)
        found += _best(inside, period, f"{start_s:g}", name)
    if not found:
        raise MediaError("no video in this DASH manifest that is not encrypted")
    places = [(child.text or "").strip() for child in _children(mpd, "Location")]
    return Manifest(live, tuple(found), urljoin(url, places[0]) if places else "")


def _periods(mpd: Element, total_s: float | None) -> Iterator[tuple[float, float | None, Element]]:
    """Each with its start and end in the presentation's seconds; None: open."""
    periods = list(_children(mpd, "Period"))
    start_s = 0.0
    for period, after in zip(periods, [*periods, None][1:], strict=True):
        start_s = _seconds(period.get("start")) or start_s
        length_s = _seconds(period.get("duration"))
        told_s = None if after is None else _seconds(after.get("start"))
        end_s = start_s + length_s if length_s is not None else told_s
        yield start_s, (total_s if end_s is None and after is None else end_s), period
        start_s = start_s if end_s is None else end_s


def _best(scope: Scope, period: Element, period_name: str, name: str) -> list[Rendition]:
    """The one that was asked for, or the one with the most pixels, then the most bits; none where there is no video."""
    found = []
    for adaptation in _children(period, "AdaptationSet"):
        if _left_out(adaptation):
            continue
        around = scope.inside(_based(scope.base, adaptation), adaptation)
        for place, representation in enumerate(_children(adaptation, "Representation")):
            if not _is_video(adaptation, representation) or _left_out(representation):
                continue
            identity = representation.get("id", str(place))
            called = f"{period.get('id', period_name)}/{identity}"
            width, height, bits = (
                int(representation.get(key, adaptation.get(key, "0"))) for key in ("width", "height", "bandwidth")
            )
            found.append(((called == name, width * height, bits), called, representation, adaptation, around))
    if not found:
        return []
    _, called, representation, adaptation, around = max(found, key=lambda one: one[0])
    inside = around.inside(_based(around.base, representation), representation)
    init, listed = pieces(inside, representation.get("id", ""), representation.get("bandwidth", ""))
    mime = representation.get("mimeType", adaptation.get("mimeType", ""))
    return [Rendition(called, mime, scope.length_s, init, tuple(listed))]


def _is_video(adaptation: Element, representation: Element) -> bool:
    kinds = (adaptation.get("contentType", ""), adaptation.get("mimeType", ""), representation.get("mimeType", ""))
    codecs = representation.get("codecs", adaptation.get("codecs", ""))
    if any(kind.startswith(("audio", "text", "image")) for kind in kinds):
        return False
    return any(kind.startswith("video") for kind in kinds) or codecs.startswith(_VIDEO_CODECS)


def _left_out(element: Element) -> bool:
    """Encrypted, or made for winding forwards."""
    tricks = any(found.get("schemeIdUri") == _TRICKS for found in _children(element, "EssentialProperty"))
    return tricks or any(True for _ in _children(element, "ContentProtection"))


def _based(base: str, element: Element) -> str:
    for found in _children(element, "BaseURL"):
        return urljoin(base, (found.text or "").strip())
    return base


def _children(element: Element, tag: str) -> Iterator[Element]:
    return (child for child in element if _tag(child) == tag)


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _seconds(told: str | None) -> float | None:
    """An ISO 8601 duration of days and less."""
    if told is None:
        return None
    found = _DURATION.fullmatch(told.strip())
    if found is None:
        raise MediaError(f"a DASH manifest with the duration {told[:40]!r}")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
