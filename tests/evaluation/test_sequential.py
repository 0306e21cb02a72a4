"""Time to detect and false alarms: the many-streams form is the core's test, and the figures are what they say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.core.evidence import combined, updated
from scanner.core.types import (
    Label,
    Mode,
    ModelRef,
    Provenance,
    Quality,
    SpanScore,
    Tally,
    TrackVerdict,
    Verdict,
)
from scanner.evaluation.crops import Item
from scanner.evaluation.scans import file_scores, people_of
from scanner.evaluation.sequential import Patrol, Population, Rule, delays, false_alarms, garwood, ppv

TEST = Rule(null_bound=0.35, false_alarms_per_1000_h=10.0, clear_clips=5, clips_per_second=30 / 16)


def scanned(stream, sequence, faces):
    good = Quality(180, 0.6, 0.5, 0.9, 2000)
    tracks = tuple(
        TrackVerdict(
            f"face-{n}", Label.SUSPECTED, 0.5, 0.0, 32, tuple(SpanScore(0, 500, s) for s in scores), (0, 0, 1, 1), good
        )
        for n, scores in enumerate(faces)
    )
    return Verdict(
        f"{stream}{sequence}", stream, sequence, 0, 1000, Label.SUSPECTED, 0.5, (), tracks, Provenance(),
        Tally(50, 50, 32, 0, Mode.FULL), ModelRef("m", "ab" * 32), "cd" * 32,
    )  # fmt: skip


def raised_by_the_core(scores, test):
    """As a worker does it, clip after clip."""
    evidence, calm, alerted, raised = (), 0, False, []
    for score in scores:
        evidence = updated(evidence, float(score), test.null_bound)
        calm = calm + 1 if score <= test.null_bound else 0
        fresh = not alerted and combined(evidence) >= test.level
        raised.append(fresh)
        if alerted and calm >= test.clear_clips:
            alerted, evidence, calm = False, (), 0
        alerted = alerted or fresh
    return raised


def test_many_streams_at_once_are_the_cores_test() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(0, 0.6, (8, 300))
    scores[:4, 100:160] = rng.uniform(0.6, 1, (4, 60))
    scores[:2, 220:280] = rng.uniform(0.6, 1, (2, 60))
    raised = TEST.raised(scores)
    assert raised.tolist() == [raised_by_the_core(stream, TEST) for stream in scores]
    assert raised.sum(axis=1).tolist()[:3] == [2, 2, 1]


def test_faces_that_keep_the_bound_alarm_no_more_often_than_was_asked() -> None:
    """At a level so low that alarms can be counted: 3,600 an 1,000 h are one in 500 clips' time each."""
    rng = np.random.default_rng(2)
    often = replace(TEST, false_alarms_per_1000_h=3600.0, clear_clips=1)
    scores = (rng.random((200, 2000)) < often.null_bound).astype(float)  # the hardest case: 0 or 1, mean at the bound
    alarms = false_alarms(often, scores)
    assert alarms.per_hour <= 3.6
    assert alarms.interval[0] <= alarms.per_hour <= alarms.interval[1]
    assert alarms.count > 0


def test_a_long_strong_forgery_is_found_and_a_short_one_is_not() -> None:
    rng = np.random.default_rng(3)
    people = Population(real_mean=0.1, spread=0.0, forged_mean=0.8)
    real, forged = people.real(100, 1125, rng), people.forged(20, 40, rng)
    long, short = (delays(TEST, real, forged, length, rng) for length in (20.0, 2.0))
    assert long.found > 0.95
    assert 5 < long.median_s <= long.p90_s <= 20 + 1 / TEST.clips_per_second
    assert long.ppv[0.01] == 1.0  # no real stream alarmed
    assert short.found < 0.05
    assert short.median_s is None


def test_a_patrol_looks_at_a_quarter_until_something_rises_and_finds_it_later() -> None:
    rng = np.random.default_rng(4)
    people = Population(real_mean=0.1, spread=0.0, forged_mean=0.8)
    real, forged = people.real(60, 1125, rng), people.forged(20, 40, rng)
    patrol = Patrol(inspect_from=2.0, suspected_from=0.6, calm_segments=5)
    assert 0.25 <= false_alarms(TEST, real, patrol).clips_looked_at < 0.3
    assert false_alarms(TEST, real).clips_looked_at == 1.0
    full, patrolled = (delays(TEST, real, forged, 20.0, np.random.default_rng(5), p) for p in (None, patrol))
    assert patrolled.found > 0.9
    assert full.median_s < patrolled.median_s < full.median_s + 4


def test_garwoods_interval_and_bayes() -> None:
    assert garwood(0) == (0.0, pytest.approx(3.6889, abs=1e-4))  # tables of Garwood (1936)
    assert garwood(10) == (pytest.approx(4.7954, abs=1e-4), pytest.approx(18.3904, abs=1e-4))
    assert ppv(0.001, 0.9, 0.01) == pytest.approx(0.0826, abs=1e-4)
    assert ppv(0.5, 0.0, 0.0) == 0.0


def test_the_verbs_tell_the_figures_and_draw_them(tmp_path) -> None:
    few = ["--streams", "20", "--null-bound", "0.35", "--plot", str(tmp_path / "plot.png")]
    done = CliRunner().invoke(app, ["evidence", "simulate", *few])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert [row["length_s"] for row in said["forgeries"]] == [2.0, 5.0, 20.0]
    assert said["alarms"]["hours"] == pytest.approx(20 / 6)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_labelled_files_give_the_clips_of_their_most_suspicious_face() -> None:
    items = [Item("a.mp4", False, "real", "", "anna", "s"), Item("sub/b.mp4", True, "swap", "x", "ben", "s")]
    verdicts = [scanned("a.mp4", 0, [[0.1, 0.2]]), scanned("a.mp4", 1, [[0.3]]), scanned("b.mp4", 0, [[0.1], [0.9]])]
    files = file_scores(verdicts, items)
    assert [file.scores.tolist() for file in files] == [[0.1, 0.2, 0.3], [0.9]]
    assert [person.tolist() for person in people_of(files)] == [[0.1, 0.2, 0.3]]


def test_room_for_few_inspections_looks_at_less_and_finds_later() -> None:
    rng = np.random.default_rng(3)
    people = Population(0.1, 0.05, 0.8)
    real, forged = people.real(20, 600, rng), people.forged(20, 60, rng)
    found = {}
    for at_once in (None, 20, 1, 0):
        patrol = Patrol(inspect_from=2.0, suspected_from=0.5, calm_segments=5, at_once=at_once)
        row = delays(TEST, real, forged, 20.0, np.random.default_rng(4), patrol)
        found[at_once] = (row.found, row.median_s, false_alarms(TEST, real, patrol).clips_looked_at)
    assert found[None] == found[20]
    assert found[0][2] == 1 / TEST.clips(2.0)  # the first clip of each segment, and no other
    assert found[None][2] > found[1][2] >= found[0][2]
    assert found[None][0] > found[0][0]
