"""How a patrol looks at its pace: what it shows, what it decodes for that, and how often it asks for faces."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.core.clips import Pace
from scanner.core.types import Clip, ClipSpec, Mode, Observation
from scanner.media.cell import CellPlan
from scanner.media.inprocess import InProcessObserver
from scanner.media.pool import CellPool
from scanner.testing import FakeDetector, draw_video, segment_of

SPEC = ClipSpec(length=8, size=32)


def seen(pace: Pace, payload: bytes, mode: Mode = Mode.PATROL) -> tuple[list[Clip], Observation]:
    sighting = InProcessObserver(SPEC, FakeDetector(), FakeDetector(), pace=pace).observe(segment_of(payload), mode)
    return list(sighting.clips()), sighting.observation()


# 25 frames a second, so that a frame stands 40 ms. Keyframes every `gop`.
CASES = [
    # pace           frames gop  bframes  clips begin at                        decoded
    (Pace(1, 0.0), 100, 50, 0, [0], 8),
    (Pace(2, 0.0), 100, 50, 0, [0, 320], 16),
    (Pace(1, 1.0), 50, 50, 0, [0, 1000], 33),
    (Pace(2, 1.0), 50, 50, 0, [0, 320, 1000, 1320], 41),
    (Pace(1, 2.0), 100, 50, 0, [0, 2000], 16),  # the second look begins at a keyframe: nothing between is decoded
    (Pace(1, 2.4), 100, 50, 0, [0, 2400], 26),  # … or a little after one
    (Pace(1, 1.0), 100, 100, 0, [0, 1000, 2000, 3000], 83),
    (Pace(3, 0.5), 50, 50, 0, [0, 320, 640, 1000, 1320, 1640], 49),  # looks that touch do not overlap
    (Pace(1, 9.0), 50, 50, 0, [0], 8),
    (Pace(1, 2.0), 100, 50, 2, [0, 2000], None),
]


@pytest.mark.parametrize(("pace", "frames", "gop", "bframes", "starts", "decoded"), CASES)
def test_a_patrol_looks_at_its_pace_and_decodes_no_more_than_that_needs(
    pace, frames, gop, bframes, starts, decoded
) -> None:
    options = {"x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0"}
    clips, observation = seen(pace, draw_video(frames=frames, gop=gop, bframes=bframes, options=options))
    assert [clip.start_ms for clip in clips] == starts
    assert observation.tally.frames_total == frames
    assert abs(observation.duration_ms - frames * 40) <= 40 * bframes  # what the decoder held back is not counted
    if decoded is not None:
        assert observation.tally.frames_decoded == decoded
    if pace.every_s < 2:  # over longer gaps nobody saw whether the scene changed: the drawn ground has moved on
        assert len(observation.tracklets) == 1


def test_clips_at_a_pace_show_what_a_full_pass_shows_there() -> None:
    """A burst starts anew at each look: at 1,000 ms full coverage has one that began at 960 ms, so compare at 0."""
    payload = draw_video(frames=50, gop=50)
    paced, _ = seen(Pace(2, 1.0), payload)
    full, _ = seen(Pace(), payload, Mode.FULL)
    for left, right in zip(paced[:2], full[:2], strict=True):
        np.testing.assert_array_equal(left.pixels, right.pixels)


def test_a_cell_keeps_the_pace_of_its_plan() -> None:
    plan = CellPlan(SPEC, pace=Pace(2, 1.0), detectors="scanner.testing:fake_detectors")
    with CellPool(1, plan) as pool:
        sighting = pool.observe(segment_of(draw_video(frames=50, gop=50)), Mode.PATROL)
        assert [clip.start_ms for clip in sighting.clips()] == [0, 320, 1000, 1320]
        assert pool.spent_s["ffmpeg"] > 0


@pytest.mark.parametrize(("mode", "pace", "asked"), [(Mode.FULL, Pace(), 7), (Mode.PATROL, Pace(3), 4)])
def test_two_bursts_back_to_back_share_the_look_between_them(mode, pace, asked) -> None:
    """Six bursts of 8 in 48 frames have 12 ends, and are looked at 7 times; half of them by the far detector."""
    near, far = FakeDetector(), FakeDetector()
    sighting = InProcessObserver(SPEC, near, far, pace=pace).observe(segment_of(draw_video(frames=48)), mode)
    clips = list(sighting.clips())
    assert near.calls + far.calls == asked
    assert far.calls == -(-asked // 2)
    assert len({clip.tracklet for clip in clips}) == 1


def test_a_shared_look_cuts_the_squares_that_two_looks_cut() -> None:
    """The drawn face moves a pixel a frame; its square may move by one."""
    payload = draw_video(frames=48)
    clips, _ = seen(Pace(), payload, Mode.FULL)
    for clip in clips:
        alone = InProcessObserver(SPEC, FakeDetector(), FakeDetector(), pace=Pace(1, clip.start_ms / 1000))
        looks = list(alone.observe(segment_of(payload), Mode.PATROL).clips())
        same = next(look for look in looks if look.start_ms == clip.start_ms)
        assert np.abs(same.pixels.astype(int) - clip.pixels).mean() < 10
