"""Risk and coverage by measured quality, and scans of different coverage side by side."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.core.policy import Policy
from scanner.core.types import (
    Label,
    Mode,
    ModelRef,
    Provenance,
    Quality,
    Reason,
    SpanScore,
    Tally,
    Timing,
    TrackVerdict,
    Verdict,
)
from scanner.evaluation.abstention import balanced_error, chance, curves, judged_files, under_chance
from scanner.evaluation.coverage import looked
from scanner.evaluation.crops import Item
from scanner.wire import json_of

LINE = 0.5


def verdict(item, score, sharpness, *, refused=False, mode=Mode.FULL):
    quality = Quality(180, sharpness, 0.5, 0.9, 2000)
    reasons = (Reason.TOO_BLURRY,) if refused else ()
    said = None if refused else score
    face = TrackVerdict(
        "face-1", Label.SUSPECTED, said, 0.0, 32, (SpanScore(0, 500, score),) * 2, (0, 0, 1, 1), quality, reasons
    )
    tally = Tally(50, 50 if mode is Mode.FULL else 10, 32, 0, mode)
    return Verdict(
        f"{mode}{item.file}", item.file, 0, 0, 2000, Label.SUSPECTED, said, reasons, (face,), Provenance(), tally,
        ModelRef("m", "ab" * 32), "cd" * 32, timing_ms=Timing(observe=80, score=20),
    )  # fmt: skip


@pytest.fixture(scope="module")
def scanned():
    """Sharp files are all told apart; the blurred half is called by a coin."""
    rng = np.random.default_rng(0)
    items = [Item(f"{n}.mp4", n % 2 == 0, "", "", f"p{n}", "s") for n in range(80)]
    verdicts = []
    for place, item in enumerate(items):
        sharp = place < 40
        score = (0.9 if item.fake else 0.1) if sharp else float(rng.choice([0.1, 0.9]))
        sharpness = 0.8 + place / 1000 if sharp else 0.2 + place / 1000
        verdicts.append(verdict(item, score, sharpness, refused=place >= 70))
    return items, verdicts


def test_giving_up_what_is_blurred_lowers_the_risk_and_what_says_nothing_does_not(scanned) -> None:
    items, verdicts = scanned
    files = judged_files(verdicts, items)
    assert sum(bool(file.refused) for file in files) == 10
    by_name = {curve.measure: curve for curve in curves(files, LINE)}
    sharpness = by_name["sharpness"]
    assert sharpness.at(1.0) > 0.15
    assert sharpness.at(0.5) == 0.0
    assert sharpness.area < sharpness.at(1.0)
    assert by_name["sharpness"].at(1.0) == by_name["brightness"].at(1.0)


def test_what_helps_lies_under_what_giving_up_by_lot_reaches_and_what_says_nothing_does_not(scanned) -> None:
    items, verdicts = scanned
    files = judged_files(verdicts, items)
    lots = chance(files, LINE, np.random.default_rng(1))
    by_name = {curve.measure: curve for curve in curves(files, LINE)}
    for place, share in enumerate(lots.coverage):
        if share < 0.8:
            assert by_name["sharpness"].disorder_at(share) < lots.disorder[0, place]
            assert by_name["sharpness"].at(share) < lots.risk[0, place]
    assert under_chance(by_name["sharpness"], lots)[1] > 0.5
    assert under_chance(by_name["brightness"], lots)[1] < 0.3  # all alike, whatever the files' order
    last = by_name["sharpness"].coverage[-1] * len(files)
    assert last == 40  # twenty of each kind
    assert by_name["sharpness"].disorder_at(0.5) == 0.0


def test_the_balanced_error_weighs_both_kinds_alike() -> None:
    fake = np.array([True, False, False, False])
    assert balanced_error(np.array([True, False, False, False]), fake) == 0.5
    assert np.isnan(balanced_error(np.array([True]), np.array([True])))


def test_a_patrol_is_cheaper_and_finds_less(scanned) -> None:
    items, verdicts = scanned
    policy = Policy(suspected_from=LINE)
    patrol = [verdict(item, 0.1, 0.8, mode=Mode.PATROL) for item in items]
    full, less = looked(verdicts, items, policy), looked(patrol, items, policy)
    assert (full.frames_decoded, less.frames_decoded) == (1.0, 0.2)
    assert full.recall > 0.5 > less.recall == 0.0
    assert full.ms_per_s == 50.0
    with pytest.raises(ValueError, match="none of the verdicts"):
        looked([replace(verdicts[0], stream_id="other")], items, policy)


def test_the_verbs_tell_the_same_from_lines(scanned, tmp_path) -> None:
    items, verdicts = scanned
    for item in items:
        (tmp_path / item.file).touch()
    rows = [f"{item.file},{'fake' if item.fake else 'real'}" for item in items]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    (tmp_path / "scans.jsonl").write_bytes(b"\n".join(map(json_of, verdicts)))
    known = [str(tmp_path / "scans.jsonl"), "--labels", str(tmp_path / "labels.csv")]
    done = CliRunner().invoke(app, ["evidence", "abstain", *known, "--plot", str(tmp_path / "plot.png")])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["files"], said["refused"], said["reasons"]) == (80, 10, {"too_blurry": 10})
    assert (tmp_path / "plot.png").stat().st_size > 1000
    compared = CliRunner().invoke(app, ["evidence", "compare", *known])
    assert json.loads(compared.stdout)["modes"] == ["full"]
