"""What is kept of one stream: its last verdict, a bounded past, and how much it needs somebody's attention. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from scanner.core.types import Alert, Edge, Label, Mode, Reason, Source, SpanScore, StreamState, Verdict

RECENT = 5  # segments: the worst of them is the stream's state, so that one calm segment does not hide three bad ones
REPEATS = 50  # verdicts back: a repeat comes soon after the first
SILENT_MS = 15_000  # without a verdict, and not ended: somebody should look at the source
ALERTS_KEPT = 50
PICTURES_KEPT = 3


class Attention(IntEnum):
    """Why a stream stands where it stands; the smallest first."""

    ALERT = 0
    MANIPULATED = 1
    SUSPECTED = 2
    SILENT = 3
    INSUFFICIENT = 4
    CLEAR = 5
    ENDED = 6


_OF_LABEL = {
    Label.MANIPULATED: Attention.MANIPULATED,
    Label.SUSPECTED: Attention.SUSPECTED,
    Label.INSUFFICIENT_EVIDENCE: Attention.INSUFFICIENT,
    Label.NO_MANIPULATION_FOUND: Attention.CLEAR,
}
_SERIOUS = {Label.MANIPULATED: 0, Label.SUSPECTED: 1, Label.NO_MANIPULATION_FOUND: 2, Label.INSUFFICIENT_EVIDENCE: 3}


@dataclass(frozen=True, slots=True)
class FacePoint:
    """One face in one segment."""

    track_id: str
    label: Label
    spans: tuple[SpanScore, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What is kept of a verdict; the rest is fetched by its place when somebody asks."""

    verdict_id: str
    sequence: int
    start_ms: int
    end_ms: int
    label: Label
    score: float | None
    faces: tuple[FacePoint, ...]
    place: Source
    """of the verdict's record"""
    segment: Source | None
    """of the segment it answers"""

    @property
    def suspicious(self) -> bool:
        return self.label in (Label.MANIPULATED, Label.SUSPECTED)


def point_of(verdict: Verdict, place: Source) -> Point:
    faces = tuple(FacePoint(track.track_id, track.label, track.spans) for track in verdict.tracks)
    return Point(
        verdict.verdict_id, verdict.sequence, verdict.start_ms, verdict.end_ms, verdict.label, verdict.score, faces,
        place, verdict.source,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """A small picture of a face, for a while."""

    key: str
    """another one for every picture, so that browsers may keep them"""
    track_id: str
    label: Label
    at_ms: int
    """wall clock"""
    jpeg: bytes = field(repr=False)


@dataclass(slots=True)
class Stream:
    """One stream, from its verdicts and alerts in the order in which they came."""

    stream_id: str
    last: Verdict
    points: deque[Point]
    group: str = ""
    heard_ms: int = 0
    """wall clock of the last verdict's record"""
    behind_s: float | None = None
    """from the moment the segment's last frame was live to its verdict; None when nobody told"""
    mode: Mode = Mode.PATROL
    segments: int = 0
    """verdicts seen"""
    lost: int = 0
    """gaps in its sequence"""
    alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=ALERTS_KEPT))
    raised: dict[str | None, int] = field(default_factory=dict)
    """alerts that were not cleared: track to media time"""
    recent: deque[Point] = field(default_factory=lambda: deque(maxlen=RECENT))
    """the last few segments"""
    pictures: list[Picture] = field(default_factory=list)
    """the last ones of different faces, oldest first"""
    version: int = 0
    """of the view, when this last changed"""

    def judged(self, verdict: Verdict, place: Source, at_ms: int, live_at_ms: int | None) -> bool:
        """Whether the verdict was new: topics are delivered at least once."""
        if any(point.verdict_id == verdict.verdict_id for point in islice(reversed(self.points), REPEATS)):
            return False
        self.points.append(point_of(verdict, place))
        self.recent.append(self.points[-1])
        self.last = verdict
        self.heard_ms = at_ms
        self.behind_s = None if live_at_ms is None else max(0, at_ms - live_at_ms) / 1000
        self.mode = verdict.coverage.mode
        self.segments += 1
        self.lost += Reason.SEQUENCE_GAP in verdict.reasons
        return True

    def alerted(self, alert: Alert) -> None:
        if any(known.alert_id == alert.alert_id for known in self.alerts):
            return
        self.alerts.append(alert)
        if alert.edge is Edge.RAISED:
            self.raised[alert.track_id] = alert.at_ms
        else:
            self.raised.pop(alert.track_id, None)

    def remembered(self, state: StreamState) -> bool:
        """Whether the worker's own memory knew of other alerts: one raised before we read, or of a face long gone."""
        before = self.raised
        self.raised = {None: before[None]} if None in before else {}
        for track in state.tracks:
            if track.alerted:
                self.raised[track.track_id] = before.get(track.track_id, track.seen_ms)
        return before != self.raised

    def pictured(self, picture: Picture) -> None:
        others = [known for known in self.pictures if known.track_id != picture.track_id]
        self.pictures = [*others, picture][-PICTURES_KEPT:]

    def expire(self, before_ms: int) -> bool:
        """Forgets older pictures; whether there were any."""
        kept = [picture for picture in self.pictures if picture.at_ms >= before_ms]
        gone = len(kept) < len(self.pictures)
        self.pictures = kept
        return gone

    def picture(self, track_id: str) -> Picture | None:
        return next((picture for picture in self.pictures if picture.track_id == track_id), None)

    def point(self, verdict_id: str) -> Point | None:
        return next((point for point in reversed(self.points) if point.verdict_id == verdict_id), None)

    @property
    def ended(self) -> bool:
        return Reason.END_OF_STREAM in self.last.reasons

    @property
    def label(self) -> Label:
        """The most serious of the last few segments."""
        return min((point.label for point in self.recent), key=_SERIOUS.__getitem__)

    def attention(self, now_ms: int) -> Attention:
        if self.raised:
            return Attention.ALERT
        of_label = _OF_LABEL[self.label]
        if of_label <= Attention.SUSPECTED:
            return of_label
        if self.ended:
            return Attention.ENDED
        return Attention.SILENT if now_ms - self.heard_ms > SILENT_MS else of_label

    def rank(self, now_ms: int) -> tuple[Attention, float, str]:
        """Place on the wall, the smallest first. Tiles that need nobody stand still, whatever their scores do."""
        attention = self.attention(now_ms)
        return attention, -round(self.peak, 1) if attention <= Attention.SUSPECTED else 0.0, self.stream_id

    @property
    def peak(self) -> float:
        """The highest score of the last few segments; 0 without one."""
        return max((point.score or 0.0 for point in self.recent), default=0.0)
