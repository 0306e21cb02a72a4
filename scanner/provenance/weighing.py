"""What an item says of itself beside what was found: China's tier, the EU's duties, and open contradictions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from scanner.core.types import Label, Provenance
from scanner.provenance.aigc import Label45438, parse_label
from scanner.provenance.article6 import decide
from scanner.provenance.manifest import Manifest, parse_manifest

_FOUND = {Label.MANIPULATED, Label.SUSPECTED}


def weighed(provenance: Provenance, label: Label) -> Provenance:
    """A verdict's provenance with its tier and whether declaration and detector contradict each other."""
    labels = [parse_label(provenance.aigc)] if provenance.aigc else []
    manifest = parse_manifest(provenance.c2pa) if provenance.c2pa else None
    decision = decide(labels, generated=manifest is not None and manifest.generated, traces=label in _FOUND)
    return replace(provenance, tier=decision.tier, conflict=conflict(labels, manifest, label))


def conflict(labels: Sequence[Label45438], manifest: Manifest | None, label: Label) -> bool:
    """Whether one of them must be wrong: it says recorded and looks forged, or says generated and nothing was found.

    GB 45438 has no word for "recorded", so that side is C2PA's alone; a segment that could not be judged contradicts
    nothing. The second case is no proof of a false label: what generates well leaves few traces.
    """
    captured = manifest is not None and manifest.captured
    generated = says_generated(labels, manifest)
    return (captured and label in _FOUND) or (generated and label is Label.NO_MANIPULATION_FOUND)


def says_generated(labels: Sequence[Label45438], manifest: Manifest | None) -> bool:
    """Whether the item clearly states that it is generated."""
    return any(label.kind == "1" for label in labels) or (manifest is not None and manifest.generated)


class Duty(StrEnum):
    """What Article 50 of the EU's AI Act (Regulation 2024/1689) asks of those who show the item."""

    DISCLOSE = "disclose"  # 50(4): it is marked as generated; a deep fake is shown as what it is
    LOOK = "look"  # nothing is marked, but traces were found: a person decides whether 50(4) applies
    NONE = "none"  # neither mark nor trace


@dataclass(frozen=True, slots=True)
class Article50:
    """The same facts as seen from the EU."""

    duty: Duty
    marks: tuple[str, ...]
    """machine-readable marks in the sense of 50(2) that were found: gb45438, c2pa"""


def article50(labels: Sequence[Label45438], manifest: Manifest | None, *, traces: bool = False) -> Article50:
    """No mark does not mean that none was due: watermarks and other marks are not read."""
    marks = []
    if any(label.kind for label in labels):
        marks.append("gb45438")
    if manifest is not None and manifest.generated:
        marks.append("c2pa")
    duty = Duty.DISCLOSE if marks else Duty.LOOK if traces else Duty.NONE
    return Article50(duty, tuple(marks))
