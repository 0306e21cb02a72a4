"""The bench's own arithmetic."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from scanner.bench.figures import LiveFigures, Load, Tally, growth, ours
from scanner.bench.figures import figures as figures_of
from scanner.bench.material import Loop, profile_named
from scanner.bench.planning import Candidate, Search, Trial, Wish, difference, settings_text
from scanner.bench.quality import StreamKept, summed
from scanner.bench.search import most_held
from scanner.bench.usage import Role, Usage, usage_of
from scanner.cli.benching import tell_of
from scanner.core.errors import SettingsError
from scanner.core.types import Mode, Segment
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


def usage(mib: float) -> Usage:
    return Usage(cpu_s=0, pss_mib=mib, rss_mib=2 * mib, processes=1)


def test_what_no_library_takes_is_ours() -> None:
    cpu = {"bench": 5.0, "worker 1": 0.3, "worker 2": 0.3, "cells 1": 0.2, "cells 2": 0.2, "broker": 7.0}
    libraries = {"ffmpeg": 0.3, "mediapipe": 0.1, "onnxruntime": 0.5}
    assert ours(Load(cpu, libraries, {})) == pytest.approx(0.1)
    assert ours(Load({"bench and worker": 1.0, "cells": 0.2}, libraries, {})) is None  # the bench cannot be told apart


def test_memory_that_stays_is_flat_and_memory_that_rises_is_told() -> None:
    assert growth([90, 100, 100, 100, 100, 100, 100, 100]) == 0
    assert growth([float(n) for n in range(16)]) == 8
    assert growth([1, 100]) == 0


def test_face_frames_are_told_with_and_without_the_segments_that_show_no_face() -> None:
    """Two segments of 2 s: one with a burst of 8, one with nobody."""
    said = [scored_verdict(0, frames=8), scored_verdict(1, frames=0)]
    tally = Tally({("a", 0): 0.0, ("a", 1): 2.0}, {("a", 0): 0.5, ("a", 1): 0.1}, said, bytes=2**20)
    load = Load({}, {}, {"worker": [usage(100), usage(120)]})
    made = figures_of(tally, load, streams=1, seconds=4, behind_s=0.0)
    assert (made.face_frames_per_stream_s, made.face_frames_where_seen, made.segments_without_face) == (2.0, 4.0, 1)
    assert made.latency_ms["p50"] == 300
    assert (made.memory_mib, made.rss_mib) == ({"worker": 120}, {"worker": 240})
    assert made.held
    late = figures_of(tally, load, streams=1, seconds=4, behind_s=6.0)
    assert not late.held


def scored_verdict(sequence: int, frames: int) -> SimpleNamespace:
    coverage = SimpleNamespace(mode=Mode.PATROL, frames_scored=frames)
    return SimpleNamespace(
        stream_id="a", sequence=sequence, coverage=coverage, timing_ms=SimpleNamespace(observe=1, score=1)
    )


def test_a_stream_that_was_sent_to_its_end_begins_again() -> None:
    loop = Loop("a", None, tuple(Segment("a", n, n * 2000, b"x", f"{n:064}", end_of_stream=n == 1) for n in range(2)))
    assert [(s.sha256[-1], s.sequence, s.start_ms) for s in map(loop.at, range(3))] == [
        ("0", 0, 0),
        ("1", 1, 2000),
        ("0", 2, 4000),
    ]
    assert not loop.at(1).end_of_stream


def test_what_patrol_keeps_is_counted_among_what_full_coverage_catches() -> None:
    seen = [
        StreamKept("both", True, True, True, (0.1, 0.3)),
        StreamKept("missed", True, True, False, (0.2,)),
        StreamKept("extra", True, False, True, ()),
        StreamKept("calm", True, False, False, ()),
    ]
    kept = summed(seen)
    assert (kept.streams, kept.caught_in_full, kept.caught_in_patrol, kept.only_in_patrol) == (4, 2, 1, 1)
    assert (kept.segments, kept.score_difference) == (3, 0.2)


def verdict(sequence: int, score: float | None) -> SimpleNamespace:
    return SimpleNamespace(stream_id="a", sequence=sequence, score=score)


def planned(outcomes, settings=None, streams=2) -> tuple[Search, list[Trial]]:
    """A search whose runs give what was told for (cells, threads, batch, clips of a patrol, seconds between looks)."""

    def run(settings, streams):
        scan, policy = settings.scan, settings.policy
        key = scan.cells, scan.score_threads, scan.batch_size, policy.patrol_clips, policy.patrol_every_s
        return outcomes.get(key, (figures(5000, held=False), []))

    search = Search(run, settings or Settings(), Wish(streams, p95_s=1.0, tolerance=0.02))
    return search, list(search.trials(2, ["tempo-s"], ["cpu"]))


def test_a_plan_takes_the_fastest_that_holds_and_scores_alike() -> None:
    search, trials = planned(
        {
            (2, 2, 0, 1, 0): (figures(900), [verdict(0, 0.5), verdict(1, None)]),
            (2, 1, 0, 1, 0): (figures(300), [verdict(0, 0.9)]),  # fast, but scores otherwise
            (1, 2, 0, 1, 0): (figures(200, held=False), [verdict(0, 0.5)]),
            (1, 1, 0, 1, 0): (figures(700), [verdict(0, 0.51)]),
            (1, 1, 4, 1, 0): (figures(600), [verdict(0, 0.5)]),
        }
    )
    assert [trial.fits for trial in trials[:4]] == [True, False, False, True]
    assert search.best.candidate == Candidate(1, 1, "tempo-s", batch_size=4)
    assert len(trials) == 4 + 2 + 3  # batches around the best one, then closer looks


def test_a_plan_takes_the_closest_patrol_that_still_holds() -> None:
    """Two clips a second are too many; one a second holds, and sparser ones are not tried any more."""
    search, trials = planned(
        {
            (2, 2, 0, 1, 0): (figures(900), [verdict(0, 0.5)]),
            (2, 2, 0, 1, 1.0): (figures(950), [verdict(0, 0.9)]),
        }
    )
    assert search.best.candidate == Candidate(2, 2, "tempo-s", patrol_every_s=1.0)
    assert [(t.candidate.patrol_clips, t.candidate.patrol_every_s) for t in trials[-2:]] == [(2, 1.0), (1, 1.0)]
    assert trials[-1].score_difference is None


def test_full_coverage_has_no_patrol_to_plan() -> None:
    full = Settings().model_copy(update={"scan": Settings().scan.model_copy(update={"coverage": "full"})})
    _, trials = planned({(2, 2, 0, 1, 0): (figures(900), [verdict(0, 0.5)])}, full)
    assert len(trials) == 4 + 2


def test_a_plan_that_nothing_fits_tries_nothing_further() -> None:
    search, trials = planned({})
    assert search.best is None
    assert len(trials) == 4


def test_scores_that_cannot_be_compared_are_as_far_apart_as_can_be() -> None:
    assert difference({}, {("a", 0): 0.5}) == 1.0


def test_what_a_plan_writes_can_be_read(tmp_path) -> None:
    path = tmp_path / "scanner.toml"
    path.write_text(settings_text(Candidate(3, 1, "tempo-s", patrol_clips=2, patrol_every_s=1.5), 16, 900))
    read = load(path)
    assert (read.scan.cells, read.scan.device) == (3, "cpu")
    assert (read.policy.patrol_clips, read.policy.patrol_every_s) == (2, 1.5)


def test_a_long_run_tells_how_far_it_is_where_nobody_watches_a_terminal(capsys) -> None:
    for done in range(1, 25):
        tell_of(done, 24, "streams")
    assert capsys.readouterr().err.splitlines() == ["10 of 24 streams", "20 of 24 streams", "24 of 24 streams"]
