"""Where a rendition's pieces lie: a template with a time line, a template with a count, a list, or one file. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from urllib.parse import urljoin
from xml.etree.ElementTree import Element

from scanner.core.errors import MediaError
from scanner.media.fetching import Part

_MOST_PIECES = 2**17  # three days of two seconds
_LAST_PIECES = 256  # of a live presentation, which may list all of its day
_LOOK_BACK_S = 60.0  # of a live presentation with a count that does not say how long its pieces stay
_PLACE = re.compile(r"\$(RepresentationID|Number|Time|Bandwidth|)(?:%0(\d{1,2})d)?\$")


@dataclass(frozen=True, slots=True)
class Piece:
    """A media segment, in DASH's words."""

    start: int
    """presentation time in the rendition's ticks: what it is known by when the manifest is read again"""
    seconds: float
    part: Part


@dataclass(frozen=True, slots=True)
class Scope:
    """What the elements around a place say about it."""

    base: str
    live: bool
    window_s: float | None
    """how long pieces of a live presentation stay; None: not said"""
    reach_s: float = 0.0
    """seconds of the Period that there are"""
    length_s: float | None = None
    """of the Period, where it is said"""
    told: Mapping[str, str] = field(default_factory=dict)
    """attributes of SegmentTemplate or SegmentList"""
    line: Element | None = None
    template: bool = False
    listed: Element | None = None

    def inside(self, base: str, element: Element, reach_s: float | None = None, length_s: float | None = None) -> Scope:
        found = {str(child.tag).rpartition("}")[2]: child for child in element}
        template, listed = found.get("SegmentTemplate"), found.get("SegmentList")
        told, line = dict(self.told), self.line
        for one in (template, listed):
            if one is not None:
                told |= one.attrib
                lines = [child for child in one if str(child.tag).endswith("SegmentTimeline")]
                line = lines[0] if lines else line
        return replace(
            self,
            base=base,
            reach_s=self.reach_s if reach_s is None else reach_s,
            length_s=self.length_s if length_s is None else length_s,
            told=told,
            line=line,
            template=self.template or template is not None,
            listed=self.listed if listed is None else listed,
        )


def pieces(scope: Scope, identity: str, bandwidth: str) -> tuple[Part | None, list[Piece]]:
    """What comes before all pieces, and those that can be had. Raises MediaError and ValueError."""
    if scope.template:
        return _templated(scope, {"RepresentationID": identity, "Bandwidth": bandwidth})
    if scope.listed is not None:
        return _listed(scope, scope.listed)
    return None, [Piece(0, scope.reach_s, Part(scope.base))]


def _templated(scope: Scope, names: Mapping[str, str]) -> tuple[Part | None, list[Piece]]:
    media, init = scope.told.get("media"), scope.told.get("initialization")
    if media is None:
        raise MediaError("a DASH manifest with a SegmentTemplate that names no media")
    first = int(scope.told.get("startNumber", "1"))

    def at(place: int, start: int) -> Part:
        return Part(urljoin(scope.base, _filled(media, {**names, "Number": first + place, "Time": start})))

    found = [Piece(start, seconds, at(place, start)) for place, start, seconds in _times(scope)]
    return Part(urljoin(scope.base, _filled(init, names))) if init else None, found


def _listed(scope: Scope, listed: Element) -> tuple[Part | None, list[Piece]]:
    kinds = {"Initialization": "sourceURL", "SegmentURL": "media"}
    init, addresses = None, []
    for child in listed:
        tag = str(child.tag).rpartition("}")[2]
        if tag in kinds:
            address = urljoin(scope.base, child.get(kinds[tag], ""))
            part = Part(address, child.get("range" if tag == "Initialization" else "mediaRange", ""))
            if tag == "Initialization":
                init = part
            else:
                addresses.append(part)
    times = {place: (start, seconds) for place, start, seconds in _times(scope)} if scope.line is not None else {}
    ticks, scale = int(scope.told.get("duration", "1")), int(scope.told.get("timescale", "1"))
    first = int(scope.told.get("startNumber", "1"))
    return init, [
        Piece(*times.get(place, ((first + place) * ticks, ticks / scale)), part) for place, part in enumerate(addresses)
    ]


def _times(scope: Scope) -> list[tuple[int, int, float]]:
    """Place, start in ticks and length of each piece that can be had; of a live presentation, of the last ones."""
    scale = int(scope.told.get("timescale", "1"))
    listed = _counted(scope, scale) if scope.line is None else _lined(scope, scope.line, scale)
    found = list(islice(listed, _MOST_PIECES + 1))
    if len(found) > _MOST_PIECES:
        raise MediaError(f"a DASH manifest with more than {_MOST_PIECES} pieces")
    return [(place, start, ticks / scale) for place, start, ticks in found[-_LAST_PIECES * scope.live :]]


def _lined(scope: Scope, line: Element, scale: int) -> Iterator[tuple[int, int, int]]:
    """By the time line: `S` says start (or goes on), length, and how often again; -1: until the next, or the end."""
    marks = list(line)
    place = start = 0
    offset = int(scope.told.get("presentationTimeOffset", "0"))
    for mark, after in zip(marks, [*marks, None][1:], strict=True):
        start, ticks, again = int(mark.get("t", start)), int(mark.get("d", "0")), int(mark.get("r", "0"))
        if ticks <= 0:
            raise MediaError(f"a DASH manifest with a piece of {ticks} ticks")
        if again < 0:
            end = int(after.get("t", start)) if after is not None else offset + int(scope.reach_s * scale)
            begun = after is None and scope.live  # the last piece is not whole yet
            again = ((end - start) // ticks if begun else -(-(end - start) // ticks)) - 1
        for _ in range(again + 1):
            yield place, start, ticks
            place, start = place + 1, start + ticks


def _counted(scope: Scope, scale: int) -> Iterator[tuple[int, int, int]]:
    """By the count: of equal pieces, those that are whole by now, or those that the Period's length has room for."""
    ticks = int(scope.told.get("duration", "0"))
    if ticks <= 0:
        raise MediaError("a DASH manifest with pieces of no length")
    offset = int(scope.told.get("presentationTimeOffset", "0"))
    reach = int(scope.reach_s * scale)
    whole = reach // ticks if scope.live else -(-reach // ticks)
    back = int((scope.window_s or _LOOK_BACK_S) * scale) // ticks + 1 if scope.live else whole
    for place in range(max(0, whole - back), whole):
        yield place, offset + place * ticks, ticks


def _filled(template: str, names: Mapping[str, str | int]) -> str:
    def value(found: re.Match[str]) -> str:
        name, width = found.groups()
        if not name:
            return "$"
        known = names.get(name, "")
        return f"{known:0{width}d}" if width and isinstance(known, int) else str(known)

    return _PLACE.sub(value, template)
