"""A broker and a nursery for the tests that kill workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scanner.bus.broker import LocalBroker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """One that may be killed, which the whole run's is not for; workers can be born."""
    from crew import open_nursery  # Kafka's client warns when it is loaded, and warnings are errors until tests run

    open_nursery()
    with LocalBroker(tmp_path_factory.mktemp("chaos") / "broker") as broker:
        yield broker
