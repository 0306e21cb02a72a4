"""`scanner provenance` as people and scripts meet it."""

from __future__ import annotations

import json
import os

import pytest
import typer
from labelled_files import FIELDS, OTHER, TEXT, avi, info, muxed
from typer.testing import CliRunner

from scanner.cli import provenance as verb

app = typer.Typer()
app.command()(verb.provenance)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "labelled.mp4").write_bytes(muxed("mp4", "mpeg4", "use_metadata_tags"))
    (tmp_path / "plain.mp4").write_bytes(muxed("mp4", "mpeg4"))
    (tmp_path / "twice.avi").write_bytes(avi(info(TEXT.encode()), info(OTHER.encode())))
    return tmp_path


def run(*files, code=0):
    done = CliRunner().invoke(app, [str(file) for file in files])
    assert done.exit_code == code, done.output
    return done


def test_a_line_tells_container_tier_fields_and_findings(folder) -> None:
    line = json.loads(run(folder / "labelled.mp4").stdout)
    assert line == {
        "type": "provenance",
        "uri": str(folder / "labelled.mp4"),
        "container": "mp4",
        "tier": "is",
        "basis": "label",
        "valid": True,
        "labels": [
            {
                "place": "moov.udta.meta",
                "form": "bare",
                "valid": True,
                "fields": FIELDS,
                "others": {},
                "producer_code": None,
                "text": TEXT,
                "findings": [],
            }
        ],
        "findings": [],
        "c2pa": None,
        "article50": {"duty": "disclose", "marks": ["gb45438"]},
    }


def test_no_label_and_a_faulty_one_are_answers(folder) -> None:
    plain, twice = map(json.loads, run(folder / "plain.mp4", folder / "twice.avi").stdout.splitlines())
    assert (plain["tier"], plain["basis"], plain["labels"], plain["valid"]) == ("none", "nothing", [], False)
    assert [label["fields"]["ProduceID"] for label in twice["labels"]] == ["p-1", "p-2"]
    assert [finding["code"] for finding in twice["findings"]] == ["several_copies", "copies_disagree"]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(folder) -> None:
    os.mkfifo(folder / "pipe")
    done = run(folder / "gone.mp4", folder, folder / "pipe", folder / "labelled.mp4", code=3)
    gone, directory, pipe, labelled = map(json.loads, done.stdout.splitlines())
    assert gone == {
        "uri": str(folder / "gone.mp4"), "stage": "read", "reason": "No such file or directory", "type": "error",
    }  # fmt: skip
    assert (directory["reason"], pipe["reason"]) == ("not a file", "not a file")
    assert labelled["tier"] == "is"


def test_the_table_shows_each_copy_and_lets_nothing_through_to_the_terminal(folder, monkeypatch) -> None:
    monkeypatch.setattr(verb, "wants_json", lambda as_json: False)
    monkeypatch.setenv("COLUMNS", "200")
    sly = json.dumps(FIELDS | {"ProduceID": "[red]\x1b[2Jx"})
    (folder / "sly.avi").write_bytes(avi(info(sly.encode())))
    done = run(folder / "twice.avi", folder / "sly.avi", folder / "gone.mp4", code=3)
    for expected in ("ContentProducer kling", "ProduceID p-1", "ProduceID p-2", "2 copies", "[red]", "not read"):
        assert expected in done.stdout
    assert "\x1b[2J" not in done.stdout
