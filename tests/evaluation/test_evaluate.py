"""`scanner evaluate` on drawn files: figures, controls, and the report's files."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.core.errors import ScannerError
from scanner.core.types import ClipSpec
from scanner.evaluation import crops
from scanner.sample import draw_sample


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    for name, forged in (("real.mp4", False), ("forged.mp4", True)):
        draw_sample(root / name, forged=forged, seconds=1.5)
    with (root / "labels.csv").open("w", newline="") as sink:
        rows = csv.writer(sink)
        rows.writerow(["file", "label", "family", "method", "pair"])
        rows.writerow(["real.mp4", "real", "", "", "p"])
        rows.writerow(["forged.mp4", "fake", "face_swap", "drawn", "p"])
    return root


def test_a_model_is_measured_from_the_command_line(corpus, tmp_path) -> None:
    arguments = ["evaluate", str(corpus), "--labels", str(corpus / "labels.csv"), "--out", str(tmp_path), "--controls"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert found["files"] == 2
    assert found["auc"] == float(scores["forged.mp4"] > scores["real.mp4"])
    assert found["pairs"] == {"pairs": 1, "accuracy": found["auc"]}
    assert found["methods"]["drawn"]["fakes"] == 1
    assert set(found["controls"]) >= {"metadata only", "background only", "frames shuffled"}
    assert (tmp_path / "plots.png").stat().st_size > 5000
    assert "| AUC |" in (tmp_path / "report.md").read_text()


@pytest.fixture
def items(corpus):
    return [crops.Item(f"{name}.mp4", name == "forged", "", "", name, name) for name in ("real", "forged")]


def test_a_store_is_taken_as_it_is_for_the_same_bytes_and_geometry_alone(corpus, items, tmp_path) -> None:
    spec, seen = ClipSpec(length=8, size=64), []

    def cut(spec) -> int:
        seen.clear()
        crops.cut_files(corpus, items, tmp_path / "store", spec, done=seen.append)
        return len(seen)

    assert [cut(spec), cut(spec)] == [2, 0]
    assert [cut(replace(spec, box_scale=spec.box_scale + 0.2)), cut(spec)] == [2, 2]
    os.utime(corpus / "real.mp4", (1, 1))
    assert cut(spec) == 2


def test_a_file_that_breaks_off_gives_no_clips_and_its_reason(corpus, items, tmp_path, monkeypatch) -> None:
    spec = ClipSpec(length=8, size=64)
    whole = crops.cut_files(corpus, items[1:], tmp_path / "whole", spec)
    real = (corpus / "real.mp4").read_bytes()

    class Breaking(crops.SegmentObserver):
        def __init__(self, payload, *args, **options) -> None:
            super().__init__(payload, *args, **options)
            self.breaks = payload == real

        def clips(self):
            for clip in super().clips():
                yield clip
                if self.breaks:
                    raise ScannerError("it broke off")

    monkeypatch.setattr(crops, "SegmentObserver", Breaking)
    store = crops.cut_files(corpus, items, tmp_path / "store", spec)
    assert store.about["real.mp4"] == {"error": "it broke off"}
    assert store.cuts == whole.cuts
    assert (store.pixels == whole.pixels).all()


def test_what_is_not_counted_is_told(corpus, tmp_path) -> None:
    (corpus / "noise.mp4").write_bytes(b"no video" * 99)
    labels = tmp_path / "labels.csv"
    labels.write_text((corpus / "labels.csv").read_text() + "noise.mp4,real,,,\n")
    asked = ["evaluate", str(corpus), "--labels", str(labels), "--out", str(tmp_path)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout, parse_constant=pytest.fail)
    assert told["files"] == 2
    assert told["worst_method_auc"] is None  # no method has files enough
    assert list(told["unscored"]) == ["noise.mp4"]
    assert f"- noise.mp4: {told['unscored']['noise.mp4']}" in (tmp_path / "report.md").read_text()
