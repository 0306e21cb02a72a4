"""The model on a GPU: `pytest -m gpu tests/gpu -s`. Needs a CUDA device and the extra `cuda`."""

from __future__ import annotations

import json
import statistics
import sys
import time

import numpy as np
import pytest

from scanner.assembly.scan import assembled
from scanner.core.types import Mode
from scanner.inference.card import find_model
from scanner.inference.golden import verify_golden
from scanner.inference.onnx import OnnxModel, resolve_device
from scanner.sample import draw_sample
from scanner.settings import load

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def model():
    return OnnxModel(find_model("tempo-s"), resolve_device("cuda:0"), warm_batch=16)


def test_golden_scores_hold_on_the_gpu(model) -> None:
    assert verify_golden(model, find_model("tempo-s")) >= 0


def test_a_clip_scores_alike_alone_and_in_a_batch(model) -> None:
    spec = model.spec
    clips = np.random.default_rng(0).integers(0, 256, (16, spec.length, spec.size, spec.size, 3), np.uint8)
    together = model.score(clips).logits
    alone = np.concatenate([model.score(clip[None]).logits for clip in clips])
    assert np.abs(together - alone).max() < 0.05


def test_batches_are_worth_it(model) -> None:
    spec, per_frame = model.spec, {}
    for size in (1, 16):
        clips = np.zeros((size, spec.length, spec.size, spec.size, 3), np.uint8)
        spent = []
        for _ in range(20):
            began = time.perf_counter()
            model.score(clips)
            spent.append(time.perf_counter() - began)
        per_frame[size] = statistics.median(spent[5:]) / size / spec.length * 1000
    sys.stderr.write(json.dumps({"figure": "cuda_ms_per_face_frame", **per_frame}) + "\n")
    assert per_frame[16] < per_frame[1]


def test_a_file_is_scanned_on_the_gpu(tmp_path) -> None:
    from scanner.media.cutter import cut

    path = tmp_path / "talk.mp4"
    draw_sample(path, forged=False, seconds=4, size=(640, 480))
    with assembled(load(flags={"scan.device": "cuda:0"})) as parts, cut(path) as pieces:
        looks = [parts.pipeline.look(segment, Mode.FULL) for segment in pieces]
        assert str(parts.device) == "cuda:0"
        assert all(look.scored for look in looks)
