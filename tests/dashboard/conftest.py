"""A dashboard over the bus in memory, with one person of each role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from desks import CHEAP, PASSWORD, Desk

from scanner.bus.memory import MemoryBus
from scanner.dashboard.accounts import Accounts, Role
from scanner.settings import load


@pytest.fixture(scope="session")
def users_file(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("users") / "users.json"
    for role in Role:
        Accounts(path, CHEAP).add(role.value, role, PASSWORD)
    return path


@pytest.fixture
def make_desk(users_file, tmp_path) -> Iterator[Callable[..., Desk]]:
    from scanner.assembly.bus import topic_plans  # here: importing kafka-python warns, and pytest is not yet ready
    from scanner.dashboard.app import create_app
    from scanner.dashboard.serve import site_for

    made: list[Desk] = []

    def make(**flags: Any) -> Desk:
        own = tmp_path / "users.json"
        own.write_bytes(users_file.read_bytes())
        settings = load(flags={"dashboard.users_file": str(own), **flags})
        bus = MemoryBus()
        bus.create(topic_plans(settings))
        site = site_for(settings, bus, Accounts(own, CHEAP))
        desk = Desk(bus, site, create_app(site))
        site.feed.start()
        made.append(desk)
        return desk

    yield make
    for desk in made:
        desk.site.feed.stop()


@pytest.fixture
def desk(make_desk) -> Desk:
    return make_desk()
