"""The pages: who gets in, what they show, and what they refuse."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from desks import PASSWORD, sign_in, suspicious, token
from said import TOPICS, alert, dead, verdict
from starlette.routing import Route

from scanner import wire
from scanner.core.types import Edge
from scanner.dashboard.app import ROUTES
from scanner.testing import draw_video

OPEN = {"/sign-in", "/healthz"}
OF_A_PROVIDER = {"/sign-in/oidc", "/sign-in/oidc/back"}
"""nothing is there without one; see test_oidc.py"""
PAGES = ["/", "/reviews", "/health"]


# Getting in.


def test_nothing_but_health_and_sign_in_is_open(desk) -> None:
    client = desk.client()
    for route in ROUTES:
        for method in route.methods - {"HEAD"}:
            answer = client.request(method, route.path)
            if route.path in OPEN and method == "GET":
                assert answer.status_code == 200, route.path
            elif route.path in OF_A_PROVIDER:
                assert answer.status_code == 404, route.path
            else:
                assert answer.status_code in {303, 401, 403}, (method, route.path)
                assert answer.headers.get("location", "/sign-in").startswith("/sign-in")


def test_every_route_is_one_that_the_test_above_has_seen() -> None:
    assert all(isinstance(route, Route) for route in ROUTES)


def test_sign_in_leads_back_to_where_somebody_wanted_to_go(desk) -> None:
    client = desk.client()
    answer = client.get("/stream?id=a%2Fb")
    assert answer.headers["location"] == "/sign-in?next=/stream%3Fid%3Da%252Fb"
    page = client.get(answer.headers["location"]).text
    assert 'name="next" value="/stream?id=a%2Fb"' in page


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1"])
def test_sign_in_leads_nowhere_else(desk, target) -> None:
    assert sign_in(desk.client(), "viewer", next=target).headers["location"] == "/"


def test_a_wrong_password_and_a_wrong_name_get_the_same_answer(desk) -> None:
    wrong, unknown = sign_in(desk.client(), "viewer", "x" * 12), sign_in(desk.client(), "nobody", "x" * 12)
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert "Name or password is wrong" in wrong.text
    assert "Name or password is wrong" in unknown.text


def test_after_five_wrong_passwords_the_right_one_has_to_wait(desk) -> None:
    client = desk.client()
    for _ in range(5):
        assert sign_in(client, "viewer", "wrong password").status_code == 401
    answer = sign_in(client, "viewer")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 301


def test_without_users_the_door_says_how_to_add_one_and_stays_shut(make_desk) -> None:
    desk = make_desk()
    for name in list(desk.site.accounts.users()):
        desk.site.accounts.remove(name)
    client = desk.client()
    assert "scanner dashboard users add" in client.get("/sign-in").text
    assert sign_in(client, "viewer").status_code == 401


def test_signing_in_needs_the_forms_token(desk) -> None:
    client = desk.client()
    client.get("/sign-in")
    answer = client.post("/sign-in", data={"name": "viewer", "password": PASSWORD})
    assert answer.status_code == 403


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(make_desk) -> None:
    plain = sign_in(make_desk().client(), "viewer").headers["set-cookie"].lower()
    assert "httponly" in plain
    assert "samesite=lax" in plain
    assert "secure" not in plain
    client = make_desk(**{"dashboard.https": True}).client(base_url="https://testserver")
    secure = sign_in(client, "viewer").headers["set-cookie"].lower()
    assert secure.startswith("__host-scanner=")
    assert "secure" in secure


def test_signing_in_makes_a_new_token(desk) -> None:
    client = desk.client()
    before = token(client.get("/sign-in").text)
    sign_in(client, "viewer")
    assert token(client.get("/").text) != before


def test_a_removed_user_is_out_at_once(desk) -> None:
    client = desk.client("viewer")
    assert client.get("/").status_code == 200
    desk.site.accounts.remove("viewer")
    assert client.get("/").status_code == 303


def test_a_new_password_ends_old_sessions(desk) -> None:
    client = desk.client("viewer")
    desk.site.accounts.add("viewer", desk.site.accounts.users()["viewer"].role, "another password")
    assert client.get("/").status_code == 303


def test_signing_out_ends_the_session(desk) -> None:
    client = desk.client("viewer")
    assert client.post("/sign-out", data={"csrf": "forged"}).status_code == 403
    assert client.post("/sign-out", data={"csrf": token(client.get("/").text)}).status_code == 303
    assert client.get("/").status_code == 303


def test_a_session_that_somebody_made_up_is_none(desk) -> None:
    real = desk.client("viewer").cookies["scanner"]
    stranger = desk.client()
    assert stranger.get("/", headers={"Cookie": f"scanner={real}"}).status_code == 200
    assert stranger.get("/", headers={"Cookie": f"scanner={real[:-4]}AAAA"}).status_code == 303


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
