"""A model's card: what a model file promises. Anybody's ONNX model that keeps the promise drops in."""

from __future__ import annotations

import hashlib
import math
import tomllib
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from scanner.core.calibration import MOST_ODDS, Bucket, Calibration, Caution, Measure, Range
from scanner.core.errors import ModelMismatchError
from scanner.core.types import ClipSpec, ModelRef

FORMAT = "scanner-clip-v1"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Geometry(Part):
    """What one clip is."""

    length: int = Field(gt=0, le=256, description="T, frames in a clip")
    size: int = Field(ge=16, le=1024, description="S, side of the square crop in pixels")
    box_scale: float = Field(ge=1, le=4, description="side of the crop as a multiple of the face box")
    max_fps: float = Field(45.0, gt=0, description="above this rate every k-th frame is taken")


class QualityBucket(Part):
    """Real faces of one quality; the first bucket that a face is below both bounds of counts."""

    face_px_below: float = Field(
        math.inf, gt=0, allow_inf_nan=True, description="longer side of the face box in pixels"
    )
    sharpness_below: float = Field(math.inf, gt=0, allow_inf_nan=True, description="measured sharpness in [0, 1]")
    shift: float = Field(description="taken off the logit of a face of this quality")
    real_clips: int = Field(ge=0, description="held-out real videos of this quality")


class CautionStep(Part):
    """Faces of which little was seen; the first step that a face is below counts."""

    frames_below: int = Field(gt=0, description="frames that were scored; rises from step to step")
    odds: float = Field(ge=0, le=MOST_ODDS, description="taken off the log-odds of the score")


Span = tuple[float, float]


class Measured(Part):
    """What the real faces behind the thresholds lay between; outside, the verdict says out_of_domain."""

    face_px: Span | None = Field(None, description="pixels, longer side of the face box")
    sharpness: Span | None = Field(None, description="in [0, 1]")
    brightness: Span | None = Field(None, description="in [0, 1]")

    @field_validator("face_px", "sharpness", "brightness")
    @classmethod
    def _rises(cls, span: Span | None) -> Span | None:
        if span and span[0] > span[1]:
            raise ValueError(f"must rise, got {span[0]:g} to {span[1]:g}")
        return span


class CalibrationTable(Part):
    """How a logit becomes a score, and which scores carry which word."""

    slope: float = Field(gt=0, description="score = 1 / (1 + exp(-(slope * (logit - shift) + bias)))")
    bias: float
    null_bound: float = Field(gt=0, lt=1, description="mean score that a stream of a real face does not exceed")
    suspected_from: float = Field(
        ge=0, le=1, description="at most 5 % of the real videos behind it lie above, people weighing alike"
    )
    manipulated_from: float = Field(ge=0, le=1, description="at most 1 % of them lie above")
    real_clips: int = Field(ge=0, description="n, held-out real videos behind the thresholds")
    statement: str = ""
    buckets: tuple[QualityBucket, ...] = ()
    caution: tuple[CautionStep, ...] = ()
    measured: Measured = Measured()

    @field_validator("caution")
    @classmethod
    def _rises(cls, steps: tuple[CautionStep, ...]) -> tuple[CautionStep, ...]:
        for step, after in pairwise(steps):
            if step.frames_below >= after.frames_below:
                raise ValueError(f"frames_below must rise, got {step.frames_below} before {after.frames_below}")
        return steps

    @model_validator(mode="after")
    def _thresholds_rise(self) -> Self:
        if self.suspected_from > self.manipulated_from:
            raise ValueError(
                f"suspected_from {self.suspected_from} lies above manipulated_from {self.manipulated_from}"
            )
        return self


class Quality(Part):
    """Below these the model was not measured and the answer is insufficient_evidence."""

    min_face_px: int = 48
    min_sharpness: float = 0.15
    min_brightness: float = 0.06
    min_frontality: float = 0.0


class Data(Part):
    statement: str
    licences: tuple[str, ...] = ()


class Card(Part):
    """`card.toml` beside `model.onnx`."""

    format: Literal["scanner-clip-v1"]
    name: str
    version: str
    description: str = ""
    licence: str
    precision: Literal["fp32", "fp16", "int8"] = Field("fp32", description="what the graph computes in")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="digest of model.onnx")
    geometry: Geometry
    calibration: CalibrationTable
    quality: Quality = Quality()
    data: Data
    measured: dict[str, object] = Field(default_factory=dict, description="figures with the command behind them")

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(**self.geometry.model_dump())

    @property
    def ref(self) -> ModelRef:
        return ModelRef(self.name, self.sha256)

    @property
    def calibrated(self) -> Calibration:
        c = self.calibration
        buckets = tuple(Bucket(b.shift, b.face_px_below, b.sharpness_below) for b in c.buckets)
        return Calibration(c.slope, c.bias, c.null_bound, buckets)

    @property
    def measured_faces(self) -> tuple[Range, ...]:
        spans = self.calibration.measured
        named: dict[Measure, Span | None] = {
            "face_px": spans.face_px, "sharpness": spans.sharpness, "brightness": spans.brightness,
        }  # fmt: skip
        return tuple(Range(name, *span) for name, span in named.items() if span is not None)

    @property
    def caution(self) -> tuple[Caution, ...]:
        return tuple(Caution(step.frames_below, step.odds) for step in self.calibration.caution)


def models_root() -> Path:
    """The folder of models that came with the package."""
    packaged = Path(str(resources.files("scanner"))) / "onnx_models"
    return packaged if packaged.is_dir() else packaged.parent.parent / "onnx_models"


def find_model(name_or_path: str) -> Path:
    """A model's folder, by name among those that came with the package, or by path. Raises ModelMismatchError."""
    for folder in (Path(name_or_path), models_root() / name_or_path):
        if (folder / "card.toml").is_file():
            return folder
    known = ", ".join(sorted(path.parent.name for path in models_root().glob("*/card.toml"))) or "none"
    raise ModelMismatchError(f"no model {name_or_path!r}: neither a folder with a card.toml nor one of: {known}")


def read_card(folder: Path) -> Card:
    """Raises ModelMismatchError when the card is malformed or model.onnx is not the file it speaks of."""
    try:
        card = Card.model_validate(tomllib.loads((folder / "card.toml").read_text("utf-8")))
    except (OSError, RecursionError) as error:
        raise ModelMismatchError(f"{folder / 'card.toml'} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ModelMismatchError(f"{folder / 'card.toml'}: {place}: {first['msg']}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ModelMismatchError(f"{folder / 'card.toml'} cannot be read: {error}") from error
    actual = digest(folder / "model.onnx")
    if actual != card.sha256:
        raise ModelMismatchError(f"{folder / 'model.onnx'}: card says sha256 {card.sha256[:12]}…, is {actual[:12]}…")
    return card


def digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelMismatchError(f"{path} cannot be read: {error}") from error
