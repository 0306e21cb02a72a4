"""What every Observer promises, alone in this process and in confined cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from scanner.core.errors import MediaError
from scanner.core.types import Clip, ClipSpec, Mode, Observation, Reason
from scanner.media.cell import CellPlan
from scanner.media.inprocess import InProcessObserver
from scanner.media.pool import CellPool
from scanner.ports import Observer
from scanner.testing import FakeDetector, Pause, draw_video, segment_of

SPEC = ClipSpec(length=8, size=32)
DRAWINGS: dict[str, Callable[[], bytes]] = {
    "plain": draw_video,
    "b-frames": lambda: draw_video(bframes=2),
    "two faces": lambda: draw_video(faces=2, flicker=True),
    "rotated": lambda: draw_video(rotation=90),
    "10 bit": lambda: draw_video(pix_fmt="yuv420p10le"),
    "hevc in matroska": lambda: draw_video(codec="libx265", container="matroska", bframes=2),
    "gap": lambda: draw_video(pauses=[Pause(20, Fraction(5))]),
    "nobody": lambda: draw_video(faces=0),
    "one frame": lambda: draw_video(frames=1),
}


@pytest.fixture(scope="module", params=["in process", "in cells"])
def observer(request: pytest.FixtureRequest) -> Iterator[Observer]:
    made: Observer
    if request.param == "in process":
        made = InProcessObserver(SPEC, FakeDetector(), FakeDetector())
    else:
        made = CellPool(1, CellPlan(SPEC, detectors="scanner.testing:fake_detectors"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def cells() -> Iterator[CellPool]:
    with CellPool(1, CellPlan(SPEC, detectors="scanner.testing:fake_detectors")) as pool:
        yield pool


def seen(observer: Observer, payload: bytes, mode: Mode = Mode.FULL) -> tuple[list[Clip], Observation]:
    sighting = observer.observe(segment_of(payload), mode)
    clips = [replace(clip, pixels=clip.pixels.copy()) for clip in sighting.clips()]
    return clips, sighting.observation()


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_a_cell_sees_what_this_process_sees(drawing: str, cells: CellPool) -> None:
    payload = DRAWINGS[drawing]()
    here_clips, here = seen(InProcessObserver(SPEC, FakeDetector(), FakeDetector()), payload)
    there_clips, there = seen(cells, payload)
    assert replace(there, sandbox=()) == here
    assert [replace(clip, pixels=None) for clip in there_clips] == [replace(clip, pixels=None) for clip in here_clips]
    for left, right in zip(here_clips, there_clips, strict=True):
        np.testing.assert_array_equal(left.pixels, right.pixels)


def test_clips_come_in_time_order_and_belong_to_a_tracklet(observer: Observer) -> None:
    clips, observation = seen(observer, draw_video(faces=2))
    assert len(clips) == 12
    assert [clip.start_ms for clip in clips] == sorted(clip.start_ms for clip in clips)
    assert {clip.tracklet for clip in clips} == {tracklet.index for tracklet in observation.tracklets}
    assert all(0 <= clip.start_ms < clip.end_ms <= observation.duration_ms for clip in clips)
    assert all(clip.pixels.shape == (8, 32, 32, 3) and clip.pixels.dtype == np.uint8 for clip in clips)


@pytest.mark.parametrize(("mode", "clips", "decoded"), [(Mode.PATROL, 1, 8), (Mode.INSPECT, 5, 46), (Mode.FULL, 6, 46)])
def test_the_mode_says_how_much_is_looked_at(observer: Observer, mode: Mode, clips: int, decoded: int) -> None:
    """46 frames in bursts of 8: five fit, the sixth of a full pass ends at the last frame."""
    found, observation = seen(observer, draw_video(frames=46), mode)
    assert len(found) == clips
    assert observation.tally.mode is mode
    assert observation.tally.frames_total == 46
    assert observation.tally.frames_decoded == decoded
    assert found[-1].repeats == (2 if mode is Mode.FULL else 0)


def test_the_observation_is_not_to_be_had_before_the_last_clip(observer: Observer) -> None:
    sighting = observer.observe(segment_of(draw_video()), Mode.FULL)
    with pytest.raises(RuntimeError, match="before the last clip"):
        sighting.observation()
    assert len(list(sighting.clips())) == 6
    assert sighting.observation().width == 160


@pytest.mark.parametrize("payload", [b"", b"\0" * 1000, b"#EXTM3U\nhttp://127.0.0.1:1/x\n"])
def test_bytes_that_are_no_video_are_refused_with_a_reason(observer: Observer, payload: bytes) -> None:
    sighting = observer.observe(segment_of(payload), Mode.FULL)
    with pytest.raises(MediaError, match=r"no bytes|cannot be read as video"):
        list(sighting.clips())


def test_sound_without_pictures_is_answered_not_refused(observer: Observer) -> None:
    clips, observation = seen(observer, draw_video(frames=0, audio=True))
    assert not clips
    assert observation.reasons == (Reason.NO_VIDEO,)


def test_a_segment_after_a_refused_one_is_seen_as_ever(observer: Observer) -> None:
    with pytest.raises(MediaError):
        list(observer.observe(segment_of(b"rubbish"), Mode.FULL).clips())
    clips, _ = seen(observer, draw_video())
    assert len(clips) == 6


def test_a_scene_cut_ends_a_face_and_begins_another(observer: Observer) -> None:
    """Two scenes of 12 frames in bursts of 8, full coverage. The second face stands where the first one stood.

    frames   0 . . . . . . 7 8 . . 11 | 12 . . . . . 19 20 . . 23
    bursts  [---------------)         | [--------------)
                    [---------------) |         [---------------)
    """
    clips, observation = seen(observer, draw_video(frames=24, gop=24, cut_at=12))
    assert [(clip.tracklet, clip.start_ms, clip.repeats) for clip in clips] == [
        (0, 0, 0),
        (0, 160, 4),
        (1, 480, 0),
        (1, 640, 4),
    ]
    assert [(tracklet.after_cut, tracklet.frames) for tracklet in observation.tracklets] == [(False, 12), (True, 12)]


def test_a_clip_does_not_span_a_pause_of_the_clock(observer: Observer) -> None:
    clips, observation = seen(observer, draw_video(pauses=[Pause(20, Fraction(5))]))
    assert all(clip.end_ms - clip.start_ms <= 320 for clip in clips)
    assert len(observation.tracklets) == 1


def test_a_slow_recording_is_seen_although_its_steps_are_long(observer: Observer) -> None:
    clips, _ = seen(observer, draw_video(rate=1, frames=16))
    assert len(clips) == 2
