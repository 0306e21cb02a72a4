"""The cutter on drawn files: every frame, its time and its colours survive, and the bytes are the same every time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import pytest

from scanner.core.errors import MediaError
from scanner.core.types import Segment
from scanner.media.cutter import Cut, cut
from scanner.testing import Pause, draw_video

Shown = tuple[Fraction, str, int, int, int]
"""time, digest of the pixels, rotation, colour matrix, colour range"""


def decoded(payload: bytes) -> list[Shown]:
    with av.open(BytesIO(payload)) as container:
        stream: Any = container.streams.video[0]
        return [
            (
                frame.pts * frame.time_base,
                sha256(frame.to_ndarray(format="rgb24").tobytes()).hexdigest(),
                frame.rotation,
                frame.colorspace,
                frame.color_range,
            )
            for frame in container.decode(stream)
        ]


def joined(segments: list[Segment]) -> list[Shown]:
    """Frames of all segments, their times since the first frame of the stream, by the segments' own starts."""
    shown = []
    for segment in segments:
        frames = decoded(segment.payload)
        shown += [(Fraction(segment.start_ms, 1000) + frame[0] - frames[0][0], *frame[1:]) for frame in frames]
    return shown


def cut_bytes(payload: bytes, folder: Path, target_s: float = 0.5) -> tuple[list[Segment], Cut]:
    path = folder / "drawn"
    path.write_bytes(payload)
    cutting = cut(path, target_s=target_s)
    return list(cutting), cutting


LOSSLESS: dict[str, tuple[Callable[[], bytes], str]] = {
    "h264": (draw_video, "video/mp4"),
    "h264 with b-frames": (lambda: draw_video(bframes=2), "video/mp4"),
    "h264 in a transport stream": (lambda: draw_video(bframes=2, container="mpegts"), "video/mp4"),
    "h264 in flv": (lambda: draw_video(container="flv"), "video/mp4"),
    "h264 in avi": (lambda: draw_video(container="avi", bframes=2), "video/mp4"),
    "h264 at 29.97": (lambda: draw_video(rate=Fraction(30000, 1001)), "video/mp4"),
    "h264 4:2:2 in 10 bit": (lambda: draw_video(pix_fmt="yuv422p10le"), "video/mp4"),
    "hevc": (lambda: draw_video(codec="libx265", options={"x265-params": "open-gop=0:log-level=none"}), "video/mp4"),
    "av1": (lambda: draw_video(codec="libsvtav1"), "video/mp4"),
    "vp9": (lambda: draw_video(codec="libvpx-vp9", container="webm"), "video/mp4"),
    "vp8": (lambda: draw_video(codec="libvpx", container="webm"), "video/x-matroska"),
    "mpeg-4": (lambda: draw_video(codec="mpeg4", container="avi"), "video/mp4"),
    "mpeg-2": (lambda: draw_video(codec="mpeg2video", container="mpegts"), "video/mp4"),
    "motion jpeg": (lambda: draw_video(codec="mjpeg", container="mov", pix_fmt="yuvj420p"), "video/mp4"),
    "ffv1": (lambda: draw_video(codec="ffv1", container="matroska"), "video/mp4"),
    "prores": (lambda: draw_video(codec="prores_ks", container="mov", pix_fmt="yuv422p10le"), "video/quicktime"),
    "sorenson": (lambda: draw_video(codec="flv", container="flv"), "video/x-flv"),
    "wmv": (lambda: draw_video(codec="wmv1", container="avi"), "video/x-msvideo"),
    "rotated": (lambda: draw_video(rotation=90), "video/mp4"),
    "rotated vp8": (lambda: draw_video(rotation=270, codec="libvpx", container="matroska"), "video/x-matroska"),
    "variable rate": (lambda: draw_video(vfr=True, bframes=2), "video/mp4"),
    "pause before a keyframe": (lambda: draw_video(pauses=[Pause(24, Fraction(50))]), "video/mp4"),
    "pause inside a gop": (lambda: draw_video(pauses=[Pause(20, Fraction(5))]), "video/mp4"),
    "bt.709, full range": (
        lambda: draw_video(options={"x264-params": "colormatrix=bt709:range=pc"}, bframes=1),
        "video/mp4",
    ),
    "sound left out": (lambda: draw_video(audio=True), "video/mp4"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_frame_keeps_its_pixels_time_rotation_and_colour(name: str, tmp_path: Path) -> None:
    draw, content_type = LOSSLESS[name]
    payload = draw()
    whole = decoded(payload)
    segments, cutting = cut_bytes(payload, tmp_path)
    pieces = joined(segments)
    assert {segment.content_type for segment in segments} == {content_type}
    assert len(segments) >= 2
    assert [frame[1:] for frame in pieces] == [frame[1:] for frame in whole]
    for now, then in zip(pieces, whole, strict=True):
        assert abs(now[0] - (then[0] - whole[0][0])) <= Fraction(1, 2000)  # start_ms is rounded, nothing else is
    assert cutting.damage == ""


@pytest.mark.parametrize("name", LOSSLESS)
def test_the_same_file_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    payload = LOSSLESS[name][0]()
    first, _ = cut_bytes(payload, tmp_path)
    second, _ = cut_bytes(payload, tmp_path)
    assert [segment.sha256 for segment in first] == [segment.sha256 for segment in second]
    assert all(sha256(segment.payload).hexdigest() == segment.sha256 for segment in first)


def test_times_inside_a_segment_are_exact(tmp_path: Path) -> None:
    payload = draw_video(rate=Fraction(30000, 1001), vfr=True, frames=100, gop=25)
    whole = [frame[0] - decoded(payload)[0][0] for frame in decoded(payload)]
    at = 0
    for segment in cut_bytes(payload, tmp_path)[0]:
        times = [frame[0] for frame in decoded(segment.payload)]
        assert [time - times[0] for time in times] == [then - whole[at] for then in whole[at : at + len(times)]]
        at += len(times)
    assert at == 100


def test_sample_aspect_survives(tmp_path: Path) -> None:
    payload = draw_video(options={"x264-params": "sar=4/3"})
    for segment in cut_bytes(payload, tmp_path)[0]:
        with av.open(BytesIO(segment.payload)) as container:
            assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_segments_are_numbered_timed_and_about_as_long_as_asked(tmp_path: Path) -> None:
    """Keyframes every 0.48 s; 2 s are asked for: the first keyframe from 1.5 s on ends a segment."""
    segments, cutting = cut_bytes(draw_video(frames=320), tmp_path, target_s=2.0)
    assert [segment.sequence for segment in segments] == list(range(7))
    assert [segment.start_ms for segment in segments] == [1920 * number for number in range(7)]
    assert [segment.end_of_stream for segment in segments] == [False] * 6 + [True]
    assert {segment.stream_id for segment in segments} == {str(tmp_path / "drawn")}
    assert cutting.duration_s == pytest.approx(12.8, abs=0.1)
    assert cutting.bytes_total == (tmp_path / "drawn").stat().st_size
    assert 0 < cutting.bytes_read <= cutting.bytes_total
    assert "rlimit" in cutting.sandbox


def test_a_short_rest_joins_the_segment_before(tmp_path: Path) -> None:
    """50 frames, keyframes every 12: a last segment of 2 frames could hold no clip."""
    segments, _ = cut_bytes(draw_video(frames=50), tmp_path, target_s=0.9)
    assert [len(decoded(segment.payload)) for segment in segments] == [24, 26]


def test_pictures_that_lean_on_the_segment_before_are_left_out(tmp_path: Path) -> None:
    """An open GOP: its first pictures are shown before its keyframe and need the GOP before."""
    payload = draw_video(
        bframes=2, container="mpegts", frames=96, gop=12, options={"x264-params": "open-gop=1:scenecut=0"}
    )
    whole = decoded(payload)
    segments, _ = cut_bytes(payload, tmp_path)
    pieces = joined(segments)
    lost = len(whole) - len(pieces)
    assert 0 < lost <= 2 * (len(segments) - 1)
    for segment in segments:
        with av.open(BytesIO(segment.payload)) as container:
            times = [packet.pts for packet in container.demux() if packet.size]
        assert min(time for time in times if time is not None) == times[0]
    left = {frame[1] for frame in whole}
    assert all(frame[1] in left for frame in pieces), "a picture was decoded without what it leans on"


def test_the_label_of_the_container_is_lifted(tmp_path: Path) -> None:
    label = '{"Label":"1","ContentProducer":"x"}'
    payload = draw_video(container_options={"movflags": "use_metadata_tags"}, metadata={"AIGC": label})
    assert {segment.declared.aigc for segment in cut_bytes(payload, tmp_path)[0]} == {label}


def test_standard_input_and_pipes_are_cut_like_files(tmp_path: Path) -> None:
    payload = draw_video(frames=100)
    by_path = [segment.sha256 for segment in cut_bytes(payload, tmp_path, target_s=2.0)[0]]
    code = "from scanner.media.cutter import cut\nprint(*(segment.sha256 for segment in cut('-')))"
    said = subprocess.run([sys.executable, "-c", code], input=payload, capture_output=True, check=True)
    assert said.stdout.decode().split() == by_path
    read, write = os.pipe()
    feeder = threading.Thread(target=feed, args=(write, payload))
    feeder.start()
    with os.fdopen(read, "rb") as pipe:
        assert [segment.sha256 for segment in cut(pipe)] == by_path
    feeder.join()
    with (tmp_path / "drawn").open("rb") as file:
        assert [segment.sha256 for segment in cut(file)] == by_path


def feed(descriptor: int, payload: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(payload)


@pytest.mark.parametrize("what", ["missing", "folder", "empty"])
def test_what_is_no_file_is_refused_by_name(what: str, tmp_path: Path) -> None:
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    if what == "empty":
        path.touch()
    with pytest.raises(MediaError, match=rf"{path}: (cannot be opened|empty)"):
        list(cut(path))


def test_cutting_left_half_way_leaves_no_process_descriptor_or_thread(tmp_path: Path) -> None:
    path = tmp_path / "drawn"
    path.write_bytes(draw_video(frames=600))
    before = left_over()
    with cut(path, target_s=0.5) as cutting:
        next(cutting)
        assert left_over() != before
    cut(path).close()
    assert left_over() == before


def left_over() -> tuple[set[str], int, int]:
    """This process's children (a broker of other tests may be one), descriptors and threads."""
    lists = [Path(task, "children").read_text() for task in Path("/proc/self/task").iterdir()]
    return set(" ".join(lists).split()), len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


def test_a_cutter_that_hangs_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "drawn"
    path.write_bytes(draw_video())
    with pytest.raises(MediaError, match=r"reading it was stopped: nothing came for 0\.001 s"):
        list(cut(path, stall_s=0.001))


def test_a_cutter_survives_the_thread_that_began_it(tmp_path: Path) -> None:
    """A death signal tied to the parent's thread would end it here."""
    path = tmp_path / "drawn"
    path.write_bytes(draw_video(frames=600))
    cutting = cut(path, target_s=0.5)
    first: list[Segment] = []
    thread = threading.Thread(target=lambda: first.append(next(cutting)))
    thread.start()
    thread.join()
    assert len(first + list(cutting)) > 20
