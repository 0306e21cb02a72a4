"""Golden scores: a model on this machine must say what it said where it was made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scanner.core.errors import ModelMismatchError
from scanner.inference.onnx import OnnxModel

GOLDEN = "golden.npz"
# Logits. CPUs differ in fused multiply-adds, GPUs also in TF32 and fp16.
TOLERANCE = {
    "cpu": 2e-3,
    "cuda": 5e-2,
    "tensorrt": 5e-2,
}
ROUNDED = 0.1  # int8: a last bit before a rounding may fall either way; a CPU that saturates is off by far more


def verify_golden(model: OnnxModel, folder: Path) -> float:
    """Scores the clips of golden.npz again; the largest difference of a logit.

    golden.npz holds `clips` uint8 (N, T, S, S, 3), `clip_logit` (N,) and `frame_logits` (N, T).

    Raises:
        ModelMismatchError: the file is missing, malformed, or scores differ by more than the tolerance.
    """
    path = folder / GOLDEN
    try:
        with np.load(path, allow_pickle=False) as golden:
            clips, logits, frames = golden["clips"], golden["clip_logit"], golden["frame_logits"]
    except (OSError, KeyError, ValueError) as error:
        raise ModelMismatchError(f"{path} cannot be read: {error}") from error
    scores = model.score(clips)
    worst = max(float(np.abs(scores.logits - logits).max()), float(np.abs(scores.frame_logits - frames).max()))
    allowed = ROUNDED if model.card.precision == "int8" else TOLERANCE[model.device.kind]
    if worst > allowed:
        raise ModelMismatchError(
            f"{model.ref.name} ({model.card.precision}) on {model.device}: golden scores differ by {worst:.2e}, allowed"
            f" {allowed}: this machine computes something else than the one where the model was made"
        )
    return worst
