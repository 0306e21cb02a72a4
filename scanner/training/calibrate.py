"""From logits to calibrated scores and thresholds, on people who were never trained on.

held-out real clips ──────────┬─▶ shift a bucket of quality: where its real people lie above the best
                              ├─▶ thresholds: at most 5 % and 1 % of real videos above
                              ├─▶ caution: what one clip, or two, of a video must be lowered by to keep to that
forgeries of the same people ─┴─▶ slope and bias: Platt's fit with both classes weighing alike

    python -m scanner.training.calibrate MODEL --held-out STORE      # an operator's own people, whatever the model
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from scanner.evaluation.crops import Store, open_store
from scanner.evaluation.files import worst_faces
from scanner.evaluation.metrics import sigmoid
from scanner.evaluation.onnx_scorer import score_store
from scanner.inference.card import CautionStep, Measured, QualityBucket, read_card
from scanner.training.cards import calibration_lines

Floats = NDArray[np.float64]
SUSPECTED: Final = 0.05
"""Share of real people who may be called suspected."""
LEAST_PEOPLE: Final = 19
"""People from which that share can be promised of an unseen one."""


@dataclass(frozen=True, slots=True)
class Real:
    """Held-out real videos."""

    logits: Floats
    "(n,) the mean over the clips of each."
    people: list[str]
    "(n,) who is in each."
    recordings: list[str]
    "(n,) what each was made from: several may be one recording after other encoders and sizes."
    face_px: Floats
    "(n,) pixels."
    sharpness: Floats
    "(n,) in [0, 1]."
    brightness: Floats
    "(n,) in [0, 1]."
    clips: tuple[Floats, ...]
    "(n,) of the clips in order: of the face that the mean is of."


@dataclass(frozen=True, slots=True)
class Fit:
    """What the card carries."""

    slope: float
    bias: float
    null_bound: float
    suspected_from: float
    manipulated_from: float
    real_clips: int
    recordings: int
    people: int
    buckets: tuple[QualityBucket, ...] = ()
    caution: tuple[CautionStep, ...] = ()
    measured: Measured = field(default_factory=Measured)

    @property
    def statement(self) -> str:
        """The thresholds' basis in words."""
        worn = self.real_clips - self.recordings
        made = f" and {worn} copies of them at other sizes and bit rates" if worn else ""
        return (
            f"{self.recordings} recordings of {self.people} people who were never trained on{made}; people weigh "
            "alike. suspected_from leaves at most 5 % of these videos above. "
            + (
                "It counts one unseen person in (split conformal). "
                if unseen_share(self.people, SUSPECTED)
                else f"That is no promise for other people, which takes {LEAST_PEOPLE} or more. "
            )
            + "manipulated_from lies above every one of these videos: the share of other real videos above it is only "
            "known to be small."
        )


def fit(real: Real, slope: float, bias: float, length: int) -> Fit:
    """Shifts, thresholds and caution for real people under a slope and a bias; `length` is a clip's in frames."""
    buckets = shifts(real)
    shift = shift_of(real, buckets)
    scores = sigmoid(slope * (real.logits - shift) + bias)
    suspected = upper_quantile(scores, real.people, SUSPECTED)
    manipulated = float(scores.max()) + 1e-4
    lines = min(suspected, 0.999), min(max(manipulated, suspected), 0.999)
    return Fit(
        slope=slope,
        bias=bias,
        null_bound=float(np.clip(suspected, 0.05, 0.95)),
        suspected_from=lines[0],
        manipulated_from=lines[1],
        real_clips=len(scores),
        recordings=len(set(real.recordings)),
        people=len(set(real.people)),
        buckets=buckets,
        caution=cautions(real, bias - slope * shift, slope, lines, length),
        measured=Measured(
            face_px=_span(real.face_px, 0), sharpness=_span(real.sharpness, 4), brightness=_span(real.brightness, 4)
        ),
    )


def _span(values: Floats, digits: int) -> tuple[float, float]:
    return round(float(values.min()), digits), round(float(values.max()), digits)


FACE_BOUNDS_PX: Final = (80.0, 120.0)
SHARPNESS_QUANTILES: Final = (0.2, 0.5)
LEAST_VIDEOS: Final = 60
"""Real videos in a bucket below which nothing is said of it, and it counts with the next better one."""


def shifts(real: Real) -> tuple[QualityBucket, ...]:
    """The buckets, poorest first: small faces, then blurred ones, each with the place of its real people.

    A shift is the difference between the upper 5 % quantiles of the bucket's real people and of those outside all
    buckets. It is never below zero: a bucket whose real people score lower keeps the thresholds of the best.
    """
    bounds = [(side, math.inf) for side in FACE_BOUNDS_PX]
    bounds += [(math.inf, float(np.quantile(real.sharpness, share))) for share in SHARPNESS_QUANTILES]
    left = np.ones(len(real.logits), bool)
    rows = []
    for face_px, sharpness in bounds:
        inside = left & (real.face_px < face_px) & (real.sharpness < sharpness)
        if inside.sum() >= LEAST_VIDEOS:
            rows.append((face_px, sharpness, inside))
            left &= ~inside
    if left.sum() < LEAST_VIDEOS:
        return ()
    best = _quantile(real, left)
    return tuple(
        QualityBucket(
            face_px_below=face_px,
            sharpness_below=sharpness,
            shift=round(max(_quantile(real, inside) - best, 0.0), 4),
            real_clips=int(inside.sum()),
        )
        for face_px, sharpness, inside in rows
    )


def _quantile(real: Real, inside: NDArray[np.bool_]) -> float:
    people = [name for name, kept in zip(real.people, inside, strict=True) if kept]
    return upper_quantile(real.logits[inside], people, SUSPECTED)


def shift_of(real: Real, buckets: tuple[QualityBucket, ...]) -> Floats:
    """(n,) the shift of each video: that of the first bucket it lies in."""
    out = np.zeros(len(real.logits))
    for bucket in reversed(buckets):
        inside = (real.face_px < bucket.face_px_below) & (real.sharpness < bucket.sharpness_below)
        out[inside] = bucket.shift
    return out


FEW: Final = ((1, 2), (2, 4))
"""Clips whose scores are measured, and the clips below which a face is treated alike."""


def cautions(
    real: Real, offsets: Floats, slope: float, lines: tuple[float, float], length: int
) -> tuple[CautionStep, ...]:
    """What the log-odds of one clip, or of two neighbours, are lowered by, so that the lines keep their promises.

    Args:
        offsets: (n,) added to the slope times a logit of each video: its log-odds.
        lines: suspected from (5 % of real people), manipulated from (1 %).
        length: frames a clip.
    """
    steps = []
    for count, below in FEW:
        if all(len(clips) < count for clips in real.clips):
            continue
        reached = _reached(real, offsets, slope, count)
        most = max(at - math.log(line / (1 - line)) for at, line in zip(reached, lines, strict=True))
        if most > 0:
            steps.append(CautionStep(frames_below=below * length, odds=round(most + 1e-4, 4)))
    return tuple(steps)


def _reached(real: Real, offsets: Floats, slope: float, count: int) -> list[float]:
    """The log-odds that 5 % and 1 % of all windows of `count` clips exceed; people weigh alike, and their videos."""
    odds: list[Floats] = []
    shares: list[Floats] = []
    for clips, offset, weight in zip(real.clips, offsets, people_weights(real.people), strict=True):
        window = np.convolve(clips, np.full(count, 1 / count), "valid") if len(clips) >= count else clips[:0]
        odds.append(slope * window + offset)
        shares.append(np.full(len(window), weight / max(len(window), 1)))
    every, share = np.concatenate(odds), np.concatenate(shares)
    order = np.argsort(-every)
    above = np.cumsum(share[order]) / share.sum()
    return [float(every[order][np.searchsorted(above, part, "right")]) for part in (0.05, 0.01)]


def platt(real: Floats, fake: Floats) -> tuple[float, float]:
    """Slope and bias that minimise the log loss when real and fake weigh alike."""

    def loss(values: Floats) -> float:
        slope, bias = np.exp(values[0]), values[1]
        return float(np.logaddexp(0, slope * real + bias).mean() + np.logaddexp(0, -slope * fake - bias).mean())

    found = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 2000, "xatol": 1e-6, "fatol": 1e-9})
    return float(np.exp(found.x[0])), float(found.x[1])


def people_weights(people: list[str]) -> Floats:
    """(n,) weights that sum to one and give each person the same share."""
    counts = {person: people.count(person) for person in set(people)}
    return np.array([1 / (counts[person] * len(counts)) for person in people])


def unseen_share(people: int, alpha: float) -> float:
    """Weight, in people, of one person not among `people`; 0 where that person alone would be more than `alpha`."""
    return 1 / people if 1 / (people + 1) <= alpha else 0.0


def upper_quantile(scores: Floats, people: list[str], alpha: float) -> float:
    """The smallest threshold with at most `alpha` of the weight at or above it; people weigh alike.

    With 1 / alpha - 1 people or more one unseen person is counted in, who has the largest score: split conformal
    prediction with people as what is exchanged, for two videos of one person are no two witnesses. With fewer it is
    the quantile of those who are there.
    """
    order, weights = np.argsort(-scores), people_weights(people)
    new = unseen_share(len(set(people)), alpha)
    above = (np.cumsum(weights[order]) + new) / (1 + new)
    inside = np.flatnonzero(above > alpha)
    return float(scores[order[inside[0]]]) + 1e-6 if len(inside) else float(scores.min())


def real_people(store: Store, logits: Floats) -> Real:
    """The real files of a store by what a model says of its clips (n,)."""
    clips = worst_faces(store.cuts, logits)
    items = [item for item in store.items if item.file in clips and not item.fake]
    about = [store.about[item.file] for item in items]
    return Real(
        logits=np.array([clips[item.file].mean() for item in items]),
        clips=tuple(clips[item.file] for item in items),
        people=[item.person for item in items],
        recordings=[item.source for item in items],
        face_px=np.array([one["face_px"] for one in about], float),
        sharpness=np.array([one["sharpness"] for one in about], float),
        brightness=np.array([one["brightness"] for one in about], float),
    )


def with_calibration(text: str, lines: list[str]) -> str:
    """A card's text with the tables of its calibration replaced, and all others as they were."""
    parts = re.split(r"(?m)^(?=\[)", text)
    first = next(place for place, part in enumerate(parts) if part.startswith("[calibration]"))
    kept = [part for part in parts if not part.startswith(("[calibration", "[[calibration"))]
    return "".join([*kept[:first], "\n".join(lines) + "\n", *kept[first:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="model folder; its card gets new thresholds and buckets")
    parser.add_argument("--held-out", type=Path, required=True, help="store of crops with held-out real people")
    args = parser.parse_args()
    store, card = open_store(args.held_out), read_card(args.model)
    if store.asked and store.asked["spec"] != asdict(card.spec):
        parser.error(f"{args.held_out} was cut by {store.asked['spec']}, the model looks at {asdict(card.spec)}")
    logits, old = score_store(args.model, store.pixels).clip, card.calibration
    found = fit(real_people(store, logits), old.slope, old.bias, card.geometry.length)
    path = args.model / "card.toml"
    path.write_text(with_calibration(path.read_text("utf-8"), calibration_lines(found)), "utf-8")
    print(f"{path}: {found.statement}")
    for part in (*found.buckets, *found.caution, found.measured):
        print(f"  {part}")


if __name__ == "__main__":
    main()
