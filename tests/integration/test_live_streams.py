"""What live streams do in the middle: clocks that wrap and drift, sound alone, other codecs, labels."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Event, Thread

import av
import pytest
from live_parts import RULES, MoodyBus, encoder, free_port, ingesting, on_topic, wait_until

from scanner.core.types import Segment
from scanner.ingest import source_of
from scanner.testing import draw_video

WRAPS_S = 2**33 / 90_000  # MPEG-TS counts in 33 bits of a 90 kHz clock: 26.5 hours
LABEL = '{"Label":"1","ContentProducer":"somebody","ProduceID":"7"}'


@contextmanager
def knocking(command: list[str], folder: Path | None = None) -> Iterator[None]:
    """Runs it again until it was let in once."""
    stop = Event()

    def knock() -> None:
        code = 1
        while code and not stop.is_set():
            with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
                while (left := process.poll()) is None and not stop.wait(0.05):
                    pass
                process.kill()
                code = 1 if left is None else left

    thread = Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def sending(data: bytes, port: int) -> Iterator[None]:
    """All at once, to whoever listens."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        connected = f"socket.create_connection(('127.0.0.1', {port}))"
        code = f"import socket, sys; {connected}.sendall(open(sys.argv[1], 'rb').read())"
        with knocking([sys.executable, "-c", code, file.name]):
            yield


def frames_of(segment: Segment) -> int:
    with av.open(BytesIO(segment.payload)) as container:
        return sum(1 for _ in container.decode(video=0))


def codec_of(segment: Segment) -> str:
    with av.open(BytesIO(segment.payload)) as container:
        return container.streams.video[0].codec.canonical_name


def transported(video: bytes, folder: Path, *options: str) -> bytes:
    """The same as MPEG-TS."""
    (folder / "video.mp4").write_bytes(video)
    told = ["ffmpeg", "-v", "error", "-nostdin", "-i", "video.mp4", "-c", "copy", *options, "-f", "mpegts", "-"]
    return subprocess.run(told, cwd=folder, check=True, capture_output=True).stdout


def test_a_clock_of_33_bits_wraps_and_nothing_shows_it(bus: MoodyBus, tmp_path: Path) -> None:
    video = draw_video(frames=200, rate=25, gop=25, bframes=2, audio=True)
    data = transported(video, tmp_path, "-output_ts_offset", str(WRAPS_S - 4))
    port = free_port()
    with ingesting(bus, tmp_path / "spool", source_of(f"cam=tcp://127.0.0.1:{port}?listen=1")), sending(data, port):
        wait_until(lambda: len(on_topic(bus)) >= 8)
    segments = on_topic(bus)
    assert [segment.sequence for segment in segments] == list(range(8))
    assert [segment.start_ms for segment in segments] == list(range(0, 8000, 1000))
    assert [frames_of(segment) for segment in segments] == [25] * 8


@contextmanager
def played(video: bytes, folder: Path, url: str, speed: str = "1") -> Iterator[None]:
    """By ffmpeg, at the pace of its clock, as MPEG-TS; it knocks until somebody opens."""
    (folder / "played.mkv").write_bytes(video)
    told = ["ffmpeg", "-v", "error", "-nostdin", "-readrate", speed, "-i", str(folder / "played.mkv"), "-c", "copy"]
    with knocking([*told, "-max_interleave_delta", "200000", "-f", "mpegts", url]):
        yield


def test_sound_alone_for_a_while_is_told_and_loses_nothing(bus: MoodyBus, tmp_path: Path) -> None:
    drawn = "-f lavfi -i testsrc=s=160x120:r=25:d=12 -f lavfi -i sine=d=12 -vf select=lt(t\\,3)+gte(t\\,9) -vsync vfr"
    form = "-c:v libx264 -preset ultrafast -g 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -f matroska -"
    told = ["ffmpeg", "-v", "error", "-nostdin", *drawn.split(), *form.split()]
    video = subprocess.run(told, check=True, capture_output=True).stdout
    port, states = free_port(), []
    url = f"tcp://127.0.0.1:{port}"
    with ingesting(bus, tmp_path / "spool", source_of(f"cam={url}?listen=1")) as ingest, played(video, tmp_path, url):
        while len(on_topic(bus)) < 6:
            states.append(str(ingest.status.sources()[0]["state"]))
            time.sleep(0.1)
        (told,) = ingest.status.sources()
    assert [state for state, _ in itertools.groupby(states)][-3:] == ["live", "no_video", "live"]
    segments = on_topic(bus)
    assert [segment.sequence for segment in segments] == list(range(6))
    assert [segment.start_ms for segment in segments] == [0, 1000, 2000, 9000, 10_000, 11_000]
    assert told["lost"] == 0


@pytest.mark.parametrize(("speed", "sign"), [("1.1", 1), ("0.9", -1)])
def test_a_clock_that_drifts_is_measured_and_kept(bus: MoodyBus, tmp_path: Path, speed: str, sign: int) -> None:
    video = draw_video(container="matroska", frames=300, rate=25, gop=25)
    url = f"tcp://127.0.0.1:{free_port()}"
    with (
        ingesting(bus, tmp_path / "spool", source_of(f"cam={url}?listen=1")) as ingest,
        played(video, tmp_path, url, speed),
    ):
        wait_until(lambda: len(on_topic(bus)) >= 8)
        drift_ms = int(str(ingest.status.sources()[0]["drift_ms"]))
    segments = on_topic(bus)[:8]
    assert [segment.start_ms for segment in segments] == list(range(0, 8000, 1000))
    wall_ms = (segments[-1].captured_at_ms or 0) - (segments[0].captured_at_ms or 0)
    assert abs(wall_ms - 7000 / float(speed)) < 350
    assert 200 < sign * drift_ms < 1500


def test_another_codec_in_the_middle_ends_the_connection_and_is_told(bus: MoodyBus, tmp_path: Path) -> None:
    parts = [draw_video(codec=codec, frames=100, rate=25, gop=25) for codec in ("libx264", "libx265")]
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "both.ts").write_bytes(b"".join(transported(part, tmp_path) for part in parts))
    with (
        ingesting(bus, tmp_path / "spool", source_of(f"cam={fifo}")) as ingest,
        knocking(["cp", "both.ts", str(fifo)], tmp_path),
    ):
        wait_until(lambda: len(on_topic(bus)) >= 4)
        wait_until(lambda: bool(ingest.status.sources()[0]["reconnects"]))
        assert "its codec is h264 no longer" in str(ingest.status.sources()[0]["last_error"])
    segments = on_topic(bus)[:4]
    assert [codec_of(segment) for segment in segments] == ["h264"] * 4
    assert [frames_of(segment) for segment in segments[:3]] == [25] * 3  # the last pictures run into the other codec's


def test_a_label_of_the_container_travels_with_every_segment(bus: MoodyBus, tmp_path: Path) -> None:
    port = free_port()
    url = f"rtmp://127.0.0.1:{port}/live/key"
    listening = ingesting(bus, tmp_path, source_of(f"cam={url}?listen=1"))
    with listening, encoder("-metadata", f"AIGC={LABEL}", "-f", "flv", url, again=True):
        wait_until(lambda: len(on_topic(bus)) >= 2)
    assert {segment.declared.aigc for segment in on_topic(bus)} == {LABEL}


def test_a_stream_that_stays_silent_ends_on_the_topic_and_goes_on_without_a_gap(bus: MoodyBus, tmp_path: Path) -> None:
    port = free_port()
    data = transported(draw_video(frames=50, rate=25, gop=25), tmp_path)
    source = source_of(f"cam=tcp://127.0.0.1:{port}?listen=1")
    with ingesting(bus, tmp_path / "spool", source, rules=replace(RULES, end_after_s=1.5)) as ingest:
        with sending(data, port):
            wait_until(lambda: len(on_topic(bus)) >= 2)
        wait_until(lambda: on_topic(bus)[-1].end_of_stream)
        with sending(data, port):
            wait_until(lambda: len(on_topic(bus)) >= 5)
        assert ingest.status.sources()[0]["lost"] == 0
    segments = on_topic(bus)
    assert [segment.sequence for segment in segments] == list(range(5))
    assert [segment.end_of_stream for segment in segments] == [False, False, True, False, False]
