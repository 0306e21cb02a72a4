"""The pages: who gets in, what they show, and what they refuse."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from desks import suspicious, token
from said import TOPICS, alert, dead, verdict

from scanner import wire
from scanner.core.types import Edge
from scanner.testing import draw_video

PAGES = ["/", "/reviews", "/health"]


# What stands around every answer.


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.bad += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        self._script = tag == "script" and "src" not in given and given.get("type") != "application/json"
        if tag == "style" or self._script:
            self.bad.append(tag)


@pytest.mark.parametrize("path", [*PAGES, "/stream?id=cam", "/people"])
def test_pages_have_neither_inline_script_nor_inline_style(desk, path) -> None:
    desk.say(suspicious(), verdict("b", 1))
    answer = desk.client("admin").get(path)
    assert answer.status_code == 200
    reader = _Reader()
    reader.feed(answer.text)
    assert reader.bad == []
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/sign-in", "/healthz", "/nowhere", "/static/page.css", "/"])
def test_every_answer_has_the_strict_headers(desk, path) -> None:
    headers = desk.client().get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert ("no-store" in headers["cache-control"]) is (not path.startswith("/static"))


def test_a_hostile_name_is_text_everywhere(desk) -> None:
    name = "<script>alert(1)</script>\u202e"
    desk.say(suspicious(name))
    desk.publish(_dead(name))
    client = desk.client("reviewer")
    for path in [*PAGES, f"/stream?id={name}"]:
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "\u202e" not in re.sub(r'(data-\w+|href|hx-get|value)="[^"]*"', "", text)


# What they show.


def test_the_wall_shows_those_first_who_need_attention(desk) -> None:
    desk.say(
        verdict("calm"), suspicious("bad"), verdict("dark", score=None), suspicious("odd", score=0.7), verdict("al")
    )
    desk.publish(alert(stream_id="al").record)
    text = desk.client("viewer").get("/").text
    shown = re.findall(r'<li class="tile is-(\w+)" data-id="(\w+)"', text)
    assert shown == [
        ("alert", "al"), ("manipulated", "bad"), ("suspected", "odd"), ("insufficient", "dark"), ("clear", "calm"),
    ]  # fmt: skip
    assert "0.8 s behind" in text


def test_a_wall_of_hundreds_comes_in_two_helpings_and_whole_when_asked(desk) -> None:
    desk.say(*(verdict(f"s{number}") for number in range(150)), suspicious("bad"))
    client = desk.client("viewer")
    text = client.get("/").text
    assert text.count('<li class="tile') == 41, "those shown first, and the one to copy"
    for told, tiles in (("25", 26), ("9999", 151), ("1", 13), ("x", 41), ("-3", 41)):
        client.cookies.set("tiles", told, domain="testserver.local")
        assert client.get("/").text.count('<li class="tile') == tiles
    assert text.index('data-id="bad"') < text.index('data-id="s0"')
    assert "111 more streams" in text
    assert client.get("/?all").text.count('<li class="tile') == 152


def test_a_streams_page_shows_its_most_suspicious_verdict_in_full(desk) -> None:
    desk.say(verdict(), suspicious(sequence=1), verdict(sequence=2))
    text = desk.client("viewer").get("/stream?id=cam").text
    assert "scanner.verdicts/" in text
    assert "&#34;verdict_id&#34;: &#34;cam-1&#34;" in text
    points = json.loads(re.findall(r'id="points">(.*?)</script>', text)[0])
    assert [point["score"] for point in points] == [0.1, 0.9, 0.1]


def test_points_after_a_known_one_are_the_new_ones(desk) -> None:
    desk.say(*(verdict(sequence=number) for number in range(3)))
    client = desk.client("viewer")
    assert [point["id"] for point in client.get("/points?id=cam&after=cam-1").json()] == ["cam-2"]
    assert len(client.get("/points?id=cam&after=gone").json()) == 3


def test_a_stream_that_is_not_there_is_not_found(desk) -> None:
    assert desk.client("viewer").get("/stream?id=none").status_code == 404


def test_health_shows_models_dead_letters_and_lag(desk) -> None:
    desk.say(verdict(score=None))
    desk.publish(_dead("broken"))
    text = desk.client("viewer").get("/health").text
    for said in ("tempo-s", "not a video", "scanner.segments/2/7", "too small", "rlimit, seccomp"):
        assert said in text


def _dead(stream_id):
    return dead(stream_id).record


# Clips.


def test_a_clip_plays_from_its_coordinates_whole_and_in_parts(desk) -> None:
    payload = draw_video(frames=12)
    source = desk.segment(payload)
    client = desk.client("viewer")
    address = f"/clip?partition={source.partition}&offset={source.offset}"
    whole = client.get(address)
    assert (whole.status_code, whole.headers["content-type"], whole.content) == (200, "video/mp4", payload)
    some = client.get(address, headers={"Range": "bytes=10-19"})
    assert (some.status_code, some.content) == (206, payload[10:20])
    assert some.headers["content-range"] == f"bytes 10-19/{len(payload)}"
    assert client.get(address, headers={"Range": "bytes=-5"}).content == payload[-5:]
    assert client.get(address, headers={"Range": f"bytes={len(payload)}-"}).status_code == 416


def test_a_container_that_browsers_do_not_play_comes_as_mp4_without_recoding(desk) -> None:
    source = desk.segment(draw_video(container="mpegts", frames=24))
    answer = desk.client("viewer").get(f"/clip?partition={source.partition}&offset={source.offset}")
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content[4:8] == b"ftyp"


def test_a_clip_that_is_gone_or_no_video_says_so(desk) -> None:
    client = desk.client("viewer")
    assert client.get("/clip?partition=0&offset=99").status_code == 410
    source = desk.segment(b"junk" * 100)
    assert client.get(f"/clip?partition={source.partition}&offset={source.offset}").status_code == 415
    assert client.get("/clip?partition=x").status_code == 400


# Reviewing.


def decide(client, case: str, decision: str, **form: str):
    page = client.get("/reviews").text
    return client.post("/reviews", data={"csrf": token(page), "case": case, "decision": decision, **form})


def reviews_on(desk):
    reader = desk.bus.reader([TOPICS.reviews], from_beginning=True)
    return [wire.review_of(delivery.record) for delivery in reader.poll(0.1, 100)]


def test_an_answer_goes_to_its_topic_and_the_case_leaves_the_queue(desk) -> None:
    desk.say(suspicious("a"), suspicious("b", score=0.7))
    client = desk.client("reviewer")
    assert "2 to review" in client.get("/reviews").text
    answer = decide(client, "a-0", "confirm", note=" lips lag ")
    assert "1 to review" in answer.text
    (said,) = reviews_on(desk)
    assert (said.verdict_id, said.decision, said.reviewer, said.note) == ("a-0", "confirm", "reviewer", "lips lag")


def test_undo_takes_an_answer_back_and_asks_again(desk) -> None:
    desk.say(suspicious("a"))
    client = desk.client("reviewer")
    assert "Nothing to review" in decide(client, "a-0", "reject").text
    assert "1 to review" in decide(client, "a-0", "undo").text
    first, second = reviews_on(desk)
    assert second.supersedes == first.review_id


def test_with_the_two_person_rule_one_answer_is_not_enough(make_desk) -> None:
    desk = make_desk(**{"dashboard.reviewers": 2})
    desk.say(suspicious("a"))
    decide(desk.client("reviewer"), "a-0", "confirm")
    other = desk.client("admin")
    assert "1 to review" in other.get("/reviews").text
    decide(other, "a-0", "confirm")
    assert desk.site.feed._view.cases.waiting(2) == []


def test_viewers_look_and_do_not_answer(desk) -> None:
    desk.say(suspicious("a"))
    client = desk.client("viewer")
    assert "reviewers answer" in client.get("/reviews").text
    assert decide(client, "a-0", "confirm").status_code == 403
    assert reviews_on(desk) == []


@pytest.mark.parametrize(("case", "decision"), [("gone-0", "confirm"), ("a-0", "maybe"), ("a-0", "undo")])
def test_an_answer_that_makes_no_sense_is_refused(desk, case, decision) -> None:
    desk.say(suspicious("a"))
    assert decide(desk.client("reviewer"), case, decision).status_code == 409


def test_a_forged_answer_is_refused(desk) -> None:
    desk.say(suspicious("a"))
    client = desk.client("reviewer")
    answer = client.post("/reviews", data={"csrf": "forged", "case": "a-0", "decision": "confirm"})
    assert answer.status_code == 403
    fields = {"csrf": token(client.get("/reviews").text), "case": "a-0", "decision": "confirm"}
    assert client.post("/reviews", data=fields, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


# People, languages, light.


def test_admins_show_people_the_door_and_never_themselves(desk) -> None:
    client = desk.client("admin")
    page = client.get("/people")
    assert client.post("/people", data={"csrf": token(page.text), "name": "admin"}).status_code == 409
    assert client.post("/people", data={"csrf": token(page.text), "name": "viewer"}).status_code == 303
    assert "viewer" not in desk.site.accounts.users()
    assert desk.client("reviewer").get("/people").status_code == 403


def test_pages_speak_the_browsers_language_or_the_one_chosen(desk) -> None:
    client = desk.client("viewer")
    assert 'lang="zh-Hans"' in client.get("/", headers={"Accept-Language": "zh-CN,zh;q=0.9"}).text
    client.post("/choose", data={"csrf": token(client.get("/").text), "language": "zh", "theme": "dark", "next": "/"})
    text = client.get("/").text
    assert "监看墙" in text
    assert 'data-theme="dark"' in text


# Events.


def test_events_tell_what_changed_since_a_version(desk) -> None:
    desk.say(verdict("a"), verdict("b"))
    teller = desk.app.state.teller
    version, data = teller.changes(0)
    told = json.loads(data)
    assert [tile["id"] for tile in told["tiles"]] == ["a", "b"]
    assert json.loads(teller.changes(version)[1])["tiles"] == []
    desk.say(suspicious("b", 1))
    desk.publish(alert(Edge.RAISED, "b", 1).record)
    (tile,) = json.loads(teller.changes(version)[1])["tiles"]
    assert (tile["id"], tile["attention"], tile["spark"], tile["alerts"]) == ("b", "alert", "4w", 1)
    assert json.loads(teller.changes(version, "a")[1])["tiles"] == []
