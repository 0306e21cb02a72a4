"""Lists of DeepfakeBench as a corpus."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from scanner.evaluation.labels import read_labels
from scanner.evaluation.video import read_video
from scanner.training.data import Kind, read_corpus
from scanner.training.deepfakebench import read_list, read_pictures, write_corpus

pytestmark = pytest.mark.training


@pytest.fixture
def root(tmp_path):
    """A list of two groups, one with a level of compression, one video under the same name in two methods."""
    rng = np.random.default_rng(0)

    def frames(name: str) -> dict[str, object]:
        paths = [f"{name}\\{number:03d}.png" for number in range(3)]
        (tmp_path / name).mkdir(parents=True)
        for path in paths:
            smooth = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (65, 48))
            cv2.imwrite(str(tmp_path / path.replace("\\", "/")), smooth)
        return {"label": "x", "frames": paths}

    tree = {
        "FF-real": {"train": {"c23": {"000": frames("real/000"), "003": frames("real/003")}}},
        "FF-DF": {"train": {"c23": {"000_003": frames("df/000_003")}}, "test": {}},
        "FF-F2F": {"train": {"000_003": frames("f2f/000_003")}},
    }
    (tmp_path / "list.json").write_text(json.dumps({"FF": tree}))
    return tmp_path


def test_a_list_becomes_a_corpus_to_train_on_and_labels_to_measure_with(root):
    videos = read_list(root / "list.json", root, "train")
    out = root / "out"
    assert write_corpus(videos, out) == 4
    sources = read_corpus(out)
    assert [source.kind for source in sources] == [Kind.CLIP] * 2 + [Kind.GENERATED] * 2
    assert {source.method for source in sources} == {"", "FF-DF", "FF-F2F"}
    assert len({source.path.stem for source in sources}) == 4
    items = {item.file: item for item in read_labels(out / "labels.csv", out)}
    fake, real = items["generated/FF-DF--000_003.mkv"], items["clips/FF-real--000.mkv"]
    assert (fake.fake, fake.method, fake.person, fake.pair) == (True, "FF-DF", "000", "000")
    assert (real.fake, real.person, real.pair) == (False, "000", "000")


def test_pictures_arrive_in_order_with_even_sides(root):
    video = read_list(root / "list.json", root, "train")[0]
    pictures = read_pictures(video)
    assert pictures.shape == (3, 48, 64, 3)
    write_corpus([video], root / "out")
    back = read_video(root / "out" / video.file)[0].astype(int)
    assert np.abs(back - pictures).mean() < 8
    assert np.abs(back - pictures[::-1]).mean() > 16


def test_what_is_missing_is_named(root):
    with pytest.raises(ValueError, match="no split val; there are test, train"):
        read_list(root / "list.json", root, "val")
    (root / "real/000/001.png").unlink()
    with pytest.raises(ValueError, match=r"not a picture: .*real/000/001\.png"):
        write_corpus(read_list(root / "list.json", root, "train"), root / "out")
