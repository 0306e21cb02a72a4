"""The bench's own arithmetic."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from scanner.bench.material import profile_named
from scanner.bench.search import most_held
from scanner.bench.usage import Role, usage_of
from scanner.core.errors import SettingsError


@pytest.mark.parametrize("limit", [0, 1, 7, 8, 9, 37, 100])
def test_the_search_finds_the_largest_number_that_holds(limit) -> None:
    tried = []

    def run(count: int) -> SimpleNamespace:
        tried.append(count)
        return SimpleNamespace(held=count <= limit)

    assert most_held(run, first=8) == limit
    assert len(tried) == len(set(tried)) <= 14


def test_usage_counts_this_process() -> None:
    used = usage_of(Role(os.getpid(), below=False))
    assert used.cpu_s > 0
    assert used.pss_mib > 1
    assert used.processes == 1


def test_usage_of_nobody_is_zero() -> None:
    used = usage_of(Role(2**22 + 1))
    assert (used.cpu_s, used.pss_mib, used.processes) == (0, 0, 0)


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match="720p30"):
        profile_named("8k")
