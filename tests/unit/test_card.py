"""A model's card that somebody wrote by hand: what makes no sense is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scanner.assembly.scan import policy_of
from scanner.core.calibration import Range
from scanner.core.errors import ModelMismatchError, SettingsError
from scanner.inference.card import find_model, read_card
from scanner.settings import load

CARD = (find_model("tempo-s") / "card.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("line", "number", "place"),
    [
        ("odds", "nan", "calibration.caution.0.odds: "),
        ("odds", "inf", "calibration.caution.0.odds: "),
        ("odds", "-0.1", "calibration.caution.0.odds: "),
        ("odds", "710", "calibration.caution.0.odds: "),
        ("frames_below", "0", "calibration.caution.0.frames_below: "),
        ("frames_below", "32", "calibration.caution: .*must rise, got 32 before 32"),
        ("frames_below", "64", "calibration.caution: .*must rise, got 64 before 32"),
        ("face_px", "[252, 35]", "calibration.measured.face_px: .*must rise, got 252 to 35"),
        ("sharpness", "[nan, 0.7]", "calibration.measured.sharpness.0: "),
        ("brightness", "[0.2, inf]", "calibration.measured.brightness.1: "),
        ("bias", "nan", "calibration.bias: "),
        ("shift", "-inf", "calibration.buckets.0.shift: "),
        ("min_sharpness", "nan", "quality.min_sharpness: "),
        ("manipulated_from", "0.1", "calibration: .*suspected_from 0.8.* lies above manipulated_from 0.1"),
    ],
)
def test_a_number_without_sense_is_refused_where_it_stands(tmp_path: Path, line: str, number: str, place: str) -> None:
    text, changes = re.subn(rf"^{line} = .*$", f"{line} = {number}", CARD, count=1, flags=re.MULTILINE)
    assert changes
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(ModelMismatchError, match=f"card.toml: {place}"):
        read_card(tmp_path)


@pytest.mark.parametrize(("least", "most"), [(2.0, 1.0), (float("nan"), 1.0)])
def test_a_range_that_falls_is_none(least: float, most: float) -> None:
    with pytest.raises(ValueError, match=f"must rise, got {least} to {most}"):
        Range("face_px", least, most)


def test_a_line_that_the_operator_draws_above_the_cards_other_one_is_a_matter_of_settings() -> None:
    settings, card = load(), read_card(find_model("tempo-s"))
    higher = settings.model_copy(update={"policy": settings.policy.model_copy(update={"suspected_from": 0.99})})
    with pytest.raises(SettingsError, match=r"tempo-s.* suspected_from=0.99 and manipulated_from="):
        policy_of(higher, card)
