"""HTTPS hosts that answer what they should not: the connection ends with a reason, and nothing grows without end."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path
from time import time

import pytest
from https_parts import VIDEO, frames_of, pulled
from tls_site import Site

from scanner.core.errors import MediaError
from scanner.media.fetching import HttpClient


def test_a_redirect_that_talks_without_end_is_followed(site: Site, truth: list[bytes]) -> None:
    head = b"HTTP/1.0 302 Found\r\nLocation: /plain1.ts?\r\n\r\n"
    site.raw = {"led1.ts": chain([head], repeat(bytes(2**16)))}
    (site.folder / "led.m3u8").write_text((site.folder / "plain.m3u8").read_text().replace("plain1", "led1"))
    assert frames_of(pulled(site.url("led.m3u8"))) == truth


def test_redirects_in_a_circle_end_without_showing_where_they_lead(site: Site) -> None:
    site.moved = {"live": "/live?s3cret", "away": "rtmp://ana:s3cret@host/live"}
    for path in site.moved:
        with pytest.raises(MediaError, match=r"HTTP 302 that leads nowhere$"):
            pulled(site.url(path))


def test_a_length_that_no_file_has_is_not_believed(site: Site) -> None:
    head = f"HTTP/1.0 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: {10**30}\r\n\r\n"
    site.raw = {"video.mp4": [head.encode(), VIDEO]}
    with pytest.raises(MediaError, match="no keyframe in its video"):
        pulled(site.url("video.mp4"))


def test_an_encrypted_segment_without_a_byte_is_a_hole(site: Site, truth: list[bytes]) -> None:
    site.raw = {"secret1.ts": [b"HTTP/1.0 200 OK\r\n\r\n"]}
    assert frames_of(pulled(site.url("secret.m3u8"), "damaged packets: 1")) == truth[:25] + truth[50:]


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("address", ["https://ana:s3cret@\u2100/", "https://ana:s3cret/@host/"])
def test_what_is_no_address_is_not_shown(site: Site, web: Path, address: str, moved: bool) -> None:
    (web / "led.m3u8").write_text((web / "plain.m3u8").read_text().replace("plain", f"{address}plain"))
    site.moved = {"live": "/led.m3u8"}
    with pytest.raises(MediaError, match=r"leads to what is no address$"):
        pulled(site.url("live" if moved else "led.m3u8"))


def test_a_host_with_umlauts_is_looked_up(site: Site, web: Path) -> None:
    (web / "led.m3u8").write_text((web / "plain.m3u8").read_text().replace("plain", "https://bücher.invalid/plain"))
    with pytest.raises(MediaError, match=r"(?i)\bname\b"):
        pulled(site.url("led.m3u8"))


@pytest.mark.parametrize(("count", "to"), [(1, "led.m3u8"), (257, "plain.m3u8")])
def test_playlists_without_end_are_not_looked_through(site: Site, web: Path, count: int, to: str) -> None:
    (web / "led.m3u8").write_text("#EXTM3U\n" + f"#EXT-X-STREAM-INF:BANDWIDTH=1\n{to}\n" * count)
    with pytest.raises(MediaError, match=f"a playlist that leads to {count} others"):
        pulled(site.url("led.m3u8"))
    assert len(site.asked) <= 2


def test_cookies_without_end_are_forgotten(site: Site, web: Path) -> None:
    text = (web / "plain.m3u8").read_bytes()
    heads = b"".join(b"Set-Cookie: a%d=1; Path=/\r\n" % number for number in range(65))
    for sent, kept in ((heads, 0), (heads[: len(heads) // 65 * 9], 9)):
        site.cookies = []
        site.raw = {"led.m3u8": [b"HTTP/1.0 200 OK\r\n" + sent + b"\r\n" + text]}
        pulled(site.url("led.m3u8"))
        assert [told.count("=") for told in site.cookies] == [0, *[kept] * 4]


def test_a_date_that_is_none_is_our_own(site: Site) -> None:
    site.raw = {"a.mpd": [b"HTTP/1.0 200 OK\r\nDate: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\n\r\n"]}
    assert abs(HttpClient(site.url("a.mpd")).page().now_s - time()) < 10
