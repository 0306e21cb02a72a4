"""The README does not drift: settings with their defaults, verbs and links are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scanner.inference.card import read_card
from scanner.settings import load, origins

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text("utf-8")
SETTINGS = (ROOT / "scanner" / "SETTINGS.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_every_setting_is_listed_with_its_default_and_meaning() -> None:
    table = SETTINGS.partition("| setting | default | meaning |")[2]
    listed = re.findall(r"^\| `(\w+\.\w+)` \| (.*?) \| (.*) \|$", table, re.MULTILINE)
    real = []
    for name, value, _, meaning in origins(load()):
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
        real.append((name, shown, meaning))
    assert listed == real


def test_every_verb_is_mentioned() -> None:
    import typer.main

    from scanner.cli.app import app

    for name in typer.main.get_command(app).commands:
        assert f"scanner {name}" in TEXT, name


def test_links_inside_the_repository_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target
    titles = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    for anchor in re.findall(r"\]\(#([^)]+)\)", TEXT):
        assert anchor in headings, anchor


def test_the_figures_of_the_models_are_those_on_their_cards() -> None:
    for path in sorted((ROOT / "onnx_models").glob("*/card.toml")):
        card = read_card(path.parent)
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| {card.name} {card.version} |")]
        shown = [float(figure) for figure in re.findall(r"\b0\.\d\d\b", row.partition("px |")[2])]
        measured = card.measured
        kinds = ("auc_face_swap", "auc_talking_head", "auc_reenactment", "auc_lip_sync", "pair_accuracy")
        promised = [measured["auc"], *measured["auc_interval"], *(measured[kind] for kind in kinds)]
        assert shown == [round(figure, 2) for figure in promised]
