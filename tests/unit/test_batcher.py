"""Batches: nothing waits for ever, nothing is mixed up, failure reaches whoever submitted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scanner.core.errors import InferenceError
from scanner.core.types import Clip, ClipSpec, ModelRef
from scanner.inference.batcher import Batcher
from scanner.ports import Scores

SPEC = ClipSpec(length=2, size=16)


class Mean:
    """Scores a clip by its mean, so that a mixed-up answer shows."""

    ref = ModelRef("mean", "00" * 32)
    spec = SPEC

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def score(self, clips):
        self.sizes.append(len(clips))
        means = clips.mean(axis=(1, 2, 3, 4)).astype(np.float32)
        return Scores(means, np.stack([means, means], axis=1), np.zeros((len(clips), 2, 1, 1), np.float32))


def clip(value):
    return Clip(0, 0, 80, 0, np.full((2, 16, 16, 3), value, np.uint8))


def test_a_lonely_clip_does_not_wait_for_ever() -> None:
    with Batcher(Mean(), size=64, wait_ms=10) as batcher:
        assert batcher.submit(clip(7)).result(timeout=5).score.logit == 7


def test_clips_of_many_threads_go_together_and_come_back_to_their_own() -> None:
    model = Mean()
    with Batcher(model, size=4, wait_ms=1000) as batcher, ThreadPoolExecutor(8) as threads:
        futures = list(threads.map(lambda value: batcher.submit(clip(value)), range(40)))
        assert [future.result(timeout=5).score.logit for future in futures] == list(range(40))
    assert model.sizes == [4] * 10


def test_the_pixels_may_change_after_submit() -> None:
    lent = clip(9)
    with Batcher(Mean(), size=2, wait_ms=50) as batcher:
        future = batcher.submit(lent)
        lent.pixels[:] = 0
        assert future.result(timeout=5).score.logit == 9


def test_submit_holds_back_when_the_model_cannot_keep_up() -> None:
    gate = threading.Event()

    class Slow(Mean):
        def score(self, clips):
            gate.wait(5)
            return super().score(clips)

    with Batcher(Slow(), size=1, threads=1, ahead=1) as batcher, ThreadPoolExecutor(1) as threads:
        waiting = [batcher.submit(clip(1)), batcher.submit(clip(2))]
        third = threads.submit(batcher.submit, clip(3))
        assert not third.done()
        gate.set()
        assert third.result(timeout=5).result(timeout=5).score.logit == 3
        assert [future.result(timeout=5).score.logit for future in waiting] == [1, 2]


def test_a_failed_batch_fails_its_own_clips_only() -> None:
    class Moody(Mean):
        def score(self, clips):
            if clips.max() == 13:
                raise InferenceError("unlucky")
            return super().score(clips)

    with Batcher(Moody(), size=1) as batcher:
        bad, good = batcher.submit(clip(13)), batcher.submit(clip(5))
        with pytest.raises(InferenceError, match="unlucky"):
            bad.result(timeout=5)
        assert good.result(timeout=5).score.logit == 5
