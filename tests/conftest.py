"""What tests of every kind share."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from scanner.bus.broker import LocalBroker

# Examples may take as long as a loaded machine needs; on CI they are the same every time.
settings.register_profile("steady", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("steady")


def pytest_configure(config: pytest.Config) -> None:
    # kafka-python reads its protocol files by a call that Python 3.11 and 3.12 call deprecated (3.13 took that back).
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")
    # It also leaves a socket whose connection was refused to the garbage collector.
    config.addinivalue_line("filterwarnings", "ignore:unclosed <(socket|ssl.SSLSocket):ResourceWarning")


def pytest_sessionfinish() -> None:
    """Such sockets go here, too, before pytest collects once more without these filters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A verb that ran inside the test run leaves logs behind that go to its own, closed stderr."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="module", autouse=True)
def _no_client_of_kafka_stays() -> Iterator[None]:
    """A client that nobody closed asks for its broker for ever, and throws dice while other tests count on them."""
    yield
    until = time.monotonic() + 30
    while left := [thread.name for thread in threading.enumerate() if thread.name.startswith("kafka-")]:
        assert time.monotonic() < until, f"left behind: {left}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A real Apache Kafka for the whole run: tests keep apart by the names of their topics and groups."""
    with LocalBroker(tmp_path_factory.mktemp("kafka") / "broker") as broker:
        yield broker
