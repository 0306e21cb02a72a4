"""Vendored files are the ones their notes speak of."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import scanner.faces

MODELS = Path(scanner.faces.__file__).parent / "models"


def test_the_face_detectors_have_the_digests_beside_them() -> None:
    promised = dict(re.findall(r"\| (\S+\.tflite) \|.*\| ([0-9a-f]{64}) \|", (MODELS / "README.md").read_text("utf-8")))
    actual = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in MODELS.glob("*.tflite")}
    assert actual == promised
    assert (MODELS / "LICENSE").is_file()
