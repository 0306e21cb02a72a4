"""HTTPS sources in their confined process: every byte from a host that this machine's authorities vouch for."""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path

import pytest
from https_parts import FORMS, VIDEO, frames_of, pulled
from live_parts import MoodyBus, assert_no_number_twice, encoder, ingesting, on_topic, wait_until
from media_servers import Web
from tls_site import Certificate, Site, site_of

from scanner.core.errors import MediaError
from scanner.ingest import SourceSpec, source_of
from scanner.ingest.addresses import address_of
from scanner.media.pull import Pull


@pytest.mark.parametrize("path", ["video.mp4", *(f"{name}.m3u8" for name in FORMS)])
def test_every_picture_comes_from_a_host_that_is_vouched_for(site: Site, path: str, truth: list[bytes]) -> None:
    segments = pulled(site.url(path))
    assert frames_of(segments) == truth
    if path.startswith(("ranged", "fragments")):
        assert all(span for name, span, _ in site.asked if not name.endswith("m3u8"))


def test_an_encrypted_playlist_gives_what_ffmpeg_makes_of_it_by_http(site: Site, web: Path) -> None:
    with Web.running(web) as plain:
        by_http = pulled(f"http://127.0.0.1:{plain.port}/secret.m3u8")
    assert [segment.sha256 for segment in pulled(site.url("secret.m3u8"))] == [segment.sha256 for segment in by_http]


def test_a_host_that_nobody_vouches_for_is_not_heard(site: Site, stranger: Site) -> None:
    for url in (stranger.url("plain.m3u8"), stranger.url("video.mp4"), site.url("plain.m3u8", host="127.0.0.1")):
        with pytest.raises(MediaError, match="CERTIFICATE_VERIFY_FAILED"):
            pulled(url)
    assert (site.asked, stranger.asked) == ([], [])


LED = {
    "segments": ("plain.m3u8", r"plain(?=\d)"),
    "the last segments": ("plain.m3u8", r"plain(?=[23])"),
    "encrypted segments": ("secret.m3u8", r"secret(?=\d)"),
    "a key": ("secret.m3u8", r"key(?=\")"),
    "a variant": ("master.m3u8", "plain(?=.m3u8)"),
}


@pytest.mark.parametrize("led", LED)
def test_what_a_playlist_leads_to_is_vouched_for_too(site: Site, stranger: Site, web: Path, led: str) -> None:
    playlist, name = LED[led]
    text, changes = re.subn(name, lambda found: stranger.url(found[0]), (web / playlist).read_text())
    assert changes
    (web / "led.m3u8").write_text(text)
    with pytest.raises(MediaError, match="CERTIFICATE_VERIFY_FAILED"):
        pulled(site.url("led.m3u8"))
    assert stranger.asked == []


def test_where_a_segment_is_redirected_to_is_vouched_for_too(site: Site, stranger: Site) -> None:
    site.moved = {f"plain{number}.ts": stranger.url(f"plain{number}.ts") for number in range(4)}
    with pytest.raises(MediaError, match="CERTIFICATE_VERIFY_FAILED"):
        pulled(site.url("plain.m3u8"))
    assert stranger.asked == []


def test_of_several_playlists_one_that_cannot_be_had_is_done_without(
    site: Site, stranger: Site, web: Path, truth: list[bytes]
) -> None:
    other = f"#EXT-X-STREAM-INF:BANDWIDTH=9\n{stranger.url('plain.m3u8')}\n"
    (web / "led.m3u8").write_text((web / "master.m3u8").read_text() + other)
    assert frames_of(pulled(site.url("led.m3u8"))) == truth


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:1/", "file://", "data:video/mp2t,x", "crypto+https://127.0.0.1:1/"]
)
def test_nothing_but_https_is_reached(site: Site, web: Path, place: str) -> None:
    text = (web / "plain.m3u8").read_text()
    at = f"{web}/" if place == "file://" else ""
    (web / "led.m3u8").write_text(text.replace("plain", f"{place}{at}plain"))
    with pytest.raises(MediaError, match="only https"):
        pulled(site.url("led.m3u8"))


def test_addresses_in_playlists_that_are_redirected_start_where_they_were_found(site: Site, truth: list[bytes]) -> None:
    (site.folder / "deep").mkdir(exist_ok=True)
    master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nvariant\n"
    (site.folder / "deep" / "master.m3u8").write_text(master)
    site.moved = {"live": site.url("deep/master.m3u8?token=1"), "deep/variant": "/secret.m3u8"}
    assert frames_of(pulled(site.url("live"))) == truth


def test_segments_that_are_announced_and_not_there_are_a_hole_as_by_http(
    site: Site, web: Path, truth: list[bytes]
) -> None:
    (web / "holes.m3u8").write_text(re.sub(r"plain(?=[12])", "gone", (web / "plain.m3u8").read_text()))
    with Web.running(web) as plain:
        by_http = pulled(f"http://127.0.0.1:{plain.port}/holes.m3u8", "damaged packets: 1")
    segments = pulled(site.url("holes.m3u8"), "damaged packets: 1")
    assert frames_of(segments) == truth[:25] + truth[75:]
    assert [segment.sequence for segment in segments] == [segment.sequence for segment in by_http] == [0, 2]
    names = [name for name, *_ in site.asked]
    assert (names.count("gone1.ts"), names.count("gone2.ts")) == (3, 1)  # once patiently


def test_a_live_playlist_that_vanishes_is_said(site: Site, web: Path) -> None:
    (web / "open.m3u8").write_text((web / "plain.m3u8").read_text().replace("#EXT-X-ENDLIST", ""))
    address = address_of(SourceSpec(name="cam", url=site.url("open.m3u8")))
    assert not isinstance(address, Path)
    with Pull(address, stream_id="cam", target_s=1.0, stall_s=10.0) as pull:
        for _ in pull:
            (web / "open.m3u8").unlink(missing_ok=True)
    assert pull.damage == "HTTP 404 File not found"


def test_a_segment_that_breaks_off_ends_the_connection(site: Site) -> None:
    site.broken = "plain2.ts"
    with pytest.raises(MediaError, match="bytes of a piece did not come"):
        pulled(site.url("plain.m3u8"))


def test_what_is_not_there_at_all_is_said_without_secrets(site: Site) -> None:
    (site.folder / "lost.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\ngone.m3u8?token=secret\n")
    for path in ("none.m3u8", "none.mp4", "lost.m3u8"):
        with pytest.raises(MediaError, match="HTTP 404") as caught:
            pulled(site.url(f"{path}?token=secret", user="ana:secret"))
        assert "secret" not in str(caught.value)


def test_a_key_that_is_not_the_one_is_said(site: Site, web: Path) -> None:
    (web / "other").write_bytes(bytes(16))
    (web / "led.m3u8").write_text((web / "secret.m3u8").read_text().replace('URI="key"', 'URI="other"'))
    with pytest.raises(MediaError, match="whose key does not fit"):
        pulled(site.url("led.m3u8"))


def test_a_password_is_told_to_its_own_host_alone(
    site: Site, web: Path, papers: Certificate, truth: list[bytes]
) -> None:
    site.password = "ana:s3cret"
    with site_of(web, papers) as other:
        text = (web / "plain.m3u8").read_text().replace("plain3", other.url("plain3"))
        (web / "led.m3u8").write_text(text)
        assert frames_of(pulled(site.url("led.m3u8", user="ana:s3cret"))) == truth
        assert [password for *_, password in other.asked] == [""]
    assert len(site.asked) == 4
    assert all(password for *_, password in site.asked)
    with pytest.raises(MediaError, match="HTTP 401"):
        pulled(site.url("led.m3u8"))


def test_an_address_in_a_playlist_may_hold_umlauts_and_a_password_of_its_own(
    site: Site, web: Path, truth: list[bytes]
) -> None:
    (web / "plän 1.ts").write_bytes((web / "plain1.ts").read_bytes())
    text = (web / "plain.m3u8").read_text().replace("plain1", "plän 1")
    (web / "led.m3u8").write_text(text.replace("plain3", site.url("plain3", user="ben:word")))
    assert frames_of(pulled(site.url("led.m3u8"))) == truth
    assert [password for *_, password in site.asked] == ["", "", "", "", f"Basic {b64encode(b'ben:word').decode()}"]


def test_a_redirect_on_its_own_host_takes_the_password_along(
    site: Site, web: Path, papers: Certificate, truth: list[bytes]
) -> None:
    site.password = "ana:s3cret"
    with site_of(web, papers) as other:
        site.moved = {"live": "/plain.m3u8", "plain3.ts": other.url("plain3.ts")}
        assert frames_of(pulled(site.url("live", user="ana:s3cret"))) == truth
        assert [password for *_, password in other.asked] == [""]


def test_cookies_go_along(site: Site, truth: list[bytes]) -> None:
    site.cookie = "session=1"
    assert frames_of(pulled(site.url("plain.m3u8"))) == truth


def test_an_index_at_the_end_of_a_file_is_found(site: Site, web: Path, truth: list[bytes]) -> None:
    assert VIDEO.index(b"moov") > VIDEO.index(b"mdat")
    assert frames_of(pulled(site.url("video.mp4"))) == truth
    assert len(site.asked) < 10


def test_a_live_playlist_is_followed_as_it_grows(
    bus: MoodyBus, tmp_path: Path, papers: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(papers.authority))
    (tmp_path / "live").mkdir()
    playlist = tmp_path / "live" / "a.m3u8"
    form = ("-f", "hls", "-hls_time", "1", "-hls_list_size", "6", "-hls_flags", "delete_segments", str(playlist))
    with ExitStack() as stack:
        site = stack.enter_context(site_of(tmp_path / "live", papers))
        stack.enter_context(encoder(*form))
        wait_until(playlist.exists)
        ingest = stack.enter_context(ingesting(bus, tmp_path / "spool", source_of(f"cam={site.url('a.m3u8')}")))
        wait_until(lambda: len(on_topic(bus)) >= 7)
        told = ingest.status.sources()[0]
    assert (told["reconnects"], told["lost"]) == (0, 0)
    assert_no_number_twice(on_topic(bus))
