"""Signing in with an OpenID Connect provider, as a browser does it: cookies, redirects and policies included."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser


def _forbidden(said: Any) -> bool:
    """Of what the console says: what a policy stopped. (The provider has no icon.)"""
    return said.type == "error" and "Failed to load resource" not in said.text


def _at_the_door(address: str) -> bool:
    return "/sign-in" in address


def test_somebody_signs_in_with_the_provider_works_and_signs_out(chromium, served_with_provider) -> None:
    desk = served_with_provider
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if _forbidden(said) else None)
    page.goto(desk.address + "/reviews")
    page.wait_for_url(_at_the_door)
    page.click("a[href*='/sign-in/oidc']")
    page.wait_for_url(lambda address: address.startswith(desk.provider.address + "/authorize?"))
    page.click("text=It is me")
    page.wait_for_url(desk.address + "/reviews")
    assert "eva@example.org" in page.inner_text("header")
    page.wait_for_selector(".pulse.live")

    page.click("details.menu summary")
    page.click("form[action='/sign-out'] button")
    page.wait_for_url(_at_the_door)
    page.goto(desk.address + "/reviews")
    page.wait_for_url(_at_the_door)
    assert complaints == []
    page.context.close()


def test_a_provider_that_knows_no_role_leaves_the_door_shut_and_says_so(chromium, served_with_provider) -> None:
    desk = served_with_provider
    desk.provider.claims["roles"] = ["accounting"]
    page = chromium.new_page()
    page.goto(desk.address + "/sign-in")
    page.click("a[href*='/sign-in/oidc']")
    page.click("text=It is me")
    page.wait_for_selector("[role=alert]")
    page.goto(desk.address + "/")
    page.wait_for_url(_at_the_door)
    page.context.close()
