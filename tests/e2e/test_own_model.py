"""The worked example for one's own model works as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

from scanner import scan
from scanner.inference.card import find_model, read_card
from scanner.sample import draw_sample

README = Path(__file__).parents[2] / "onnx_models" / "README.md"


def test_the_printed_example_makes_a_model_that_scans(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    exec(compile(code, str(README), "exec"), {})  # noqa: S102 - our own documentation
    draw_sample(tmp_path / "clip.mp4", forged=False, seconds=2)
    verdicts = list(scan(tmp_path / "clip.mp4", model="change-model", device="cpu"))
    assert verdicts
    assert {verdict.model.name for verdict in verdicts} == {"change"}
    assert all(verdict.score is not None for verdict in verdicts)


def test_the_card_in_the_example_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    exec(compile(code, str(README), "exec"), {})  # noqa: S102 - our own documentation
    card = read_card(find_model("change-model"))
    assert (card.geometry.length, card.geometry.size) == (16, 160)
