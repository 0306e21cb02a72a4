"""PathReports as the templates read them: sorted, cut to what a page can carry, and put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from scanner.core.text import visible
from scanner.core.types import Label, SpanScore
from scanner.report import words
from scanner.report.drawing import Drawing, drawing_of
from scanner.report.faces import Face, faces_of, slots, together, worst
from scanner.report.ground import Ground, ground_of
from scanner.report.model import Look, PathReport, Thresholds

SLOTS = 12
"""pictures along a time line"""
LISTED = 12
"""suspicious moments and faces that are listed before the rest is folded away"""
FOLDED = 200
"""how many of the rest are listed at all"""


@dataclass(frozen=True, slots=True)
class Room:
    """How many pictures one path may have; the more paths, the fewer."""

    lanes: int
    worst: int
    heated: int
    hero: bool = True

    @classmethod
    def at(cls, place: int, paths: int) -> Room:
        """For the `place`-th most suspicious of `paths`; keeps a page under about 3 MB."""
        if paths <= 4:
            return cls(6, 24, 12)
        if paths <= 20:
            return cls(3, 8, 6)
        if place < 50:
            return cls(1, 4, 3)
        return cls(0, 0, 0, hero=place < 200)


@dataclass(frozen=True, slots=True)
class Lane:
    """A face along the time line."""

    face: Face
    slots: tuple[Look | None, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """A suspicious stretch of one face."""

    face: Face
    span: SpanScore
    label: Label
    look: Look | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A look and the face it is of."""

    face: Face
    look: Look
    label: Label
    heat: bytes | None


@dataclass(frozen=True, slots=True)
class PathView:
    """One path's part of the page."""

    anchor: str
    name: str
    folder: str
    label: Label
    score: float | None
    sentence: str
    duration_ms: int
    suspicious_ms: int
    faces: tuple[Face, ...]
    hero: Look | None
    drawing: Drawing
    lanes: tuple[Lane, ...]
    moments: tuple[Moment, ...]
    worst: tuple[Shown, ...]
    ground: Ground
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page."""

    paths: tuple[PathView, ...]
    counts: tuple[tuple[Label, int], ...]
    """paths of each label, most suspicious first"""
    words: dict[Label, str]
    meanings: dict[Label, str]


def view_of(reports: Sequence[PathReport], thresholds: Thresholds) -> PageView:
    """Most suspicious path first; of equals, the order they came in."""
    ranked = sorted(reports, key=lambda r: (words.RANK[r.summary.label], -(r.summary.score or 0.0)))
    paths = tuple(_path(place, report, thresholds, Room.at(place, len(ranked))) for place, report in enumerate(ranked))
    return PageView(
        paths=paths,
        counts=tuple((label, sum(path.label is label for path in paths)) for label in words.LABELS),
        words=words.LABELS,
        meanings=words.MEANINGS,
    )


def _path(place: int, report: PathReport, thresholds: Thresholds, room: Room) -> PathView:
    summary = report.summary
    faces = faces_of(report.verdicts, report.looks, thresholds)
    folder, name = split_name(summary.uri)
    moments = _moments(faces, thresholds)
    standing = together(span for face in faces for span in face.suspicious)
    return PathView(
        anchor=f"path-{place + 1}",
        name=name,
        folder=folder,
        label=summary.label,
        score=summary.score,
        sentence=_sentence(report, faces, standing, thresholds),
        duration_ms=summary.duration_ms,
        suspicious_ms=_length(standing),
        faces=faces,
        hero=_hero(faces) if room.hero else None,
        drawing=drawing_of(faces, standing, summary.duration_ms, thresholds, fine=room.lanes > 1),
        lanes=tuple(
            Lane(face, slots(face.looks, summary.duration_ms, SLOTS)) for face in faces[: room.lanes] if face.looks
        ),
        moments=moments,
        worst=_worst(faces, moments, room, thresholds),
        ground=ground_of(report),
        refused=tuple(visible(line) for line in report.refused),
    )


def split_name(uri: str) -> tuple[str, str]:
    """Folder and file name to show, of a path or an address, with nothing invisible left in them."""
    text = unquote(uri.removeprefix("file://")) if uri.startswith("file:///") else uri
    folder, slash, name = text.rstrip("/").rpartition("/")
    return visible(folder + slash), visible(name or text)


def _hero(faces: Sequence[Face]) -> Look | None:
    for face in faces:
        if face.looks:
            return worst(face.looks, 1)[0]
    return None


def _length(spans: Sequence[SpanScore]) -> int:
    return sum(span.end_ms - span.start_ms for span in spans)


def _sentence(report: PathReport, faces: Sequence[Face], standing: Sequence[SpanScore], thresholds: Thresholds) -> str:
    summary = report.summary
    if summary.score is None or not faces:
        why = " ".join(words.REASONS[reason] for reason in summary.reasons[:3])
        lost = words.count(len(report.refused), "segment") + " could not be read." if report.refused else ""
        return " ".join(part for part in (why, lost) if part) or words.MEANINGS[summary.label]
    face = f"Face {faces[0].number}" if len(faces) > 1 else "The face"
    out_of = f"{words.duration(_length(standing))} of {words.duration(summary.duration_ms)}"
    if summary.label is Label.MANIPULATED:
        line = f"above the line of {thresholds.manipulated_from:.2f} from which a face is called manipulated"
        return f"{face} scores {summary.score:.2f}, {line}. {out_of} stand out."
    if summary.label is Label.SUSPECTED:
        line = f"between the lines of {thresholds.suspected_from:.2f} and {thresholds.manipulated_from:.2f}"
        return f"{face} scores {summary.score:.2f}, {line}. {out_of} stand out."
    calm = f"The most suspicious face scores {summary.score:.2f}, under the line of {thresholds.suspected_from:.2f}."
    return f"{calm} Single moments rise above it, too short to count." if standing else calm


def _moments(faces: Sequence[Face], thresholds: Thresholds) -> tuple[Moment, ...]:
    """The highest, in the order of time."""
    moments = [
        Moment(face, span, thresholds.label(span.score), _look_in(face, span))
        for face in faces
        for span in face.suspicious
    ]
    highest = sorted(moments, key=lambda moment: -moment.span.score)[: LISTED + FOLDED]
    first = sorted(highest[:LISTED], key=lambda moment: (moment.span.start_ms, moment.face.number))
    return (*first, *sorted(highest[LISTED:], key=lambda moment: (moment.span.start_ms, moment.face.number)))


def _look_in(face: Face, span: SpanScore) -> Look | None:
    inside = [look for look in face.looks if look.start_ms < span.end_ms and span.start_ms < look.end_ms]
    return max(inside, key=lambda look: (look.score, look.heat is not None), default=None)


def _worst(faces: Sequence[Face], moments: Sequence[Moment], room: Room, thresholds: Thresholds) -> tuple[Shown, ...]:
    """First the height of each moment, then whatever else is highest; nothing where nothing stands out."""
    owner = {face.track_id: face for face in faces}
    judged = [look for face in faces if face.score is not None for look in face.looks]
    high = [look for look in judged if look.score >= thresholds.suspected_from]
    heights = [moment.look for moment in moments if moment.look]
    chosen = list(dict.fromkeys([*worst(heights, room.worst // 2), *worst(high, room.worst)]))[: room.worst]
    heated = [look for look in chosen if look.heat][: room.heated]
    shown = [
        Shown(owner[look.track_id], look, thresholds.label(look.score), look.heat if look in heated else None)
        for look in chosen
    ]
    return tuple(sorted(shown, key=lambda one: (one.heat is None, -one.look.score)))
