"""DASH manifests to addresses: every way of saying where the pieces lie, and what is left out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.core.errors import MediaError
from scanner.media.dash.manifest import Manifest, parse

AT = "https://host/a/live.mpd"
EPOCH = "1970-01-01T00:00:00Z"
TIMELINE = '<SegmentTimeline><S t="900" d="100" r="1"/><S d="50"/></SegmentTimeline>'


def mpd(inner: str, told: str = 'type="static" mediaPresentationDuration="PT10S"') -> bytes:
    return f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" {told}>{inner}</MPD>'.encode()


def video(inner: str, period: str = "", representation: str = 'id="v" bandwidth="9"') -> str:
    adaptation = f'<AdaptationSet mimeType="video/mp4"><Representation {representation}>{inner}</Representation>'
    return f"<Period {period}>{adaptation}</AdaptationSet></Period>"


def template(told: str, inner: str = "", media: str = "$RepresentationID$-$Number%03d$.m4s") -> str:
    named = f'initialization="i-$Bandwidth$.mp4" media="{media}"'
    return f'<SegmentTemplate timescale="100" {named} {told}>{inner}</SegmentTemplate>'


def pieces(manifest: Manifest) -> list[tuple[int, float, str]]:
    return [
        (one.start, one.seconds, one.part.url.removeprefix("https://host/a/")) for one in manifest.first_choice().pieces
    ]


def live(window: str = "") -> str:
    return f'type="dynamic" availabilityStartTime="{EPOCH}" {window}'


def test_a_time_line_names_its_pieces_by_number_and_by_time() -> None:
    found = parse(mpd(video(template('startNumber="7"', TIMELINE))), AT, 0)
    assert pieces(found) == [(900, 1.0, "v-007.m4s"), (1000, 1.0, "v-008.m4s"), (1100, 0.5, "v-009.m4s")]
    init = found.first_choice().init
    assert init is not None
    assert init.url == "https://host/a/i-9.mp4"
    by_time = parse(mpd(video(template("", TIMELINE, "$Time$$$.m4s"))), AT, 0)
    assert [url for _, _, url in pieces(by_time)] == ["900$.m4s", "1000$.m4s", "1100$.m4s"]


def test_a_time_line_that_repeats_until_the_end_ends_with_the_period_and_live_with_what_is_whole() -> None:
    forever = '<SegmentTimeline><S t="0" d="300" r="-1"/></SegmentTimeline>'
    assert [start for start, _, _ in pieces(parse(mpd(video(template("", forever))), AT, 0))] == [0, 300, 600, 900]
    assert [start for start, _, _ in pieces(parse(mpd(video(template("", forever)), live()), AT, 7.9))] == [0, 300]
    then = '<SegmentTimeline><S t="0" d="300" r="-1"/><S t="600" d="100"/></SegmentTimeline>'
    assert [start for start, _, _ in pieces(parse(mpd(video(template("", then))), AT, 0))] == [0, 300, 600]


def test_a_count_of_equal_pieces_fills_the_period_and_live_grows_by_the_servers_clock() -> None:
    counted = video(template('duration="400"'))
    assert [url for _, _, url in pieces(parse(mpd(counted), AT, 0))] == ["v-001.m4s", "v-002.m4s", "v-003.m4s"]
    kept = live('timeShiftBufferDepth="PT8S"')
    assert [url for _, _, url in pieces(parse(mpd(counted, kept), AT, 103.9))] == [
        "v-023.m4s",
        "v-024.m4s",
        "v-025.m4s",
    ]
    assert pieces(parse(mpd(counted, live()), AT, 3.9)) == []


def test_lists_ranges_and_single_files_are_addresses_too() -> None:
    listed = (
        '<SegmentList timescale="10" duration="20"><Initialization sourceURL="all.mp4" range="0-9"/>'
        '<SegmentURL media="all.mp4" mediaRange="10-19"/><SegmentURL media="more.mp4"/></SegmentList>'
    )
    found = parse(mpd(video(listed)), AT, 0).first_choice()
    assert found.init is not None
    assert [(part.url[15:], part.span) for part in (found.init, *(one.part for one in found.pieces))] == [
        ("all.mp4", "0-9"),
        ("all.mp4", "10-19"),
        ("more.mp4", ""),
    ]
    single = "<BaseURL>b/</BaseURL>" + video("<BaseURL>c.mp4</BaseURL><SegmentBase/>")
    assert pieces(parse(mpd(single), AT, 0)) == [(0, 10.0, "b/c.mp4")]


def test_the_largest_pictures_are_taken_and_sound_tricks_and_secrets_are_left_out() -> None:
    def one(name: str, told: str, inner: str = "") -> str:
        shape = f'<Representation id="{name}" {told}/>'
        return f'<AdaptationSet mimeType="video/mp4">{inner}{template(chr(32), TIMELINE)}{shape}</AdaptationSet>'

    tricks = '<EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode" value="1"/>'
    sets = (
        one("small", 'width="320" height="240" bandwidth="90"'),
        one("weak", 'width="640" height="480" bandwidth="10"'),
        one("best", 'width="640" height="480" bandwidth="20"'),
        one("locked", 'width="1920" height="1080"', '<ContentProtection schemeIdUri="urn:x"/>'),
        one("quick", 'width="1920" height="1080"', tricks),
        one("sound", 'bandwidth="999"').replace("video/mp4", "audio/mp4"),
    )
    text = mpd(f"<Period id='p'>{''.join(sets)}</Period>")
    assert parse(text, AT, 0).first_choice().name == "p/best"
    assert parse(text, AT, 0, "p/small").first_choice().name == "p/small"
    with pytest.raises(MediaError, match="no video in this DASH manifest that is not encrypted"):
        parse(mpd(f"<Period>{sets[3]}{sets[5]}</Period>"), AT, 0)


def test_of_several_periods_the_longest_finished_one_is_taken_and_live_the_last_with_pieces() -> None:
    def period(name: str, told: str) -> str:
        return video(template('duration="200"'), f'id="{name}" {told}')

    ends = period("ad", 'duration="PT2S"') + period("film", 'duration="PT8S"') + period("credits", 'duration="PT2S"')
    assert parse(mpd(ends, 'type="static"'), AT, 0).first_choice().name == "film/v"
    goes_on = period("one", 'start="PT0S"') + period("two", 'start="PT10S"')
    for now_s, name in ((9, "one/v"), (11, "one/v"), (13, "two/v")):
        assert parse(mpd(goes_on, live()), AT, now_s).first_choice().name == name
    assert [start for start, _, _ in pieces(parse(mpd(goes_on, live()), AT, 11))][-1] == 800


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"<html/>", "its first element is <html>"),
        (b"no xml", "not a DASH manifest"),
        (mpd("", 'mediaPresentationDuration="soon"'), "the duration 'soon'"),
        (mpd(video(template("", '<SegmentTimeline><S d="0"/></SegmentTimeline>'))), "a piece of 0 ticks"),
        (mpd(video(template("", '<SegmentTimeline><S d="1" r="999999999"/></SegmentTimeline>'))), "more than 131072"),
        (mpd(video('<SegmentTemplate duration="1"/>')), "names no media"),
        (mpd(video(template('duration="many"'))), "cannot be understood"),
        (mpd(""), "no video"),
    ],
)  # fmt: skip
def test_what_is_no_sound_manifest_is_said(text: bytes, told: str) -> None:
    with pytest.raises(MediaError, match=told):
        parse(text, AT, 0)


@given(st.lists(st.sampled_from('abcdrt0159-$%<>/&PTS"= '), max_size=12), st.integers(0, 900))
def test_a_damaged_manifest_is_read_or_refused(junk: list[str], at: int) -> None:
    text = mpd(video(template('startNumber="7"', TIMELINE))).decode()
    place = at % len(text)
    with suppress(MediaError):
        parse((text[:place] + "".join(junk) + text[place + len(junk) :]).encode(), AT, 0)
