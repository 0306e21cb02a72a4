"""Clips and observations to messages and back. Nothing a cell says is taken on trust."""

from __future__ import annotations

from dataclasses import fields
from string import hexdigits
from typing import Any

from scanner.core.types import Box, Clip, ClipSpec, Mode, Observation, Pixels, Quality, Reason, Tally, Tracklet
from scanner.media.protocol import Fields, Message, ProtocolError

MOST_TRACKLETS = 2048  # a cell stops at about half of them (see demux.Limits)
_MOST_MS = 24 * 3600 * 1000
_MOST_FRAMES = 10**7
_MOST_PX = 10**5
_MOST_KBPS = 10**12
_CODEC_NAME = 32
_PRINT_DIGITS = 4096  # many more than a fingerprint has (see vision.fingerprint)


def clip_to(clip: Clip) -> Message:
    """Everything but the pixels, which lie in a slot of the arena."""
    return {
        "tracklet": clip.tracklet,
        "start_ms": clip.start_ms,
        "end_ms": clip.end_ms,
        "repeats": clip.repeats,
    }


def clip_from(said: Fields, spec: ClipSpec, pixels: Pixels) -> Clip:
    start_ms, end_ms = _span(said)
    return Clip(
        tracklet=said.integer("tracklet", 0, MOST_TRACKLETS - 1),
        start_ms=start_ms,
        end_ms=end_ms,
        repeats=said.integer("repeats", 0, spec.length - 1),
        pixels=pixels,
    )


def observation_to(observation: Observation) -> Message:
    tracklets = [{**_fields(each), "quality": _fields(each.quality)} for each in observation.tracklets]
    return {**_fields(observation), "tally": _fields(observation.tally), "tracklets": tracklets}


def _fields(value: Observation | Tally | Tracklet | Quality) -> Message:
    """By name; a quarter of the time of `dataclasses.asdict`, which copies every value."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def observation_from(said: Fields, mode: Mode, sandbox: tuple[str, ...]) -> Observation:
    """The layers of the sandbox are those that the cell told before it met any hostile bytes."""
    tracklets = tuple(_tracklet(Fields(item)) for item in said.items("tracklets", MOST_TRACKLETS))
    if [tracklet.index for tracklet in tracklets] != sorted({tracklet.index for tracklet in tracklets}):
        raise ProtocolError("tracklets must be numbered upwards, each once")
    return Observation(
        duration_ms=said.integer("duration_ms", 1, _MOST_MS),
        width=said.integer("width", 0, _MOST_PX),
        height=said.integer("height", 0, _MOST_PX),
        codec=said.text("codec", _CODEC_NAME),
        tally=_tally(said.inner("tally"), mode),
        tracklets=tracklets,
        reasons=tuple(_reason(item) for item in said.items("reasons", len(Reason))),
        sandbox=sandbox,
        opening=_print(said, "opening"),
        closing=_print(said, "closing"),
    )


def _tally(said: Fields, mode: Mode) -> Tally:
    total = said.integer("frames_total", 0, _MOST_FRAMES)
    return Tally(
        frames_total=total,
        frames_decoded=said.integer("frames_decoded", 0, _MOST_FRAMES),
        frames_scored=said.integer("frames_scored", 0, _MOST_FRAMES),
        frames_damaged=said.integer("frames_damaged", 0, _MOST_FRAMES),
        mode=mode,
    )


def _tracklet(said: Fields) -> Tracklet:
    start_ms, end_ms = _span(said)
    return Tracklet(
        index=said.integer("index", 0, MOST_TRACKLETS - 1),
        start_ms=start_ms,
        end_ms=end_ms,
        first_box=_box(said, "first_box"),
        last_box=_box(said, "last_box"),
        box=_box(said, "box"),
        frames=said.integer("frames", 0, _MOST_FRAMES),
        after_cut=said.flag("after_cut"),
        quality=_quality(said.inner("quality")),
    )


def _quality(said: Fields) -> Quality:
    return Quality(
        face_px=said.integer("face_px", 0, _MOST_PX),
        sharpness=said.number("sharpness", 0, 1),
        brightness=said.number("brightness", 0, 1),
        frontality=said.number("frontality", 0, 1),
        bitrate_kbps=said.integer("bitrate_kbps", 0, _MOST_KBPS),
    )


def _span(said: Fields) -> tuple[int, int]:
    start_ms = said.integer("start_ms", 0, _MOST_MS)
    return start_ms, said.integer("end_ms", start_ms + 1, _MOST_MS)


def _box(said: Fields, name: str) -> Box:
    x0, y0, x1, y1 = said.numbers(name, 4, 0, 1)
    if x0 > x1 or y0 > y1:
        raise ProtocolError(f"{name} must not be turned inside out, got {(x0, y0, x1, y1)}")
    return x0, y0, x1, y1


def _print(said: Fields, name: str) -> str:
    """A fingerprint of a picture: hex digits of its luma, two a sample, or nothing."""
    text = said.text(name, _PRINT_DIGITS)
    if len(text) % 2 or not set(text) <= set(hexdigits):
        raise ProtocolError(f"{name} must be pairs of hex digits, got {text!r:.40}")
    return text


def _reason(value: Any) -> Reason:
    try:
        return Reason(value)
    except ValueError as error:
        raise ProtocolError(f"not a reason: {value!r:.80}") from error
