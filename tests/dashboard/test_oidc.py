"""Signing in with a provider: a small one, made here, with a key of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from desks import sign_in, token
from issuers import Issuer, provided, providing
from joserfc.jwk import RSAKey

from scanner.core.errors import SettingsError
from scanner.dashboard.oidc import Oidc, listed
from scanner.settings import OidcSettings


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with providing() as made:
        yield made


@pytest.fixture
def desk(make_desk, issuer):
    return make_desk(**provided(issuer))


def enter(client, issuer: Issuer, next_: str = "/health") -> Any:
    """Through the provider and back; the answer at the end."""
    asked = client.get("/sign-in/oidc", params={"next": next_}).headers["location"]
    back = urlsplit(issuer.grant(asked))
    return client.get(f"{back.path}?{back.query}")


def test_somebody_signs_in_with_the_provider_and_has_the_role_of_the_claim(desk, issuer) -> None:
    client = desk.client()
    assert "/sign-in/oidc" in client.get("/sign-in").text
    answer = enter(client, issuer)
    assert (answer.status_code, answer.headers["location"]) == (303, "/health")
    assert "eva@example.org" in client.get("/health").text
    assert client.get("/people").status_code == 403
    issuer.claims["roles"] = ["other", "scanner-admin"]
    other = desk.client()
    enter(other, issuer)
    assert other.get("/people").status_code == 200


def test_signing_out_and_another_provider_end_the_session(desk, issuer) -> None:
    client = desk.client()
    enter(client, issuer)
    desk.site.issuer = "https://another.example"
    assert client.get("/").status_code == 303
    desk.site.issuer = issuer.address
    assert client.post("/sign-out", data={"csrf": token(client.get("/").text)}).status_code == 303
    assert client.get("/").status_code == 303


def test_local_users_still_sign_in_and_nobody_comes_under_their_name(desk, issuer) -> None:
    assert sign_in(desk.client(), "viewer").status_code == 303
    issuer.claims |= {"email": "viewer", "roles": ["scanner-admin"]}
    client = desk.client()
    assert enter(client, issuer).status_code == 403
    assert client.get("/").status_code == 303


@pytest.mark.parametrize(
    "lies",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"nonce": "replayed"},
        {"exp": 1_000_000_000},
        {"roles": ["nobody"]},
        {"roles": None},
        {"email": "eva<script>@example.org"},
        {"email_verified": False},
    ],
    ids=lambda lies: next(iter(lies)) + "=" + str(next(iter(lies.values())))[:12],
)
def test_a_word_that_does_not_hold_opens_nothing(desk, issuer, lies) -> None:
    issuer.lies = lies
    client = desk.client()
    assert enter(client, issuer).status_code == 403
    assert client.get("/").status_code == 303


def test_a_token_that_another_key_has_signed_opens_nothing(desk, issuer) -> None:
    issuer.signs_with = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256"})
    assert enter(desk.client(), issuer).status_code == 403


def test_a_code_works_only_in_the_browser_that_asked_for_it(desk, issuer) -> None:
    client, thief = desk.client(), desk.client()
    back = urlsplit(issuer.grant(client.get("/sign-in/oidc").headers["location"]))
    assert thief.get(f"{back.path}?{back.query}").status_code == 403
    assert client.get(f"{back.path}?code=x&state=forged").status_code == 403


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_the_way_back_leads_nowhere_else(desk, issuer, target) -> None:
    assert enter(desk.client(), issuer, target).headers["location"] == "/"


def test_a_provider_that_is_away_or_is_not_who_it_should_be_is_told(desk, issuer) -> None:
    issuer.name = "https://evil.example"
    answer = desk.client().get("/sign-in/oidc")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_tries_that_were_given_up_do_not_fill_the_cookie(desk, issuer) -> None:
    client = desk.client()
    sizes = []
    for _ in range(12):
        client.get("/sign-in/oidc")
        sizes.append(len(client.cookies["scanner"]))
    assert max(sizes) - min(sizes) < 100
    assert enter(client, issuer).status_code == 303


def test_without_a_provider_there_is_no_such_door(make_desk) -> None:
    client = make_desk().client()
    assert client.get("/sign-in/oidc").status_code == 404
    assert client.get("/sign-in/oidc/back?code=x&state=y").status_code == 404
    assert "/sign-in/oidc" not in client.get("/sign-in").text


def test_a_provider_in_the_clear_is_refused() -> None:
    with pytest.raises(SettingsError, match="https"):
        Oidc(OidcSettings(issuer="http://idp.example", client_id="x"))


def test_roles_are_found_in_nested_claims_and_in_texts() -> None:
    assert listed({"realm_access": {"roles": ["a", 3, "b"]}}, "realm_access.roles") == {"a", "b"}
    assert listed({"https://x.y/roles": "a b"}, "https://x.y/roles") == {"a", "b"}
    assert listed({"a": 1}, "a.b") == set()


def test_everybody_may_look_when_the_setting_says_so(desk) -> None:
    assert (
        Oidc(OidcSettings(issuer="https://idp.example", client_id="x", viewers=("*",)))
        .user({"email": "max@example.org"})
        .role
        == "viewer"
    )
