"""DASH as ffmpeg's own packager writes it, over HTTP: finished and live, through a server's death and silence."""

from __future__ import annotations

import itertools
import subprocess
import time
from io import BytesIO
from pathlib import Path

import av
import pytest
from live_parts import MoodyBus, assert_no_number_twice, encoder, ingesting, on_topic, wait_until
from media_servers import Web

from scanner.core.types import Segment
from scanner.ingest import SourceSpec, source_of
from scanner.testing import draw_video

LIVE = ("-f", "dash", "-seg_duration", "1", "-window_size", "6", "-extra_window_size", "6", "-target_latency", "3")


def packaged(folder: Path, *renditions: bytes) -> None:
    """All renditions as one finished presentation, whatever the codec."""
    inputs = []
    for number, video in enumerate(renditions):
        (folder / f"source-{number}.mp4").write_bytes(video)
        inputs += ["-i", f"source-{number}.mp4"]
    maps = [part for number in range(len(renditions)) for part in ("-map", str(number))]
    told = ["ffmpeg", "-v", "error", "-nostdin", *inputs, *maps, "-c", "copy", "-f", "dash", "-seg_duration", "1"]
    subprocess.run([*told, "vod.mpd"], cwd=folder, check=True)


def frames_of(segment: Segment) -> list[tuple[int, int]]:
    with av.open(BytesIO(segment.payload)) as container:
        return [(frame.width, frame.height) for frame in container.decode(video=0)]


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "libsvtav1"])
def test_a_finished_presentation_is_read_to_its_end_once_in_its_best_rendition(
    bus: MoodyBus, tmp_path: Path, codec: str
) -> None:
    with Web.running(tmp_path / "web") as web:
        sizes = ((160, 120), (320, 240))
        packaged(tmp_path / "web", *(draw_video(codec=codec, frames=100, rate=25, gop=25, size=size) for size in sizes))
        source = source_of(f"cam=http://127.0.0.1:{web.port}/vod.mpd?token=secret")
        with ingesting(bus, tmp_path / "spool", source) as ingest:
            wait_until(lambda: bool(on_topic(bus)) and on_topic(bus)[-1].end_of_stream)
            wait_until(lambda: ingest.status.sources()[0]["state"] == "ended")
    *segments, end = on_topic(bus)
    assert [segment.start_ms for segment in segments] == [0, 1000, 2000, 3000]
    assert [frames_of(segment) for segment in segments] == [[(320, 240)] * 25] * 4
    assert (end.payload, end.sequence) == (b"", 4)


@pytest.mark.parametrize(("fault", "timeline"), [("killed", "1"), ("frozen", "0")])
def test_a_live_presentation_outlives_its_server_and_is_asked_no_faster_than_it_grows(
    bus: MoodyBus, tmp_path: Path, fault: str, timeline: str
) -> None:
    folder = tmp_path / "web"
    began_s = time.monotonic()
    with Web.running(folder) as web, encoder(*LIVE, "-use_timeline", timeline, str(folder / "live.mpd")):
        wait_until((folder / "live.mpd").exists)
        with ingesting(bus, tmp_path / "spool", source_of(f"cam=http://127.0.0.1:{web.port}/live.mpd")) as ingest:
            wait_until(lambda: len(on_topic(bus)) >= 3)
            lost = ingest.status.sources()[0]["reconnects"]
            web.end() if fault == "killed" else web.freeze()
            wait_until(lambda: ingest.status.sources()[0]["reconnects"] != lost, 100)
            before = len(on_topic(bus))
            web.start() if fault == "killed" else web.thaw()
            wait_until(lambda: len(on_topic(bus)) >= before + 3, 100)
        told, asked, seconds = ingest.status.sources()[0], len(web.asked), time.monotonic() - began_s
    assert asked < 50 + 5 * seconds
    segments = on_topic(bus)
    assert_no_number_twice(segments)
    digests = [segment.sha256 for segment in segments]
    assert len(digests) == len(set(digests)), "video came twice"
    assert sum(after.sequence - one.sequence - 1 for one, after in itertools.pairwise(segments)) == told["lost"]
    assert not any(segment.end_of_stream for segment in segments)


def test_a_manifest_by_another_name_is_read_when_it_is_called_dash(bus: MoodyBus, tmp_path: Path) -> None:
    with Web.running(tmp_path / "web") as web:
        packaged(tmp_path / "web", draw_video(frames=50, rate=25, gop=25))
        (tmp_path / "web" / "vod.mpd").rename(tmp_path / "web" / "manifest")
        source = SourceSpec(name="cam", url=f"http://127.0.0.1:{web.port}/manifest", format="dash")
        with ingesting(bus, tmp_path / "spool", source):
            wait_until(lambda: bool(on_topic(bus)) and on_topic(bus)[-1].end_of_stream)
    assert len(on_topic(bus)) == 3


def test_a_manifest_reaches_no_file_and_a_missing_one_is_said_without_its_secrets(
    bus: MoodyBus, tmp_path: Path
) -> None:
    folder = tmp_path / "web"
    with Web.running(folder) as web:
        packaged(tmp_path / "web", draw_video(frames=50, rate=25, gop=25))
        hostile = (folder / "vod.mpd").read_text().replace("<Period", f"<BaseURL>file://{folder}/</BaseURL><Period", 1)
        (folder / "hostile.mpd").write_text(hostile)
        at = f"http://user:secret@127.0.0.1:{web.port}"
        sources = [source_of(f"{name}={at}/{name}.mpd?token=secret") for name in ("hostile", "missing")]
        with ingesting(bus, tmp_path / "spool", *sources) as ingest:
            wait_until(lambda: sum(bool(source["reconnects"]) for source in ingest.status.sources()) == 2)
            told = {source["name"]: str(source["last_error"]) for source in ingest.status.sources()}
    assert "404" in told["missing"]
    assert "secret" not in f"{told}"
    assert on_topic(bus, "hostile") == []
