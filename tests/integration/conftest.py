"""The bus that live sources are ingested to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from live_parts import MoodyBus


@pytest.fixture
def bus() -> MoodyBus:
    from live_parts import moody_bus  # what it loads may warn, and warnings are errors until tests run

    return moody_bus()
