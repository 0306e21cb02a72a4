"""card.toml of a model that we trained."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scanner.core.types import ClipSpec

if TYPE_CHECKING:
    from scanner.training.calibrate import Fit

_LOOKS: Final = {
    "frame": "on single frames with a forgery map; the clip's score weighs its frames, nothing looks across them.",
    "clip": "with temporal residuals at stride 8, dilated convolutions over frames, a forgery map.",
}


@dataclass(frozen=True, slots=True)
class Material:
    """What a model was trained on, as its card repeats it."""

    statement: str
    licences: tuple[str, ...]


def read_material(path: Path) -> Material:
    """The [data] table of a TOML file, which may be another model's card; ValueError where it has none."""
    table = tomllib.loads(path.read_text("utf-8")).get("data", {})
    if not {"statement", "licences"} <= table.keys():
        raise ValueError(f"{path} wants a table [data] with a statement and a list of licences")
    return Material(str(table["statement"]), tuple(str(licence) for licence in table["licences"]))


def card_text(
    name: str,
    version: str,
    digest: str,
    spec: ClipSpec,
    found: Fit,
    measured: dict[str, Any],
    trained: dict[str, Any],
    material: Material,
    precision: str = "fp32",
) -> str:
    """card.toml."""
    about = f"EfficientNet-{trained['backbone'].capitalize()} {_LOOKS[trained['stage']]}"
    lines = [
        'format = "scanner-clip-v1"',
        f'name = "{name}"',
        f'version = "{version}"',
        f"description = {json.dumps(about)}",
        'licence = "Apache-2.0"',
        f'precision = "{precision}"',
        f'sha256 = "{digest}"',
        "",
        "[geometry]",
        f"length = {spec.length}",
        f"size = {spec.size}",
        f"box_scale = {spec.box_scale}",
        f"max_fps = {spec.max_fps}",
        "",
        *calibration_lines(found),
        "[quality]",
        "min_face_px = 48",
        "min_sharpness = 0.15",
        "min_brightness = 0.06",
        "",
        "[data]",
        f"statement = {json.dumps(material.statement, ensure_ascii=False)}",
        f"licences = {json.dumps(material.licences)}",
        "",
        "[measured]",
        *(f"{key} = {json.dumps(value)}" for key, value in {**measured, **trained}.items()),
        "",
    ]
    return "\n".join(lines)


def calibration_lines(found: Fit) -> list[str]:
    """[calibration], its buckets, its caution and what was measured."""
    lines = [
        "[calibration]",
        f"slope = {found.slope:.6g}",
        f"bias = {found.bias:.6g}",
        f"null_bound = {found.null_bound:.4f}",
        f"suspected_from = {found.suspected_from:.6f}",
        f"manipulated_from = {found.manipulated_from:.6f}",
        f"real_clips = {found.real_clips}",
        f"statement = {json.dumps(found.statement, ensure_ascii=False)}",
        "",
    ]
    for bucket in found.buckets:
        bounds = {"face_px_below": bucket.face_px_below, "sharpness_below": bucket.sharpness_below}
        lines += ["[[calibration.buckets]]"]
        lines += [f"{name} = {bound:.6g}" for name, bound in bounds.items() if math.isfinite(bound)]
        lines += [f"shift = {bucket.shift}", f"real_clips = {bucket.real_clips}", ""]
    for step in found.caution:
        lines += ["[[calibration.caution]]", f"frames_below = {step.frames_below}", f"odds = {step.odds}", ""]
    spans = found.measured.model_dump(exclude_none=True).items()
    return [*lines, "[calibration.measured]", *(f"{name} = [{low:g}, {high:g}]" for name, (low, high) in spans), ""]
