"""The model that came along gives a clip the same bits, whoever shares its batch."""

from __future__ import annotations

import numpy as np

from scanner.inference.card import find_model
from scanner.inference.onnx import Device, OnnxModel


def test_on_the_cpu_a_clips_score_does_not_depend_on_its_batch() -> None:
    model = OnnxModel(find_model("tempo-s"), Device("cpu"))
    spec, random = model.spec, np.random.default_rng(7)
    clips = random.normal(128, 50, (5, spec.length, spec.size, spec.size, 3)).clip(0, 255).astype(np.uint8)
    together = model.score(clips)
    for number in range(len(clips)):
        alone = model.score(clips[number : number + 1])
        assert alone.logits[0] == together.logits[number]
        assert (alone.frame_logits[0] == together.frame_logits[number]).all()
        assert (alone.maps[0] == together.maps[number]).all()
