"""Live sources from a real peer, the ffmpeg program, to the bus in memory: every number once, every loss told."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import av
from live_parts import (
    RULES,
    MoodyBus,
    assert_no_number_twice,
    encoder,
    free_port,
    ingesting,
    on_topic,
    wait_until,
)

from scanner.core.types import Segment
from scanner.ingest import SourceSpec, source_of
from scanner.testing import draw_video


def pushed(bus: MoodyBus, spool: Path, url: str, *form: str) -> list[Segment]:
    with ingesting(bus, spool, source_of(f"cam={url}")), encoder(*form, seconds=8):
        wait_until(lambda: len(on_topic(bus)) >= 3)
    return on_topic(bus)


def test_a_push_by_rtmp_becomes_segments_of_a_second(bus: MoodyBus, tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/key"
    before_ms = time.time() * 1000
    with ingesting(bus, tmp_path, source_of(f"cam={url}?listen=1")), encoder("-f", "flv", url, again=True):
        wait_until(lambda: len(on_topic(bus)) >= 4)
    segments = on_topic(bus)
    assert [segment.sequence for segment in segments] == list(range(len(segments)))
    assert [segment.start_ms for segment in segments[:4]] == [0, 1000, 2000, 3000]
    captured = [segment.captured_at_ms or 0 for segment in segments]
    assert before_ms < captured[0]
    assert all(after > before for before, after in itertools.pairwise(captured))
    assert abs(captured[3] - captured[0] - 3000) < 1500
    for segment in segments[:4]:
        with av.open(BytesIO(segment.payload)) as container:
            frames = list(container.decode(video=0))
            assert (len(frames), frames[0].key_frame) == (25, True)


def test_mpeg_ts_over_udp_joined_in_the_middle(bus: MoodyBus, tmp_path: Path) -> None:
    url = f"udp://127.0.0.1:{free_port()}"
    segments = pushed(bus, tmp_path, url, "-f", "mpegts", f"{url}?pkt_size=1316")
    assert_no_number_twice(segments)


def test_an_srt_peer(bus: MoodyBus, tmp_path: Path) -> None:
    url = f"srt://127.0.0.1:{free_port()}"
    segments = pushed(bus, tmp_path, url, "-f", "mpegts", f"{url}?mode=listener")
    assert_no_number_twice(segments)


def test_a_push_by_rtsp(bus: MoodyBus, tmp_path: Path) -> None:
    url = f"rtsp://127.0.0.1:{free_port()}/live"
    push = encoder("-f", "rtsp", "-rtsp_transport", "tcp", url, again=True)
    with ingesting(bus, tmp_path, source_of(f"cam={url}?listen=1")), push:
        wait_until(lambda: len(on_topic(bus)) >= 3)
    assert_no_number_twice(on_topic(bus))


def test_a_finished_playlist_is_read_to_its_end_once(bus: MoodyBus, tmp_path: Path) -> None:
    web = tmp_path / "web"
    web.mkdir()
    (tmp_path / "clip.mp4").write_bytes(draw_video(frames=100, rate=25, gop=25))
    told = "ffmpeg -v error -nostdin -i ../clip.mp4 -c copy -f hls -hls_time 1 -hls_playlist_type vod a.m3u8"
    subprocess.run(told.split(), cwd=web, check=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(web))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/a.m3u8"
        with ingesting(bus, tmp_path / "spool", source_of(f"cam={url}")) as ingest:
            wait_until(lambda: bool(on_topic(bus)) and on_topic(bus)[-1].end_of_stream)
            time.sleep(1)
            assert ingest.status.sources()[0]["state"] == "ended"
        server.shutdown()
    segments = on_topic(bus)
    assert [segment.sequence for segment in segments] == list(range(5))  # four of a second, and the end
    assert [segment.start_ms for segment in segments[:4]] == [0, 1000, 2000, 3000]


def test_what_a_files_manifest_says_goes_along_with_its_segments(bus: MoodyBus, tmp_path: Path) -> None:
    path = tmp_path / "signed.mp4"
    path.write_bytes(draw_video(frames=50))
    rules = replace(RULES, lifted=lambda file: f"the manifest of {file.name}")
    with ingesting(bus, tmp_path / "spool", source_of(f"cam={path}"), rules=rules):
        wait_until(lambda: len(on_topic(bus)) >= 2)
    assert {segment.declared.c2pa for segment in on_topic(bus)} == {"the manifest of signed.mp4"}


def test_numbers_go_on_after_the_source_and_after_our_own_restart(bus: MoodyBus, tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/key"
    source = source_of(f"cam={url}?listen=1")
    with ingesting(bus, tmp_path, source) as ingest:
        with encoder("-f", "flv", url, again=True):
            wait_until(lambda: len(on_topic(bus)) >= 2)
        wait_until(lambda: ingest.status.sources()[0]["reconnects"] == 1)
        first = len(on_topic(bus))
        with encoder("-f", "flv", url, again=True):
            wait_until(lambda: len(on_topic(bus)) >= first + 2)
    before = on_topic(bus)
    assert_no_number_twice(before)
    assert before[first].sequence == before[first - 1].sequence + 2  # what lay between is lost, and told
    shutil.rmtree(tmp_path)  # another machine
    with ingesting(bus, tmp_path, source), encoder("-f", "flv", url, again=True):
        wait_until(lambda: len(on_topic(bus)) >= len(before) + 2)
    after = on_topic(bus)
    assert_no_number_twice(after)
    gap_ms = after[len(before)].start_ms - before[-1].start_ms
    wall_ms = (after[len(before)].captured_at_ms or 0) - (before[-1].captured_at_ms or 0)
    assert gap_ms == wall_ms


def test_an_outage_of_the_broker_loses_nothing(bus: MoodyBus, tmp_path: Path) -> None:
    url = f"udp://127.0.0.1:{free_port()}"
    with ingesting(bus, tmp_path, source_of(f"cam={url}")) as ingest, encoder("-f", "mpegts", f"{url}?pkt_size=1316"):
        wait_until(lambda: len(on_topic(bus)) >= 1)
        bus.away = True
        wait_until(lambda: len(ingest.spool) >= 3)
        bus.away = False
        wait_until(lambda: len(ingest.spool) == 0)
        (status,) = ingest.status.sources()
    segments = on_topic(bus)
    assert [segment.sequence for segment in segments] == list(range(len(segments)))
    assert status["lost"] == 0


def test_what_overflows_during_an_outage_is_missing_and_counted(bus: MoodyBus, tmp_path: Path) -> None:
    url = f"udp://127.0.0.1:{free_port()}"
    bus.away = True
    with (
        ingesting(bus, tmp_path, source_of(f"cam={url}"), spool_bytes=60_000) as ingest,
        encoder("-f", "mpegts", f"{url}?pkt_size=1316"),
    ):
        wait_until(lambda: int(str(ingest.status.sources()[0]["lost"])) >= 2)
        bus.away = False
        wait_until(lambda: len(on_topic(bus)) >= 2)
    (status,) = ingest.status.sources()
    segments = on_topic(bus)
    assert_no_number_twice(segments)
    assert segments[-1].sequence + 1 - len(segments) == status["lost"]


def test_another_size_in_the_middle_begins_a_segment_of_its_own(bus: MoodyBus, tmp_path: Path) -> None:
    small = draw_video(container="mpegts", size=(160, 120), frames=60, rate=25, gop=25)
    large = draw_video(container="mpegts", size=(320, 240), frames=50, rate=25, gop=25)
    file = tmp_path / "changes.ts"
    file.write_bytes(small + large)
    with ingesting(bus, tmp_path / "spool", SourceSpec(name="cam", url=str(file))) as ingest:
        wait_until(lambda: bool(on_topic(bus)) and on_topic(bus)[-1].end_of_stream)
    sizes = []
    frames = 0
    for segment in on_topic(bus):
        if segment.payload:
            with av.open(BytesIO(segment.payload)) as container:
                seen = {(frame.width, frame.height) for frame in container.decode(video=0)}
                header = container.streams.video[0]
                assert seen == {(header.width, header.height)}
                frames += header.frames or sum(1 for _ in seen)
                sizes.append(seen.pop())
    assert sizes == [(160, 120)] * sizes.count((160, 120)) + [(320, 240)] * sizes.count((320, 240))
    assert {(160, 120), (320, 240)} == set(sizes)
    assert ingest.status.sources()[0]["state"] == "ended"


def test_sources_come_and_go_with_the_file(bus: MoodyBus, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(draw_video(frames=50, rate=25, gop=25))
    file = tmp_path / "sources.toml"
    port = free_port()
    file.write_text(f'[cam]\nurl = "udp://127.0.0.1:{port}"\n')
    with (
        ingesting(bus, tmp_path / "spool", file=file) as ingest,
        encoder("-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"),
    ):
        wait_until(lambda: len(on_topic(bus)) >= 1)
        file.write_text(f'[cam]\nurl = "udp://127.0.0.1:{port}"\n[file]\nurl = "{clip}"\n')
        wait_until(lambda: bool(on_topic(bus, "file")) and on_topic(bus, "file")[-1].end_of_stream)
        file.write_text("this is no TOML")
        seen = len(on_topic(bus))
        wait_until(lambda: len(on_topic(bus)) > seen)  # a slip of the pen stops nobody
        file.write_text(f'[file]\nurl = "{clip}"\n')
        wait_until(lambda: on_topic(bus)[-1].end_of_stream)
        assert {source["name"]: source["state"] for source in ingest.status.sources()}["cam"] == "ended"
    assert_no_number_twice(on_topic(bus))
