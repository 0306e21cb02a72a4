"""Batches: nothing waits for ever, nothing is mixed up, failure reaches whoever submitted."""

from __future__ import annotations

import threading
import time
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


class Gated(Mean):
    """Scores nothing before the gate opens, and notes what it scored."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.begun = threading.Event(), threading.Event()
        self.scored: list[float] = []

    def score(self, clips):
        self.begun.set()
        self.gate.wait(20)
        scores = super().score(clips)
        self.scored += scores.logits.tolist()
        return scores


@pytest.mark.parametrize("size", [1, 2])
def test_urgent_clips_pass_those_that_came_before_them(size: int) -> None:
    model = Gated()
    with Batcher(model, size=size, threads=1, ahead=5, wait_ms=1) as batcher:
        early = [batcher.submit(clip(value), urgent=False) for value in range(5 * size)]
        assert model.begun.wait(5)
        late = [batcher.submit(clip(100 + value)) for value in range(size)]
        model.gate.set()
        for future in (*early, *late):
            future.result(timeout=5)
    assert max(model.scored.index(100 + value) for value in range(size)) < 2 * size, model.scored


def test_an_urgent_clip_in_a_batch_that_waits_for_company_passes_full_ones() -> None:
    model = Gated()
    with Batcher(model, size=2, threads=1, ahead=5, wait_ms=1) as batcher:
        early = [batcher.submit(clip(value), urgent=False) for value in range(8)]
        assert model.begun.wait(5)
        alone = batcher.submit(clip(100))
        time.sleep(0.02)  # its batch has waited for company long enough
        model.gate.set()
        for future in (*early, alone):
            future.result(timeout=5)
    assert model.scored.index(100) == 2, "one batch was being scored, and this one comes next"


def test_clips_that_are_not_urgent_leave_memory_for_one_that_is() -> None:
    model = Gated()
    with Batcher(model, size=1, threads=1, ahead=2) as batcher, ThreadPoolExecutor(4) as threads:
        early = [threads.submit(batcher.submit, clip(value), urgent=False) for value in range(4)]
        while sum(each.done() for each in early) < 2:
            time.sleep(0.001)
        assert model.begun.wait(5)
        urgent = threads.submit(batcher.submit, clip(100))
        assert urgent.result(timeout=5), "it is taken at once: nothing is scored before the gate opens"
        assert sum(each.done() for each in early) == 2
        model.gate.set()
        assert urgent.result().result(timeout=5).score.logit == 100
        assert sorted(each.result(5).result(timeout=5).score.logit for each in early) == [0, 1, 2, 3]
    assert model.scored.index(100) == 1
