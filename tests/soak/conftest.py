"""Workers are born in the nursery of tests/chaos."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "chaos"))


@pytest.fixture(scope="session", autouse=True)
def _nursery() -> None:
    from crew import open_nursery  # see tests/chaos/conftest.py

    open_nursery()
