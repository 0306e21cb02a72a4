"""What benches run on looks like what live encoders send."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import av

from scanner.bench.material import Profile, loop_of
from scanner.testing import draw_video


def test_a_file_is_sent_in_its_own_shape_in_whole_gops_without_b_frames(tmp_path) -> None:
    """120 × 120 px in 160 × 90: bars of 35 px on either side."""
    source = tmp_path / "square.mp4"
    source.write_bytes(draw_video(size=(120, 120), frames=30))
    made = loop_of(tmp_path, Profile(160, 90, 30, 400), source, seconds=4, forged=True)
    assert (made.name, made.forged, len(made.segments)) == ("square.mp4", True, 2)
    assert list(tmp_path.iterdir()) == [source]
    for segment in made.segments:
        with av.open(BytesIO(segment.payload)) as container:
            frames = list(container.decode(video=0))
            assert len(frames) == 60
            assert [frame.key_frame for frame in frames] == [True, *[False] * 59]
            assert not any(frame.pict_type == av.video.frame.PictureType.B for frame in frames)
            assert container.streams.video[0].average_rate == Fraction(30)
            grey = frames[0].to_ndarray(format="gray")
            assert grey.shape == (90, 160)
            assert grey[:, :30].max() < 24
            assert grey[:, 130:].max() < 24
            assert grey[:, 40:120].max() > 100
