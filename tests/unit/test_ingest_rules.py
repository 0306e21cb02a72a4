"""Ingestion's rules: names and addresses, numbers that go on, a spool that keeps order and counts what it loses."""

from __future__ import annotations

import itertools
import os
import stat
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from scanner.core.errors import SettingsError
from scanner.core.types import Segment
from scanner.ingest import SourceSpec, address_of, read_sources, source_of
from scanner.ingest.numbering import Head, Session, numbered
from scanner.ingest.overlap import Overlap
from scanner.ingest.spool import Spool, read
from scanner.media.pull import Address
from scanner.media.relay import complaint_in


def segment(captured: int, start: int = 0, payload: bytes = b"video", *, end: bool = False) -> Segment:
    return Segment("cam", 0, start, payload, sha256(payload).hexdigest(), captured_at_ms=captured, end_of_stream=end)


@pytest.mark.parametrize(
    ("given", "name", "url"),
    [
        ("rtmp://media.example/live/key", "media.example/live/key", "rtmp://media.example/live/key"),
        ("door=rtsp://u:p@10.0.0.7:554/s?x=1", "door", "rtsp://u:p@10.0.0.7:554/s?x=1"),
        ("rtsp://u:p@10.0.0.7:554/s?x=1", "10.0.0.7/s", "rtsp://u:p@10.0.0.7:554/s?x=1"),
        ("srt://host:9000?streamid=a=b", "host", "srt://host:9000?streamid=a=b"),
        ("/videos/a=b.mp4", "a=b.mp4", "/videos/a=b.mp4"),
        ("udp://239.0.0.1:5000", "udp/239.0.0.1/5000", "udp://239.0.0.1:5000"),
    ],
)
def test_a_source_is_named_or_named_after_host_and_path(given: str, name: str, url: str) -> None:
    source = source_of(given)
    assert (source.name, source.url) == (name, url)


def test_each_scheme_may_use_its_own_protocols_only_and_nobody_sees_the_password() -> None:
    address = address_of(SourceSpec(name="door", url="rtsp://u:secret@10.0.0.7/s?token=secret", transport="udp"))
    assert isinstance(address, Address)
    assert address.options["protocol_whitelist"] == "rtsp,rtp,udp,tcp"
    assert address.options["rtsp_transport"] == "udp"
    assert address.shown == "rtsp://10.0.0.7/s"
    assert "secret" not in repr(address)


def test_what_comes_by_https_is_fetched_by_us_and_ffmpeg_may_use_no_protocol() -> None:
    address = address_of(SourceSpec(name="cam", url="https://u:secret@host/live.m3u8?token=secret"))
    assert isinstance(address, Address)
    assert (address.fetched, address.options["protocol_whitelist"]) == (True, "")
    assert address.options["format_whitelist"].startswith("hls,mov,")
    assert "secret" not in repr(address)


def test_listening_is_asked_for_in_the_address() -> None:
    address = address_of(source_of("rtmp://0.0.0.0:1935/live/key?listen=1"))
    assert isinstance(address, Address)
    assert address.listens
    assert address.options["listen"] == "1"
    assert address.url == "rtmp://0.0.0.0:1935/live/key"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("gopher://host/x", "gopher:// is not one of rtmp"),
        ("https://host/x?listen=1", "https cannot listen"),
        ("rtmp:///live", "without a host"),
        ("rtmp://host/x.mpd", "rtmp:// is not one of http, https for DASH"),
        ("/nowhere/clip.mp4", "No such file"),
        ("/tmp", "neither a file, a named pipe nor a device"),
        ("v4l2:///dev/video99", "No such file or directory; video devices of this machine:"),
        ("v4l2:///etc/passwd", "/etc/passwd is no video device"),
        ("/dev/null", "/dev/null is no video device"),
    ],
)
def test_an_address_that_cannot_work_is_refused_by_name(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f"source cam: .*{told}"):
        address_of(SourceSpec(name="cam", url=url))


def test_the_bytes_of_dash_lead_to_no_address_and_are_no_playlist() -> None:
    for source in (
        SourceSpec(name="cam", url="https://u:secret@host/live.mpd?token=secret"),
        SourceSpec(name="cam", url="https://host/manifest", format="dash"),
    ):
        address = address_of(source)
        assert isinstance(address, Address)
        assert (address.dash, address.relay, address.url) == (True, (), source.url)
        assert address.options["format_whitelist"].startswith("mov,mp4,")
        assert (address.options["protocol_whitelist"], address.alone, address.listens) == ("", True, False)
        assert "secret" not in repr(address)


def device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine may lack: a video device, major number 81."""
    found = os.stat_result((stat.S_IFCHR | 0o660, 0, 0, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": os.makedev(81, 0)})
    monkeypatch.setattr(Path, "stat", lambda self: found)
    monkeypatch.setattr(os, "access", lambda path, rights: True)


@pytest.mark.parametrize("url", ["/dev/video7", "v4l2:///dev/video7"])
def test_a_device_is_asked_for_compressed_pictures(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    device(monkeypatch)
    address = address_of(SourceSpec(name="cam", url=url))
    assert isinstance(address, Address)
    told = dict(itertools.pairwise(address.relay))
    assert (told["-f"], told["-input_format"], told["-i"]) == ("mp4", "mjpeg", "/dev/video7")
    assert ("-f", "v4l2") in itertools.pairwise(address.relay)
    assert (address.shown, address.devices) == ("v4l2:///dev/video7", ("/dev/video7",))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("input_format=yuyv422", "input_format must be one of mjpeg, h264, hevc: pictures are copied"),
        ("colour=blue", "colour is not one of input_format, video_size, framerate"),
    ],
)
def test_what_a_device_cannot_give_is_refused(monkeypatch: pytest.MonkeyPatch, asked: str, told: str) -> None:
    device(monkeypatch)
    with pytest.raises(SettingsError, match=f"source cam: {told}"):
        address_of(SourceSpec(name="cam", url=f"v4l2:///dev/video7?{asked}"))


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("[info]   Duration: N/A\n", ""),
        ("[error] https://u:p@h/x.mpd?k=1: Server returned 404 Not Found\n", "Server returned 404 Not Found"),
        ("[dash @ 0x1] [error] Failed to open fragment\n[info] bye\n", "Failed to open fragment"),
        (
            "[error] first\n[https @ 0x1] [error] Will reconnect to https://u:p@h/x?k=1 later\n",
            "Will reconnect to https://h/x later",
        ),
    ],
)
def test_a_relays_complaint_tells_no_secret(said: str, complaint: str) -> None:
    assert complaint_in(said) == complaint


def test_sources_are_tables_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text('[a]\nurl = "rtmp://h/a"\n["b/c"]\nurl = "rtsp://h/b"\ntransport = "udp"\nsegment_s = 4\n')
    assert [source.name for source in read_sources(file)] == ["a", "b/c"]
    file.write_text('[a]\nurl = "rtmp://h/a"\nsegments = 4\n')
    with pytest.raises(SettingsError, match="source a: segments: Extra inputs"):
        read_sources(file)
    file.write_text('url = "rtmp://h/a"\n')
    with pytest.raises(SettingsError, match="url stands alone"):
        read_sources(file)


def test_numbers_go_on_where_the_topic_ends() -> None:
    head: Head | None = None
    placed = []
    road = [("a", 0, 1000, 0), ("a", 1, 2000, 1000), ("a", 3, 4000, 3000), ("b", 0, 9000, 0), ("b", 1, 10_000, 1000)]
    for session, ordinal, captured, start in road:
        found = numbered(segment(captured, start), Session(session, ordinal), head, uncertain=False)
        assert found
        placed.append((found[0].sequence, found[0].start_ms))
        head = found[1]
    # Ordinal 2 was lost; what lay between the connections was lost too. Time goes on by the wall clock.
    assert placed == [(0, 0), (1, 1000), (3, 3000), (5, 8000), (6, 9000)]


def test_what_is_on_the_topic_already_is_not_published_again() -> None:
    head = Head(sequence=7, start_ms=14_000, captured_at_ms=5000, ended=False)
    assert numbered(segment(5000), Session("a", 3), head, uncertain=True) is None
    found = numbered(segment(5001), Session("a", 4), head, uncertain=True)
    assert found
    assert found[0].sequence > 7


def test_a_wall_clock_that_was_set_back_loses_nothing() -> None:
    head = Head(sequence=7, start_ms=14_000, captured_at_ms=5000, ended=True)
    found = numbered(segment(1000), Session("a", 0), head, uncertain=False)
    assert found
    assert (found[0].sequence, found[0].start_ms, found[0].captured_at_ms) == (8, 14_001, 5001)


def test_an_end_follows_its_stream_without_a_gap() -> None:
    head = Head(sequence=7, start_ms=14_000, captured_at_ms=5000, ended=False)
    found = numbered(segment(9000, 0, b"", end=True), Session("b", 4), head, uncertain=False)
    assert found
    assert (found[0].sequence, found[1].ended) == (8, True)
    after = numbered(segment(20_000), Session("c", 0), found[1], uncertain=False)
    assert after
    assert after[0].sequence == 9  # nothing is missing between an end and a new beginning


def test_the_spool_keeps_order_across_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000)
    for number in range(3):
        assert spool.put(segment(number), Session("a", number)) == []
    with pytest.raises(SettingsError, match="used by another"):
        Spool(tmp_path, 10_000)
    spool.close()
    again = Spool(tmp_path, 10_000)
    again.put(segment(3), Session("a", 3))
    taken = [read(spooled) for spooled in again.take(10_000, 0)]
    assert [(kept.captured_at_ms, session.ordinal) for kept, session in taken] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert taken[0][0].payload == b"video"
    again.done()
    assert (len(again), again.bytes, list(tmp_path.glob("*.segment"))) == (0, 0, [])
    again.close()


def test_a_full_spool_gives_up_the_oldest_but_not_what_is_being_published(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 3500)
    payload = bytes(700)  # about 1000 bytes with its head
    for number in range(3):
        assert spool.put(segment(number, payload=payload), Session("a", number)) == []
    (taken,) = spool.take(1, 0)
    gone = spool.put(segment(3, payload=payload), Session("a", 3))
    assert [one.path.name[:12] for one in gone] == ["000000000001"]
    assert taken.path.exists()
    assert spool.bytes <= 3500
    spool.done()
    left = [read(spooled)[0].captured_at_ms for spooled in spool.take(10_000, 0)]
    assert left == [2, 3]
    spool.close()


def test_a_spooled_segment_that_was_damaged_is_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000)
    spool.put(segment(0), Session("a", 0))
    (spooled,) = spool.take(10_000, 0)
    spooled.path.write_bytes(spooled.path.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="was damaged"):
        read(spooled)
    spool.close()


def test_what_a_playlist_repeats_is_left_out_and_the_rest_joined_on() -> None:
    overlap = Overlap()

    def came(connection: str, ordinal: int, name: bytes) -> tuple[str, int, int] | None:
        placed = overlap.placed(replace(segment(0, ordinal * 1000, name), sequence=ordinal), connection)
        return placed and (placed[1].name, placed[1].ordinal, placed[0].start_ms)

    assert [came("x", number, name) for number, name in enumerate((b"a", b"b", b"c", b"d"))] == [
        ("x", number, number * 1000) for number in range(4)
    ]
    again = [came("y", number, name) for number, name in enumerate((b"c", b"d", b"e", b"f"))]
    assert again == [None, None, ("x", 4, 4000), ("x", 5, 5000)]
    assert came("z", 0, b"k") == ("z", 0, 0)  # the playlist went on without us: a connection of its own
    assert came("z", 1, b"k") == ("z", 1, 1000)  # the same picture twice within a connection is no repetition
