"""card.toml of a model that we trained."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from scanner.core.types import ClipSpec

if TYPE_CHECKING:
    from scanner.training.calibrate import Fit

_DATA: Final = (
    "Trained on 1,786 portrait photographs (CC0 and CC-BY), 534 real clips of 77 people (MIT, Apache-2.0, CC-BY, CC0 "
    "repositories) with forgeries made from them, and 161 outputs of 12 published generators, of which those from the "
    "ActAvatar and EchoMimic pages state no licence. A repository's licence often does not cover third-party footage "
    "in it. Nobody's age, sex or skin tone is labelled, so error rates per group are not known."
)
_ABOUT: Final = {
    "frame": "EfficientNet-Lite0 on single frames with a forgery map; the clip's score weighs its frames. No operator "
    "looks across frames yet.",
    "clip": "EfficientNet-Lite0 with temporal residuals at stride 8, dilated convolutions over frames, a forgery map.",
}


def card_text(
    name: str,
    version: str,
    digest: str,
    spec: ClipSpec,
    found: Fit,
    measured: dict[str, Any],
    trained: dict[str, Any],
    precision: str = "fp32",
) -> str:
    """card.toml."""
    lines = [
        'format = "scanner-clip-v1"',
        f'name = "{name}"',
        f'version = "{version}"',
        f"description = {json.dumps(_ABOUT[trained['stage']])}",
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
        f"statement = {json.dumps(_DATA)}",
        'licences = ["CC0-1.0", "CC-BY", "MIT", "Apache-2.0", "none stated"]',
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
        f"statement = {json.dumps(found.statement)}",
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
