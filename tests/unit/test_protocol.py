"""What a confined process may say, and what ends the talk with it."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from scanner.core.types import Clip, ClipSpec, Mode, Observation, Quality, Reason, Tally, Tracklet
from scanner.media.protocol import (
    LARGEST_MESSAGE_BYTES,
    Channel,
    ClosedError,
    Fields,
    OverdueError,
    ProtocolError,
)
from scanner.media.sighted import clip_from, clip_to, observation_from, observation_to

SPEC = ClipSpec(length=4, size=16)
PIXELS = np.zeros((4, 16, 16, 3), np.uint8)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def framed(text: bytes) -> bytes:
    return struct.pack("!I", len(text)) + text


def test_a_message_and_its_bytes_arrive(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    Channel(theirs).tell({"size": 5}, b"bytes")
    assert channel.hear() == {"size": 5}
    assert channel.take(5) == b"bytes"


@pytest.mark.parametrize(
    "said",
    [
        framed(b"not json"),
        framed(b"[1, 2]"),
        framed(b'"text"'),
        framed(b"\xff\xfe"),
        framed(b"[" * 100_000),
        framed(b"1" * 10_000),
        struct.pack("!I", LARGEST_MESSAGE_BYTES + 1),
        struct.pack("!I", 2**32 - 1),
    ],
    ids=["no json", "a list", "a text", "no unicode", "deep", "a long number", "long", "longest"],
)
def test_what_is_no_bounded_object_ends_the_talk(said: bytes, ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    channel.allow(1.0)
    theirs.sendall(said)
    with pytest.raises(ProtocolError):
        channel.hear()


def test_half_a_message_is_a_lost_partner(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    theirs.sendall(framed(b'{"done": 1}')[:-3])
    theirs.close()
    with pytest.raises(ClosedError):
        channel.hear()


def test_silence_ends_when_patience_does_and_patience_adds_up(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    channel.allow(0.2)
    for _ in range(2):
        theirs.sendall(framed(b"{}"))
        channel.hear()
    before = time.monotonic()
    with pytest.raises(OverdueError):
        channel.hear()
    assert time.monotonic() - before < 5
    with pytest.raises(OverdueError):
        channel.tell({"late": True})


def test_a_partner_that_does_not_read_does_not_hold_us_for_ever(ends: tuple[Channel, socket.socket]) -> None:
    channel, _ = ends
    channel.allow(0.2)
    with pytest.raises(OverdueError):
        channel.tell({}, b"\0" * 10_000_000)


def test_text_from_hostile_bytes_cannot_steer_a_terminal() -> None:
    assert Fields({"why": "a\x1b[2Jb\r\n\u202ec"}).text("why", 20) == "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c"


OBSERVATION = Observation(
    duration_ms=2000,
    width=1280,
    height=720,
    codec="h264",
    tally=Tally(60, 60, 0, 1, Mode.FULL),
    tracklets=(
        Tracklet(
            index=0,
            start_ms=0,
            end_ms=2000,
            first_box=(0.1, 0.2, 0.3, 0.4),
            last_box=(0.1, 0.2, 0.3, 0.4),
            box=(0.1, 0.2, 0.3, 0.4),
            frames=60,
            after_cut=True,
            quality=Quality(120, 0.5, 0.4, 0.9, 2500),
        ),
    ),
    reasons=(Reason.DECODE_PARTIAL,),
    opening="00ff",
    closing="",
    sandbox=("rlimit",),
)


def over_the_wire(message: dict[str, Any]) -> Fields:
    return Fields(json.loads(json.dumps(message)))


def test_an_observation_and_a_clip_come_through_as_they_were() -> None:
    said = over_the_wire(observation_to(OBSERVATION))
    assert observation_from(said, Mode.FULL, ("rlimit",)) == OBSERVATION
    clip = Clip(3, 40, 80, 1, PIXELS)
    assert clip_from(over_the_wire(clip_to(clip)), SPEC, PIXELS) == clip


def test_a_cell_cannot_claim_a_sandbox_or_another_mode() -> None:
    said = over_the_wire(observation_to(OBSERVATION) | {"sandbox": ["seccomp"]})
    observation = observation_from(said, Mode.PATROL, ("rlimit",))
    assert observation.sandbox == ("rlimit",)
    assert observation.tally.mode is Mode.PATROL


NAN, INFINITE = float("nan"), float("inf")
LIES: list[tuple[str, Any]] = [
    ("duration_ms", 0),
    ("duration_ms", -1),
    ("duration_ms", 1.5),
    ("duration_ms", True),
    ("duration_ms", "1"),
    ("duration_ms", None),
    ("duration_ms", 10**30),
    ("width", 10**6),
    ("codec", "x" * 33),
    ("codec", 7),
    ("reasons", ["made_up"]),
    ("reasons", [["no_face"]]),
    ("reasons", "no_face"),
    ("tracklets", {}),
    ("tracklets", [7]),
    ("tracklets", [{}] * 3000),
    ("opening", "0"),
    ("opening", "zz"),
    ("opening", "00" * 5000),
    ("tally", []),
    ("tally.frames_total", -1),
    ("tally.frames_decoded", 10**9),
    ("tracklets.0.index", 5000),
    ("tracklets.0.end_ms", 0),
    ("tracklets.0.after_cut", 1),
    ("tracklets.0.box", [0.1, 0.2, 0.3]),
    ("tracklets.0.box", [0.1, 0.2, 0.3, 1.1]),
    ("tracklets.0.box", [0.5, 0.2, 0.3, 0.4]),
    ("tracklets.0.box", [0.1, NAN, 0.3, 0.4]),
    ("tracklets.0.box", ["0.1", 0.2, 0.3, 0.4]),
    ("tracklets.0.quality.sharpness", NAN),
    ("tracklets.0.quality.sharpness", INFINITE),
    ("tracklets.0.quality.frontality", -0.1),
    ("tracklets.0.quality.face_px", -5),
    ("tracklets.0.quality", None),
]


@pytest.mark.parametrize(("path", "lie"), LIES)
def test_no_lie_about_an_observation_is_believed(path: str, lie: Any) -> None:
    message = json.loads(json.dumps(asdict(OBSERVATION)))
    *way, last = path.split(".")
    place = message
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    place[last] = lie
    with pytest.raises(ProtocolError):
        observation_from(Fields(json.loads(json.dumps(message))), Mode.FULL, ())


def test_a_tracklet_is_not_described_twice() -> None:
    message = asdict(OBSERVATION)
    message["tracklets"] = [*message["tracklets"]] * 2
    with pytest.raises(ProtocolError, match="each once"):
        observation_from(over_the_wire(message), Mode.FULL, ())


@pytest.mark.parametrize(
    "lie", [{"tracklet": -1}, {"start_ms": -1}, {"end_ms": 40}, {"repeats": 4}, {"repeats": -1}, {"tracklet": 0.0}]
)
def test_no_lie_about_a_clip_is_believed(lie: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        clip_from(over_the_wire(clip_to(Clip(3, 40, 80, 1, PIXELS)) | lie), SPEC, PIXELS)
