"""Article 6 of China's labelling measures as a decision: what a platform says about an item, and writes into it.

label in the metadata        ──▶ what it says: is, may be or suspected
declared by who uploads it   ──▶ may be
traces found by a detector   ──▶ suspected          the strongest counts; all three oblige to add who spreads it
none of them                 ──▶ none
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scanner.core.types import Tier
from scanner.provenance.aigc import Label45438, forbidden_in

_TIER_OF_KIND = {"1": Tier.IS, "2": Tier.MAY_BE, "3": Tier.SUSPECTED}
_KIND_OF_TIER = {tier: kind for kind, tier in _TIER_OF_KIND.items()}
_RANK = (Tier.NONE, Tier.SUSPECTED, Tier.MAY_BE, Tier.IS)


class Basis(StrEnum):
    """On what a decision stands."""

    LABEL = "label"
    MANIFEST = "manifest"
    DECLARATION = "declaration"
    TRACES = "traces"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to tell the public. The standard has no label for "not generated", so that nothing can contradict it."""

    tier: Tier
    basis: Basis


@dataclass(frozen=True, slots=True)
class Propagator:
    """The platform that spreads the item, as it names itself in labels."""

    name: str
    """name or code"""
    item_id: str
    """the platform's number for the item"""

    def __post_init__(self) -> None:
        for field, value in (("name", self.name), ("item_id", self.item_id)):
            if not value or forbidden_in(value):
                raise ValueError(f"{field} must be characters 0x21-0x7E without quote and backslash, got {value!r}")


def decide(
    labels: Iterable[Label45438] = (), *, generated: bool = False, declared: bool = False, traces: bool = False
) -> Decision:
    """The tier of an item: the strongest of what its labels, its C2PA manifest, its uploader and the detector say.

    The measures ask for "is" where the metadata *clearly state* that the content is generated: a label that says "may
    be" or "suspected", as platforms write it, is passed on in its own words. A label that cannot be read says nothing.
    A manifest is no implicit label in the sense of the measures: it counts as a declaration by who made the item.

    Args:
        generated: a C2PA manifest that is whole says so.
        declared: the uploader says so.
        traces: the detector found them.
    """
    said = [Decision(_TIER_OF_KIND[label.kind], Basis.LABEL) for label in labels if label.kind]
    said += [Decision(Tier.MAY_BE, Basis.MANIFEST)] * generated
    said += [Decision(Tier.MAY_BE, Basis.DECLARATION)] * declared
    said += [Decision(Tier.SUSPECTED, Basis.TRACES)] * traces
    return max(said, key=lambda decision: _RANK.index(decision.tier), default=Decision(Tier.NONE, Basis.NOTHING))


def propagation(decision: Decision, label: Label45438 | None, propagator: Propagator) -> dict[str, str] | None:
    """The seven fields to write into the item's metadata; None when there is nothing to add.

    What a label already says stays as it is: only an empty propagator's fields are filled in, and a label that names
    a propagator is left alone; fields that the standard does not know are kept. An item without a label gets one with
    the kind of its tier ("3" for what a detector found) and no producer, whom the platform does not know.
    """
    if decision.tier is Tier.NONE:
        return None
    fields = (label if label and label.readable else Label45438()).fields()
    if fields["ContentPropagator"] or fields["PropagateID"]:
        return None
    fields["Label"] = fields["Label"] or _KIND_OF_TIER[decision.tier]
    fields |= {"ContentPropagator": propagator.name, "PropagateID": propagator.item_id}
    return dict(label.others) | fields if label else fields


def label_text(fields: dict[str, str]) -> str:
    """Fields as the text of a bare label, the form that TC260-PG-20257A asks for in video."""
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))
