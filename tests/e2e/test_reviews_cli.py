"""`scanner reviews`: disagreement is counted and listed, and what people confirmed can be measured on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.core.errors import SettingsError
from scanner.core.review import Decision, Review
from scanner.core.types import Label, Mode, ModelRef, Provenance, Tally, Verdict
from scanner.evaluation.labels import read_labels
from scanner.media.cutter import cut
from scanner.sample import draw_sample
from scanner.wire import json_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_sample(path, forged=False, seconds=4, size=(320, 240))
    return path


@pytest.fixture
def folder(tmp_path, clip):
    """Verdicts on one file's segments, and three people's reviews of them."""
    with cut(clip, stream_id=clip.name) as pieces:
        segments = list(pieces)
    bare = Verdict(
        "", clip.name, 0, 0, 2000, Label.SUSPECTED, 0.7, (), (), Provenance(), Tally(50, 50, 32, 0, Mode.FULL),
        ModelRef("m", "ab" * 32), "cd" * 32,
    )  # fmt: skip
    first, second = (
        replace(bare, verdict_id=f"{each.sequence:032x}", sequence=each.sequence, payload_sha256=each.sha256)
        for each in segments[:2]
    )
    second = replace(second, label=Label.NO_MANIPULATION_FOUND, score=0.1)
    reviews = [
        Review(first.verdict_id, clip.name, 0, Decision.REJECT, "ann", "a filter", 1),
        Review(first.verdict_id, clip.name, 0, Decision.REJECT, "ben", "", 2),
        Review(second.verdict_id, clip.name, 1, Decision.CONFIRM, "ann", "", 3),
    ]
    (tmp_path / "v.jsonl").write_bytes(b"\n".join(map(json_of, (first, second))))
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(map(json_of, reviews)))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["reviews", *map(str, arguments)])


def test_disagreement_is_counted_and_listed(folder) -> None:
    done = run("report", "--verdicts", folder / "v.jsonl", "--reviews", folder / "r.jsonl")
    listed, counts = map(json.loads, done.stdout.splitlines())
    assert (listed["sequence"], listed["decision"], listed["reviews"][0]["note"]) == (0, "reject", "a filter")
    assert (counts["reviewed"], counts["confirmed"], counts["false_alarms"], counts["misses"]) == (2, 1, 1, 0)


def test_people_have_the_last_word_and_the_scanners_stays_beside_it(folder) -> None:
    done = run("verdicts", "--verdicts", folder / "v.jsonl", "--reviews", folder / "r.jsonl")
    rejected, confirmed = map(json.loads, done.stdout.splitlines())
    assert (rejected["label"], rejected["final"], rejected["overruled"]) == ("suspected", "no_manipulation_found", True)
    assert (confirmed["label"], confirmed["final"], confirmed["overruled"]) == (*["no_manipulation_found"] * 2, False)
    (folder / "none.jsonl").touch()
    done = run("verdicts", "--verdicts", folder / "v.jsonl", "--reviews", folder / "none.jsonl")
    assert [json.loads(line)["overruled"] for line in done.stdout.splitlines()] == [False, False]


def test_what_people_confirmed_becomes_labelled_files(folder, clip) -> None:
    known = ["--verdicts", folder / "v.jsonl", "--reviews", folder / "r.jsonl", "--media", clip.parent]
    done = run("export", folder / "set", *known)
    assert done.exit_code == 0, done.output
    items = read_labels(folder / "set" / "labels.csv", folder / "set")
    assert [(item.fake, item.person) for item in items] == [(False, clip.name)] * 2
    with (folder / "set" / "labels.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    assert all((folder / "set" / name).stat().st_size > 1000 for name in names)
    again = run("export", folder / "set", *known)
    assert isinstance(again.exception, SettingsError)
