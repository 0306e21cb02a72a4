"""What a path's verdicts stand on: how much was looked at, by which model, under which rules and confinement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from scanner.core.text import visible
from scanner.core.types import Mode, Provenance, Reason, Tier
from scanner.report import words
from scanner.report.model import PathReport

DECLARED = 2_000
"""characters of a foreign declaration that are shown"""


@dataclass(frozen=True, slots=True)
class Ground:
    """Facts beside the score."""

    segments: int
    stream_id: str
    frames_total: int
    frames_decoded: int
    frames_scored: int
    frames_damaged: int
    modes: tuple[str, ...]
    reasons: tuple[tuple[str, str, int], ...]
    """code, sentence, segments that say so"""
    provenance: str
    conflict: bool
    aigc: str | None
    c2pa: str | None
    models: tuple[tuple[str, str], ...]
    """name and digest"""
    policies: tuple[str, ...]
    sandbox: tuple[tuple[str, str], ...]
    """layer and words"""


def ground_of(report: PathReport) -> Ground:
    verdicts = report.verdicts
    tallies = [verdict.coverage for verdict in verdicts]
    declared = strongest(verdict.provenance for verdict in verdicts)
    layers = dict.fromkeys(layer for verdict in verdicts for layer in verdict.sandbox)
    return Ground(
        segments=len(verdicts),
        stream_id=visible(verdicts[0].stream_id) if verdicts else "",
        frames_total=sum(tally.frames_total for tally in tallies),
        frames_decoded=sum(tally.frames_decoded for tally in tallies),
        frames_scored=sum(tally.frames_scored for tally in tallies),
        frames_damaged=sum(tally.frames_damaged for tally in tallies),
        modes=tuple(words.MODES[mode] for mode in Mode if any(tally.mode is mode for tally in tallies)),
        reasons=_reasons(report),
        provenance=words.TIERS[declared.tier],
        conflict=declared.conflict,
        aigc=_shown(declared.aigc),
        c2pa=_shown(declared.c2pa),
        models=tuple(dict.fromkeys((verdict.model.name, verdict.model.sha256) for verdict in verdicts)),
        policies=tuple(dict.fromkeys(verdict.policy_sha256 for verdict in verdicts)),
        sandbox=tuple((visible(layer), words.SANDBOX.get(layer, "")) for layer in layers),
    )


def _reasons(report: PathReport) -> tuple[tuple[str, str, int], ...]:
    """Of segments and of faces; most frequent first."""
    said: Counter[Reason] = Counter()
    for verdict in report.verdicts:
        of_faces = (reason for track in verdict.tracks for reason in track.reasons)
        said.update({*verdict.reasons, *of_faces})
    for reason in report.summary.reasons:
        said.setdefault(reason, 1)
    ordered = sorted(said.items(), key=lambda item: (-item[1], item[0].value))
    return tuple((reason.value, words.REASONS[reason], times) for reason, times in ordered)


def strongest(said: Iterable[Provenance]) -> Provenance:
    """The strongest declaration of any segment."""
    order = (Tier.NONE, Tier.SUSPECTED, Tier.MAY_BE, Tier.IS)
    everything = tuple(said)
    return Provenance(
        aigc=next((p.aigc for p in everything if p.aigc), None),
        c2pa=next((p.c2pa for p in everything if p.c2pa), None),
        tier=max((p.tier for p in everything), key=order.index, default=Tier.NONE),
        conflict=any(p.conflict for p in everything),
    )


def _shown(declaration: str | None) -> str | None:
    if declaration is None:
        return None
    cut = declaration[:DECLARED] + (" …" if len(declaration) > DECLARED else "")
    return "\n".join(visible(line) for line in cut.splitlines())
