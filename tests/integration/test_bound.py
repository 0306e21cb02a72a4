"""Bound buffers on the CPU: the same scores as without, whatever the size of the batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pytest

from scanner.inference.bound import BoundSession, bucket_for, buckets
from scanner.inference.card import find_model, read_card
from scanner.inference.onnx import OUTPUTS, Device, providers

SPEC = read_card(find_model("tempo-s")).spec
LENGTH, SIZE = SPEC.length, SPEC.size


@pytest.fixture(scope="module")
def session():
    path = find_model("tempo-s") / "model.onnx"
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).integers(0, 256, (5, LENGTH, SIZE, SIZE, 3), np.uint8)


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (12, (1, 2, 4, 8, 12)), (16, (1, 2, 4, 8, 16))])
def test_few_sizes_are_prepared_and_the_largest_is_one_of_them(most, sizes) -> None:
    assert buckets(most) == sizes
    assert all(bucket_for(count, sizes) >= count for count in range(1, most + 1))
    assert all(bucket_for(size, sizes) == size for size in sizes)


def test_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        buckets(0)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_bound_buffers_give_the_scores_of_a_plain_run(session, clips, count) -> None:
    """Sizes 1 and 2 are prepared: 3 clips go as 2 and 1, 5 as 2, 2 and 1; what fills a batch up shows in no score."""
    bound = BoundSession(session, OUTPUTS, memory="cpu", index=0, most=2)
    plain = session.run(OUTPUTS, {"clips": clips[:count]})
    for ours, theirs in zip(bound.run(clips[:count]), plain, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_threads_do_not_write_into_each_others_batches(session, clips) -> None:
    bound = BoundSession(session, OUTPUTS, memory="cpu", index=0, most=1, lanes=2)
    alone = [bound.run(clip[None])[0] for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda clip: bound.run(clip[None])[0], [*clips, *clips]))
    np.testing.assert_array_equal(np.concatenate(together), np.concatenate([*alone, *alone]))


def test_a_batch_keeps_its_scores_when_the_next_one_is_run(session, clips) -> None:
    bound = BoundSession(session, OUTPUTS, memory="cpu", index=0, most=1)
    first = bound.run(clips[:1])
    kept = [output.copy() for output in first]
    bound.run(clips[1:2])
    for now, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(now, before)


def test_every_gpu_provider_has_the_slower_ones_behind_it() -> None:
    named = {
        kind: [item if isinstance(item, str) else item[0] for item in providers(Device(kind, 1), graphs=True)]
        for kind in ("cpu", "cuda", "tensorrt")
    }
    assert named["cpu"] == ["CPUExecutionProvider"]
    assert named["cuda"] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert named["tensorrt"][0] == "TensorrtExecutionProvider"
    options = providers(Device("cuda", 1), graphs=True)[0][1]
    assert options == {"device_id": 1, "enable_cuda_graph": 1}
