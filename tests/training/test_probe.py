"""The probe: what it learns, how it is regularised, and its table."""

from __future__ import annotations

import numpy as np
import pytest

from scanner.evaluation.metrics import auc
from scanner.training.model import TempoNet, Variant
from scanner.training.probe import DECAYS, Drawn, Result, decay_for, features, fitted, markdown

pytestmark = pytest.mark.training


def _drawn(rng: np.random.Generator, shift: float) -> tuple[np.ndarray, Drawn]:
    """Forty features, of which one tells every generator apart; each generator shifts another one, too."""
    method = np.array([""] * 100 + [name for name in "abcde" for _ in range(20)])
    x = rng.normal(0, 1, (200, 40))
    x[100:, 0] += 1.5
    for number, name in enumerate("abcde"):
        x[method == name, 1 + number] += shift
    return x, Drawn({}, method != "", method)


def test_a_regression_finds_what_tells_the_two_apart():
    x, drawn = _drawn(np.random.default_rng(0), 0.0)
    weight, offset = fitted(x, drawn.fake, 1e-2)
    assert np.abs(weight).argmax() == 0
    assert auc(x @ weight + offset, drawn.fake.astype(int)) > 0.85


def test_what_only_one_generator_shows_asks_for_more_decay():
    same, own = (decay_for(*_drawn(np.random.default_rng(1), shift)) for shift in (0.0, 6.0))
    assert same in DECAYS
    assert own >= same


def test_features_are_of_a_clip_alone():
    net = TempoNet(temporal=False).eval()
    clips = np.random.default_rng(0).integers(0, 256, (3, 2, 64, 64, 3), np.uint8)
    together = features(net, clips)
    assert together.shape == (3, 1280)
    np.testing.assert_allclose(features(net, clips[1:2])[0], together[1], atol=1e-4)


def test_the_table_begins_with_the_cheapest():
    rows = markdown(
        [Result(Variant.LITE2, 160, 9.0, 0.8, 0.6, 0.5, 0.7), Result(Variant.LITE0, 128, 2.0, 0.7, 0.55, 0.45, 0.65)]
    )
    first, second = rows.splitlines()[2:4]
    assert first == "| lite0, 128 px | 2.0 | 0.700 | 0.550 (0.45–0.65) |"
    assert second.startswith("| lite2, 160 px | 9.0 |")
