"""Who gets into the dashboard, how far, and for how long."""

from __future__ import annotations

import pytest
from desks import PASSWORD, sign_in, token
from starlette.routing import Route

from scanner.dashboard.app import ROUTES

OPEN = {"/sign-in", "/healthz"}
OF_A_PROVIDER = {"/sign-in/oidc", "/sign-in/oidc/back"}
"""nothing is there without one; see test_oidc.py"""


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
