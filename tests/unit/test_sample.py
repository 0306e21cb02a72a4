"""The sample clips draw themselves: the same every time, one face throughout, forged where asked."""

from __future__ import annotations

from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from scanner.core.types import ClipSpec, Mode
from scanner.faces.mediapipe import MediapipeDetector, Range
from scanner.media.demux import Limits
from scanner.media.observe import SegmentObserver
from scanner.sample import draw_sample
from scanner.sample.draw import Studio
from scanner.sample.motion import Performance

SMALL = (320, 240)


def test_the_same_seed_draws_the_same_file(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        draw_sample(tmp_path / name, forged=True, seconds=0.4, size=SMALL, forged_spans=[(0.1, 0.3)])
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_clip_has_the_size_length_and_keyframes_it_was_asked_for(tmp_path: Path) -> None:
    draw_sample(tmp_path / "clip.mp4", forged=False, seconds=2.2, fps=20, size=SMALL)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == SMALL
        assert stream.average_rate == 20
        pictures = list(container.decode(video=0))
    assert len(pictures) == 44
    assert [place for place, picture in enumerate(pictures) if picture.key_frame] == [0, 40]


def test_twins_differ_only_where_one_is_forged_and_only_inside_the_face() -> None:
    genuine, forged = (Studio(SMALL, 1, 1.0) for _ in range(2))
    for t, paste in ((0.0, False), (0.04, True), (0.08, False), (0.12, True)):
        left, right = genuine.picture(t, forged=False), forged.picture(t, forged=paste)
        changed = np.any(left != right, axis=2)
        assert changed.any() == paste
        rows, columns = np.nonzero(changed)
        if paste:
            assert 0.03 < changed.mean() < 0.15
            assert rows.min() > 50
            assert rows.max() < 175
            assert columns.min() > 100
            assert columns.max() < 225


@pytest.mark.parametrize("forged", [False, True])
def test_the_detector_follows_exactly_one_face_throughout(tmp_path: Path, forged: bool) -> None:
    draw_sample(tmp_path / "clip.mp4", forged=forged, seconds=0.8, forged_spans=[(0.0, 2.0)])
    near, far = MediapipeDetector(Range.SHORT), MediapipeDetector(Range.FULL)
    try:
        payload = (tmp_path / "clip.mp4").read_bytes()
        observer = SegmentObserver(payload, Mode.FULL, ClipSpec(), near=near, far=far, limits=Limits())
        clips = list(observer.clips())
    finally:
        near.close()
        far.close()
    observation = observer.observation()
    (face,) = observation.tracklets
    assert face.frames == observation.tally.frames_total == 20
    assert 160 < face.quality.face_px < 200
    assert len(clips) == 2
    assert not observation.reasons


def test_a_performance_blinks_and_speaks_and_stays_near_its_place() -> None:
    performance = Performance(1, 6.0)
    poses = [performance.pose(t / 25) for t in range(150)]
    assert max(pose.lids for pose in poses) > 0.8
    assert min(pose.mouth for pose in poses) < 0.4
    assert max(pose.mouth for pose in poses) > 1.1
    assert all(abs(length) < 9 for pose in poses for length in (*pose.shift, *pose.nod, pose.roll))


@pytest.mark.parametrize("wrong", [{"size": (641, 480)}, {"size": (640, 2)}, {"fps": 0}, {"seconds": 0.0}])
def test_a_clip_that_cannot_be_encoded_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot draw"):
        draw_sample(tmp_path / "clip.mp4", forged=False, **wrong)


def test_the_portrait_is_the_file_that_its_note_describes() -> None:
    sample = resources.files("scanner.sample")
    digest = sha256(sample.joinpath("portrait.jpg").read_bytes()).hexdigest()
    assert digest in sample.joinpath("portrait.md").read_text(encoding="utf-8")
