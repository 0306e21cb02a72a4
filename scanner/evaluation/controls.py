"""Shortcut controls: what a score is worth when the evidence that it claims to use is taken away."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from scanner.evaluation.crops import Store
from scanner.evaluation.metrics import auc
from scanner.evaluation.video import encode, read_video

Clips = NDArray[np.uint8]
_FIELDS: Final = ("width", "height", "face_px", "bitrate_kbps", "sharpness", "brightness")


def without_face(clips: Clips, box_scale: float) -> Clips:
    """Grey where the face is: only the background can tell.

    Args:
        clips: (n, T, S, S, 3).
        box_scale: side of the square over that of the face box in its middle.
    """
    out, side = clips.copy(), clips.shape[2]
    margin = int(side * (1 - 1 / box_scale) / 2)
    out[:, :, margin : side - margin, margin : side - margin] = 128
    return out


def shuffled(clips: Clips) -> Clips:
    """The frames of each clip in another order: only single frames can tell."""
    order = np.random.default_rng(0).permutation(clips.shape[1])
    return clips[:, order]


def frozen(clips: Clips) -> Clips:
    """The middle frame over and over."""
    middle = clips.shape[1] // 2
    return np.repeat(clips[:, middle : middle + 1], clips.shape[1], axis=1)


def encoded_again(clips: Clips) -> Clips:
    """Each crop through one identical H.264 encode at CRF 32."""
    return np.stack([_again(clip) for clip in clips])


def _again(clip: Clips) -> Clips:
    options = {"crf": "32", "preset": "veryfast", "g": "50"}
    return read_video(encode(clip, codec="libx264", options=options, rate=Fraction(25), kbps=None))[0]


def at_half_size(clips: Clips) -> Clips:
    """Half the resolution and back."""
    flat = clips.reshape(-1, *clips.shape[2:])
    size = flat.shape[1]
    small = [cv2.resize(p, (size // 2, size // 2), interpolation=cv2.INTER_AREA) for p in flat]
    large = [cv2.resize(p, (size, size), interpolation=cv2.INTER_LINEAR) for p in small]
    return np.stack(large).astype(np.uint8).reshape(clips.shape)


CONTROLS: Final[dict[str, Callable[[Clips], Clips]]] = {
    "frames shuffled": shuffled,
    "one frame repeated": frozen,
    "all encoded again": encoded_again,
    "half size": at_half_size,
}


def controls_for(box_scale: float) -> dict[str, Callable[[Clips], Clips]]:
    """Every control for crops of a model's square."""
    return {"background only": partial(without_face, box_scale=box_scale), **CONTROLS}


def metadata_auc(store: Store, folds: int = 5) -> float:
    """AUC of a logistic regression on sizes, bit rate, sharpness and light alone, folds by source.

    NaN where a fold would have nothing of both classes to learn from.
    """
    rows = [(item, store.about.get(item.file, {})) for item in store.items]
    known = [(item, about) for item, about in rows if all(field in about for field in _FIELDS)]
    x = np.log1p(np.array([[float(about[field]) for field in _FIELDS] for _, about in known]))
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    x = np.column_stack([x, x**2, np.ones(len(x))])
    y = np.array([int(item.fake) for item, _ in known], np.int64)
    sources = sorted({item.source for item, _ in known})
    np.random.default_rng(0).shuffle(sources)
    fold = np.array([sources.index(item.source) % folds for item, _ in known])
    scores = np.zeros(len(x))
    if any(len(np.unique(y[fold != number])) < 2 for number in range(folds)):
        return float("nan")
    for number in range(folds):
        weights = _logistic(x[fold != number], y[fold != number])
        scores[fold == number] = x[fold == number] @ weights
    return auc(scores, y)


def _logistic(x: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    sign = 2.0 * y - 1

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (x @ w)
        slope = -sign / (1 + np.exp(np.clip(margin, -60, 60)))
        return float(np.logaddexp(0, -margin).mean() + 0.01 * w @ w), x.T @ slope / len(x) + 0.02 * w

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x, np.float64)
