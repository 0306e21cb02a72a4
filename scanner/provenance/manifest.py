"""What a C2PA manifest says, as plain facts; and what its words mean. Pure: the library is met in `c2pa` alone.

Source types are terms of the IPTC's controlled vocabulary http://cv.iptc.org/newscodes/digitalsourcetype/.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

MOST_ACTIONS = 32
LONGEST_TEXT = 200  # characters of a stranger's words that travel with every segment


class State(StrEnum):
    """How far a manifest can be believed (C2PA 2.2, section 14.3)."""

    TRUSTED = "trusted"  # whole, and signed under an authority that the operator trusts
    VALID = "valid"  # whole, and signed by somebody
    INVALID = "invalid"  # the file or the manifest was changed after signing
    UNREADABLE = "unreadable"  # there is one, and it could not be read: damaged, hostile, or too much


class SourceKind(StrEnum):
    """What a source type means for the question whether somebody recorded it or a model made it."""

    CAPTURED = "captured"
    GENERATED = "generated"
    OTHER = "other"  # edits, drawings, screens, mixtures of recordings


_GENERATED = {
    "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia", "compositeSynthetic",
    "trainedAlgorithmicData",
}  # fmt: skip
_CAPTURED = {"digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print"}


def kind_of(term: str) -> SourceKind:
    """Of an IPTC term, such as digitalCapture."""
    if term in _GENERATED:
        return SourceKind.GENERATED
    return SourceKind.CAPTURED if term in _CAPTURED else SourceKind.OTHER


@dataclass(frozen=True, slots=True)
class Action:
    """One step in the making of a file."""

    action: str
    """for example c2pa.created"""
    source_type: str | None
    """IPTC term; None when the action names none"""
    agent: str | None
    """the software"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The active manifest of a file."""

    state: State
    signer: str | None
    """organisation and name on the certificate"""
    signed_at: str | None
    """RFC 3339; only where a time stamp says so"""
    generator: str | None
    actions: tuple[Action, ...]
    faults: tuple[str, ...]
    """C2PA's codes of what does not hold, such as assertion.bmffHash.mismatch"""

    @property
    def kinds(self) -> frozenset[SourceKind]:
        """What it credibly says of its sources: nothing once it is invalid or unreadable."""
        if self.state in {State.INVALID, State.UNREADABLE}:
            return frozenset()
        return frozenset(kind_of(action.source_type) for action in self.actions if action.source_type)

    @property
    def generated(self) -> bool:
        """Whether a model made any of it, by its own word."""
        return SourceKind.GENERATED in self.kinds

    @property
    def captured(self) -> bool:
        """Whether it says that it was recorded, and nothing of a model."""
        return SourceKind.CAPTURED in self.kinds and not self.generated

    @property
    def text(self) -> str:
        """One line of JSON, as it travels in the header `c2pa`."""
        return json.dumps(asdict(self), separators=(",", ":"), ensure_ascii=True)


def unreadable(why: str) -> Manifest:
    """In place of a manifest that is there and cannot be read."""
    return Manifest(State.UNREADABLE, None, None, None, (), (why[:LONGEST_TEXT],))


def parse_manifest(text: str) -> Manifest | None:
    """A manifest from its line of JSON; None for anything else, which then says nothing."""
    try:
        facts = json.loads(text)
        return Manifest(
            state=State(facts["state"]),
            signer=_words(facts.get("signer")),
            signed_at=_words(facts.get("signed_at")),
            generator=_words(facts.get("generator")),
            actions=tuple(_action(action) for action in facts["actions"][:MOST_ACTIONS]),
            faults=tuple(str(fault)[:LONGEST_TEXT] for fault in facts["faults"][:MOST_ACTIONS]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def manifest_of(store: Mapping[str, Any], state: str) -> Manifest | None:
    """The active manifest out of a manifest store as c2pa-rs reports it."""
    active = store.get("manifests", {}).get(store.get("active_manifest"))
    if active is None:
        return None
    signature = active.get("signature_info") or {}
    signer = ": ".join(str(signature[key]) for key in ("issuer", "common_name") if signature.get(key))
    makers = [f"{m.get('name', '')} {m.get('version', '')}".strip() for m in active.get("claim_generator_info") or ()]
    assertions = [a for a in active.get("assertions", ()) if str(a.get("label", "")).startswith("c2pa.actions")]
    actions = [action for assertion in assertions for action in assertion.get("data", {}).get("actions", ())]
    results = (store.get("validation_results") or {}).get("activeManifest") or {}
    return Manifest(
        state=State(state.lower()),
        signer=_words(signer or None),
        signed_at=_words(signature.get("time")),
        generator=_words(", ".join(makers) or active.get("claim_generator")),
        actions=tuple(_said(action) for action in actions[:MOST_ACTIONS]),
        faults=tuple(dict.fromkeys(str(fault.get("code")) for fault in results.get("failure") or ()))[:MOST_ACTIONS],
    )


def _said(action: Mapping[str, Any]) -> Action:
    agent = action.get("softwareAgent")
    name = agent.get("name") if isinstance(agent, dict) else agent
    source = action.get("digitalSourceType")
    term = str(source).rstrip("/").rpartition("/")[2] if source else None
    return Action(str(action.get("action"))[:LONGEST_TEXT], _words(term), _words(name))


def _action(facts: Mapping[str, Any]) -> Action:
    return Action(str(facts["action"])[:LONGEST_TEXT], _words(facts.get("source_type")), _words(facts.get("agent")))


def _words(value: object) -> str | None:
    return None if value is None else str(value)[:LONGEST_TEXT]
