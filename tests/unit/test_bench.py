"""The bench's own arithmetic."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from scanner.bench.figures import LiveFigures
from scanner.bench.material import profile_named
from scanner.bench.planning import Candidate, best_of, candidates, difference, settings_text, tried
from scanner.bench.search import most_held
from scanner.bench.usage import Role, usage_of
from scanner.core.errors import SettingsError
from scanner.settings import Settings, load


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


def figures(p95_ms: float, *, held: bool = True) -> LiveFigures:
    return LiveFigures(
        streams=2, seconds=10, published=10, answered=10, latency_ms={"p95": p95_ms}, behind_s=0,
        face_frames_per_stream_s=4, face_frames_where_seen=4, segments_without_face=0, coverage={}, observe_ms=1,
        score_ms=1, cpu={}, libraries={}, ours=None, memory_mib={}, rss_mib={}, growth_mib={}, mib_per_s=1, held=held,
    )  # fmt: skip


def verdict(sequence: int, score: float | None) -> SimpleNamespace:
    return SimpleNamespace(stream_id="a", sequence=sequence, score=score)


def test_a_plan_takes_the_fastest_that_holds_and_scores_alike() -> None:
    outcomes = {
        (2, 2): (figures(900), [verdict(0, 0.5), verdict(1, None)]),
        (2, 1): (figures(300), [verdict(0, 0.9)]),  # fast, but scores otherwise
        (1, 2): (figures(200, held=False), [verdict(0, 0.5)]),
        (1, 1): (figures(700), [verdict(0, 0.51)]),
    }

    def run(settings, streams):
        return outcomes[settings.scan.cells, settings.scan.score_threads]

    wishes = list(candidates(2, ["tempo-s"]))
    trials = list(tried(run, Settings(), wishes, streams=2, p95_s=1.0, tolerance=0.02))
    assert [trial.fits for trial in trials] == [True, False, False, True]
    assert best_of(trials).candidate == Candidate(1, 1, "tempo-s")
    assert best_of([trial for trial in trials if not trial.fits]) is None


def test_scores_that_cannot_be_compared_are_as_far_apart_as_can_be() -> None:
    assert difference({}, {("a", 0): 0.5}) == 1.0


def test_what_a_plan_writes_can_be_read(tmp_path) -> None:
    path = tmp_path / "scanner.toml"
    path.write_text(settings_text(Candidate(3, 1, "tempo-s"), 16, 900))
    assert load(path).scan.cells == 3
