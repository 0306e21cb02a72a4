"""A dashboard that really serves, and a browser in front of it."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "dashboard"))

from desks import PASSWORD

SIZES = {"phone": (360, 740), "desk": (1440, 900), "wide": (3840, 2160)}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "no Chromium: bash deploy/setup.sh browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def serving_desk(folder: Path, **more: Any) -> Iterator[Any]:
    """A desk with the address it listens on; `more` settings."""
    from desks import Desk

    from scanner.assembly.bus import topic_plans
    from scanner.bus.memory import MemoryBus
    from scanner.dashboard.accounts import Accounts, Role
    from scanner.dashboard.serve import serving, site_for
    from scanner.settings import load

    accounts = Accounts(folder / "users.json")
    accounts.add("ana", Role.REVIEWER, PASSWORD)
    accounts.add("root", Role.ADMIN, PASSWORD)
    own = {"dashboard.users_file": str(folder / "users.json"), "dashboard.runs": str(folder / "runs")}
    settings = load(flags={"dashboard.port": 0, **own, **more})
    bus = MemoryBus()
    bus.create(topic_plans(settings))
    site = site_for(settings, bus, accounts)
    with serving(settings, site) as address:
        desk = Desk(bus, site, None)
        desk.address = address
        desk.runs = folder / "runs"
        yield desk
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dashboard")]


@pytest.fixture
def served(tmp_path) -> Iterator[Any]:
    with serving_desk(tmp_path) as desk:
        yield desk


@pytest.fixture
def served_with_provider(tmp_path) -> Iterator[Any]:
    """One where people may sign in with an OpenID Connect provider, which is its `issuer`."""
    from issuers import provided, providing

    with providing() as issuer, serving_desk(tmp_path, **provided(issuer)) as desk:
        desk.provider = issuer
        yield desk


@pytest.fixture
def enter(chromium, served) -> Iterator[Callable[..., Any]]:
    """Opens the dashboard in a window of its own, signed in; an error of its scripts or policies fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def entered(size: str = "desk", scheme: str = "light", locale: str = "en-GB", name: str = "ana") -> Any:
        width, height = SIZES[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if _serious(said) else None)
        page.goto(served.address + "/")
        page.fill("[name=name]", name)
        page.fill("[name=password]", PASSWORD)
        page.click(".primary")
        page.wait_for_url(served.address + "/")
        return page

    yield entered
    for context in contexts:
        context.close()
    assert complaints == []


def _serious(said: Any) -> bool:
    """An answer that refuses is told on the console, too: some tests ask for one."""
    return said.type == "error" and "Failed to load resource" not in said.text
