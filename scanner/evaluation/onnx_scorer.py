"""An exported model as the measuring tools use it: the production adapter, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from scanner.inference.onnx import OnnxModel, resolve_device

Change: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Clips (N, T, S, S, 3) → changed clips of the same shape."""


@dataclass(frozen=True, slots=True)
class ClipScores:
    """What the model said of n clips."""

    clip: NDArray[np.float64]
    "(n,) logits."
    frames: NDArray[np.float64]
    "(n, T) logits."


def score_store(
    folder: Path, pixels: NDArray[np.uint8], change: Change | None = None, *, batch: int = 4, threads: int = 2
) -> ClipScores:
    """Scores of clips (n, T, S, S, 3), each batch changed first if asked for."""
    model = OnnxModel(folder, resolve_device("cpu"), threads=threads)
    clip, frames = [], []
    for first in range(0, len(pixels), batch):
        part = np.ascontiguousarray(pixels[first : first + batch])
        scores = model.score(part if change is None else np.ascontiguousarray(change(part)))
        clip.append(scores.logits)
        frames.append(scores.frame_logits)
    return ClipScores(np.concatenate(clip).astype(np.float64), np.concatenate(frames).astype(np.float64))
