"""Packs: pairs that went the same way, cut as the model wants them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_faces import drawn_clip

from scanner.training import pack
from scanner.training.cut import GEOMETRY
from scanner.training.data import Kind, Role, Source
from scanner.training.export import same_square
from scanner.training.sources import Footage

pytestmark = pytest.mark.training
SPEC = replace(GEOMETRY, length=8, size=96)


@pytest.fixture
def packer(monkeypatch):
    """Draws from two filmed people and one generator's output."""
    people = [Source(Path(f"{name}.mp4"), Kind.CLIP, name, "MIT") for name in "abcdefgh"]
    made = Source(Path("made.mp4"), Kind.GENERATED, "x", "MIT", "a method")

    def load(source: Source, _: Path) -> Footage:
        frames, points = drawn_clip(sum(source.path.stem.encode()))
        boxes = np.tile(np.array([34, 26, 94, 106], np.float32), (len(frames), 1))
        return Footage(frames, boxes, points[:, :0] if source.fake else points)

    monkeypatch.setattr(pack, "load", load)
    return pack.Packer([*people, made], Path(), SPEC, Role.TRAIN, true_share=0.5)


def test_the_same_number_gives_the_same_pair_of_the_models_size(packer):
    pairs = [packer.pair(number) for number in range(6)]
    again = packer.pair(0)
    assert (pairs[0].family, pairs[0].person) == (again.family, again.person)
    assert np.array_equal(pairs[0].mask, again.mask)
    apart = np.abs(pairs[0].pixels.astype(int) - again.pixels).mean()
    assert apart < 1  # x264's assembly is not the same to the bit where sides do not divide by 16
    assert apart < np.abs(pairs[0].pixels.astype(int) - pairs[1].pixels).mean() / 10
    assert {pair.masked for pair in pairs} == {True, False}
    for pair in pairs:
        assert pair.pixels.shape == (2, 8, 96, 96, 3)
        assert pair.mask.shape == (8, 12, 12)
        assert (pair.method == "a method") is not pair.masked


def test_members_of_every_kind_of_pair_are_evened(packer, monkeypatch):
    seen = []
    monkeypatch.setattr(pack, "EVEN_SHARE", 1.0)
    for name in ("evened_pictures", "evened_apart"):
        whole = getattr(pack, name)
        monkeypatch.setattr(pack, name, lambda *a, _name=name, _whole=whole, **k: seen.append(_name) or _whole(*a, **k))
    for number in range(8):
        packer.pair(number)
    assert set(seen) == {"evened_pictures", "evened_apart"}
    assert len(seen) == 8


def test_crops_of_another_square_do_not_fit_a_model(tmp_path):
    assert pack.read_geometry(tmp_path) is None
    same_square(SPEC, None, tmp_path)
    same_square(SPEC, {"size": 96, "box_scale": 1.3}, tmp_path)
    with pytest.raises(ValueError, match=r"96 px and 1\.5 boxes, the model wants 96 px and 1\.3"):
        same_square(SPEC, {"size": 96, "box_scale": 1.5}, tmp_path)
