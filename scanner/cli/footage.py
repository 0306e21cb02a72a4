"""The video behind verdicts: found by its digest in the file that was scanned, or on the segments topic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scanner.assembly.scan import assembled, limits_of
from scanner.core.errors import ClaimRefusedError, ScannerError, SettingsError
from scanner.core.types import Segment, StreamState, Verdict
from scanner.inference.card import find_model, read_card
from scanner.local import look_again
from scanner.media.cutter import cut
from scanner.report import Gallery, Look
from scanner.settings import Settings
from scanner.wire import segment_of

_SUFFIXES = {
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/x-matroska": ".mkv",
    "video/webm": ".webm",
    "video/mp2t": ".ts",
    "video/x-flv": ".flv",
    "video/x-msvideo": ".avi",
}
SCORE_TOLERANCE = 1e-3  # another processor rounds otherwise


@dataclass(frozen=True, slots=True)
class Footage:
    """What the model showed when it looked at segments again."""

    looks: tuple[Look, ...] = ()
    again: dict[int, bool] = field(default_factory=dict)
    """sequence to whether it reached the recorded scores"""


def segments_of(media: Path | None, verdicts: Sequence[Verdict], most: int, settings: Settings) -> list[Segment]:
    """The segments of the most suspicious verdicts, at most `most`, in order; their bytes are those that were judged.

    Raises SettingsError when there are none to be had, MediaError when the file cannot be cut.
    """
    ranked = sorted(verdicts, key=lambda verdict: (-(verdict.score or 0.0), verdict.sequence))
    wanted = sorted(ranked[:most], key=lambda verdict: verdict.sequence)
    if not wanted:
        return []
    if media is None:
        return list(_on_topic(wanted, settings))
    found = _in_file(media, wanted, settings)
    if not found:
        raise SettingsError(
            f"no segment of {media} is one that these verdicts judged: is it the file, and is scan.segment_s "
            f"({settings.scan.segment_s:g} s) what it was?"
        )
    return found


def suffix_of(segment: Segment) -> str:
    """Of the file that holds the segment's bytes."""
    return _SUFFIXES.get(segment.content_type, ".bin")


def seen_again(segments: Sequence[Segment], verdicts: Sequence[Verdict], settings: Settings) -> Footage:
    """Pictures of the segments, by the model that judged them; and whether it reaches the same scores."""
    if not segments:
        return Footage()
    judged = {verdict.sequence: verdict for verdict in verdicts}
    gallery = Gallery(read_card(find_model(settings.scan.model)).calibrated.score)
    again = {}
    with assembled(settings, gallery.witness) as parts:
        for segment in segments:
            verdict = judged[segment.sequence]
            look = look_again(parts.pipeline, segment, verdict.coverage.mode)
            fresh = parts.pipeline.answer(StreamState(segment.stream_id), look).verdict
            again[segment.sequence] = _same(fresh, verdict)
            if len(fresh.tracks) == len(verdict.tracks):
                gallery.judged(look, verdict)
            else:
                gallery.forget(segment)
    return Footage(gallery.looks(verdicts[0].stream_id), again)


def _same(fresh: Verdict, recorded: Verdict) -> bool:
    ours, theirs = ([face.score for face in verdict.tracks] for verdict in (fresh, recorded))
    return len(ours) == len(theirs) and all(
        a == b or (a is not None and b is not None and abs(a - b) <= SCORE_TOLERANCE)
        for a, b in zip(ours, theirs, strict=True)
    )


def _in_file(media: Path, wanted: Sequence[Verdict], settings: Settings) -> list[Segment]:
    sought = {(verdict.sequence, verdict.payload_sha256) for verdict in wanted}
    with cut(
        media, stream_id=wanted[0].stream_id, target_s=settings.scan.segment_s, limits=limits_of(settings)
    ) as pieces:
        return [piece for piece in pieces if (piece.sequence, piece.sha256) in sought]


def _on_topic(wanted: Sequence[Verdict], settings: Settings) -> Iterator[Segment]:
    from scanner.assembly.bus import kafka_bus, media_store

    bus, store = kafka_bus(settings), media_store(settings)
    for verdict in wanted:
        if verdict.source is None:
            raise SettingsError(f"verdict {verdict.verdict_id} comes from no topic: name the file with --media")
        delivery = bus.fetch(verdict.source)
        place = f"{verdict.source.topic}/{verdict.source.partition}/{verdict.source.offset}"
        if delivery is None:
            raise ClaimRefusedError(f"segment {verdict.sequence} is no longer at {place}: retention has taken it")
        try:
            segment = segment_of(delivery)
        except ScannerError as error:
            raise SettingsError(f"what lies at {place} is no segment: {error}") from error
        claim = segment.claim
        payload = store.get(claim.uri, claim.size, claim.sha256) if claim else segment.payload
        if segment.sha256 != verdict.payload_sha256:
            raise SettingsError(f"what lies at {place} is not what verdict {verdict.verdict_id} judged")
        yield replace(segment, payload=payload)
