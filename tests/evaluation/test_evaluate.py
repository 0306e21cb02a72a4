"""`scanner evaluate` on drawn files: figures, controls, and the report's files."""

from __future__ import annotations

import csv
import json

import pytest
from typer.testing import CliRunner

from scanner.cli.app import app
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
