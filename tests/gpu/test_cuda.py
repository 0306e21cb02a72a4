"""Scoring and decoding on a GPU: `pytest -m gpu tests/gpu -s`. Needs a CUDA device and the extra `cuda`."""

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


WHOLE = "tempo-s-gpu"  # 16-bit floats: CUDA runs all of it


@pytest.fixture(scope="module")
def model():
    return OnnxModel(find_model(WHOLE), resolve_device("cuda:0"), most=16)


@pytest.mark.parametrize("name", ["tempo-s", WHOLE])
def test_golden_scores_hold_on_the_gpu(name) -> None:
    folder = find_model(name)
    assert verify_golden(OnnxModel(folder, resolve_device("cuda:0"), most=16), folder) >= 0


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


def test_the_whole_model_is_captured_in_graphs(model) -> None:
    assert model.graphs == ""
    assert model.sizes == (1, 2, 4, 8, 16)


def test_every_prepared_size_scores_like_one_clip_at_a_time(model) -> None:
    """Sizes between the prepared ones are filled up, larger ones divided; a replayed graph sees the new clips."""
    spec = model.spec
    clips = np.random.default_rng(1).integers(0, 256, (19, spec.length, spec.size, spec.size, 3), np.uint8)
    alone = np.concatenate([model.score(clip[None]).logits for clip in clips])
    for count in (1, 3, 8, 16, 19):
        assert np.abs(model.score(clips[:count]).logits - alone[:count]).max() < 0.05


def test_batches_are_gathered_in_pinned_memory(model) -> None:
    lent = model.buffer(2)
    lent[:] = 7
    assert type(lent) is not np.ndarray
    assert np.isfinite(model.score(lent).logits).all()


def test_tensorrt_scores_as_the_card_promises() -> None:
    folder = find_model(WHOLE)
    assert verify_golden(OnnxModel(folder, resolve_device("tensorrt:0"), most=4), folder) >= 0


def test_nvdec_shows_the_pictures_of_the_software_decoder(tmp_path) -> None:
    from scanner.media.cutter import cut

    path = tmp_path / "talk.mp4"
    draw_sample(path, forged=False, seconds=4, size=(1280, 720))
    seen = {}
    for decode in ("cpu", "cuda:0"):
        settings = load(flags={"scan.device": "cuda:0", "scan.decode": decode})
        shown = []
        with assembled(settings, lambda _, clip, shown=shown: shown.append(clip.pixels.copy())) as parts:
            with cut(path) as pieces:
                looks = [parts.pipeline.look(segment, Mode.FULL) for segment in pieces]
            layers = parts.cells.ready()
        seen[decode] = np.stack(shown)
        assert sum(look.observation.tally.frames_decoded for look in looks) == 4 * 25
        assert ("seccomp" in layers) is (decode == "cpu")
    assert np.abs(seen["cpu"].astype(int) - seen["cuda:0"]).mean() < 2


def test_a_file_is_scanned_on_the_gpu(tmp_path) -> None:
    from scanner.media.cutter import cut

    path = tmp_path / "talk.mp4"
    draw_sample(path, forged=False, seconds=4, size=(640, 480))
    with assembled(load(flags={"scan.device": "cuda:0"})) as parts, cut(path) as pieces:
        looks = [parts.pipeline.look(segment, Mode.FULL) for segment in pieces]
        assert str(parts.device) == "cuda:0"
        assert all(look.scored for look in looks)
