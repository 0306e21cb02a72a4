"""Faces on the wall: small, for a while, for people who are signed in; and groups of streams."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from said import TOPICS, judged, verdict

from scanner import wire
from scanner.dashboard.streams import PICTURES_KEPT
from scanner.dashboard.tiles import tile_of
from scanner.dashboard.view import Limits, View, group_of
from scanner.ports import Delivery

JPEG = b"\xff\xd8\xff\xe0 a face"


def pictured(
    jpeg: bytes = JPEG, stream_id: str = "cam", track: str = "t1", at_ms: int = 0, offset: int = 0
) -> Delivery:
    said = verdict(stream_id)
    shown = replace(said, tracks=(replace(said.tracks[0], track_id=track),))
    record = wire.face_record(wire.Face(shown, track, jpeg), TOPICS.faces, at_ms=at_ms)
    return Delivery(record, 3, offset, at_ms)


def seeing(minutes: float = 60) -> View:
    view = View(TOPICS, Limits(pictures_ms=round(minutes * 60_000)))
    view.fold(judged(verdict("cam")))
    return view


def test_a_tile_shows_the_last_picture_of_each_face() -> None:
    view = seeing()
    for offset, track in enumerate(["t1", "t2", "t1"]):
        view.fold(pictured(track=track, offset=offset))
    assert tile_of(view.streams["cam"]).pictures == (
        ("t2", "3-1", "no_manipulation_found"),
        ("t1", "3-2", "no_manipulation_found"),
    )


def test_pictures_of_many_faces_do_not_fill_the_memory() -> None:
    view = seeing()
    for number in range(100):
        view.fold(pictured(track=f"t{number}", offset=number))
    assert len(view.streams["cam"].pictures) == PICTURES_KEPT


def test_pictures_expire_and_the_pages_are_told() -> None:
    view = seeing(minutes=1)
    view.fold(pictured(at_ms=1000))
    before = view.version
    assert not view.expire(61_000)
    assert view.expire(61_001)
    assert view.streams["cam"].pictures == []
    assert [stream.stream_id for stream in view.changed_since(before)] == ["cam"]


def test_switched_off_pictures_are_not_even_read() -> None:
    assert TOPICS.faces not in View(TOPICS).topics
    assert TOPICS.faces in seeing().topics


@pytest.mark.parametrize("value", [b"", b"<svg onload=alert(1)>", b"\xff\xd8\xff" + bytes(20_000)])
def test_what_is_no_small_jpeg_is_counted_and_not_kept(value) -> None:
    view = seeing()
    view.fold(pictured(value))
    assert view.streams["cam"].pictures == []
    assert view.tallies.unreadable == 1


def test_a_picture_is_for_those_who_are_signed_in(desk) -> None:
    desk.say(verdict("cam"))
    desk.publish(pictured().record)
    address = "/face?id=cam&track=t1"
    assert desk.client().get(address).status_code in {303, 401}
    answer = desk.client("viewer").get(address)
    assert (answer.status_code, answer.content) == (200, JPEG)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "private" in answer.headers["cache-control"]
    assert desk.client("viewer").get("/face?id=cam&track=t9").status_code == 404
    assert 'src="/face?id=cam&amp;track=t1' in desk.client("viewer").get("/").text


def test_an_expired_picture_is_gone_from_the_dashboard(make_desk) -> None:
    desk = make_desk(**{"faces.kept_min": 0.005})
    desk.say(verdict("cam"))
    desk.publish(pictured().record)
    client = desk.client("viewer")
    deadline = time.monotonic() + 10
    while client.get("/face?id=cam&track=t1").status_code != 404:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "/face?" not in client.get("/").text


# Groups.


@pytest.mark.parametrize(
    ("stream_id", "separator", "group"),
    [("hall/a", "/", "hall"), ("hall/b/c", "/", "hall"), ("hall", "/", ""), ("hall-a", "-", "hall"), ("a/b", "", "")],
)
def test_a_streams_group_is_its_name_up_to_the_separator(stream_id, separator, group) -> None:
    assert group_of(stream_id, separator) == group


def test_the_wall_shows_one_group_when_asked(desk) -> None:
    desk.say(verdict("hall/a"), verdict("hall/b"), verdict("gate/a"), verdict("lone"))
    client = desk.client("viewer")
    assert client.get("/").text.count('<li class="tile') == 4 + 1  # and the one that scripts copy
    page = client.get("/?group=hall").text
    assert page.count('<li class="tile') == 2 + 1
    assert '<option value="hall" selected>' in page
    assert client.get("/?group=<script>").status_code == 200


def test_groups_follow_the_setting(make_desk) -> None:
    desk = make_desk(**{"dashboard.group_by": "-"})
    desk.say(verdict("hall-a"), verdict("gate-b"))
    assert '<option value="hall">' in desk.client("viewer").get("/").text
