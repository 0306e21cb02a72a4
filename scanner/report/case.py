"""A case's front page: what was found, on what it stands, and how to check that nothing was changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from scanner.audit import Link, Seal
from scanner.core.review import Decision, Standing, last_word
from scanner.core.summary import Summary
from scanner.core.types import Label, Verdict
from scanner.report import words
from scanner.report.ground import strongest
from scanner.report.model import Look
from scanner.report.page import asset, environment

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

MOST_LOOKS = 4


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A segment whose bytes are in the case."""

    verdict: Verdict
    name: str
    again: bool | None
    """whether the model reached the same scores when the case was made; None when it was not asked"""


@dataclass(frozen=True, slots=True)
class Overruled:
    """A verdict that people rejected."""

    verdict: Verdict
    word: Label
    """theirs"""
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CasePage:
    """Everything the page says."""

    summary: Summary
    verdicts: Sequence[Verdict]
    clips: Sequence[ClipRow]
    standings: Sequence[Standing]
    links: Sequence[Link]
    seals: Sequence[Seal]
    key_id: str
    written_at: str
    keep_until: str
    files: Sequence[tuple[str, str]]
    """name and what it is"""
    looks: Sequence[Look] = ()
    """clips as the model saw them again"""


def case_page(page: CasePage) -> str:
    """One self-contained HTML page; its links lead to other files of the case."""
    last = page.verdicts[-1]
    return (
        environment()
        .get_template("case.html")
        .render(
            page=page,
            summary=page.summary,
            model=last.model,
            modes=tuple(dict.fromkeys(words.MODES[verdict.coverage.mode] for verdict in page.verdicts)),
            versions=tuple(dict.fromkeys(verdict.version or "not told" for verdict in page.verdicts)),
            policies=tuple(dict.fromkeys(verdict.policy_sha256 for verdict in page.verdicts)),
            origin=strongest(verdict.provenance for verdict in page.verdicts),
            tiers=words.TIERS,
            overruled=overruled(page),
            looks=most_suspicious(page),
            declared=_declared(page.verdicts),
            labels=words.LABELS,
            meaning=words.MEANINGS[page.summary.label],
            style=Markup(asset("page.css") + asset("case.css")),  # noqa: S704 - our own files, no input
            policy=POLICY,
        )
    )


def most_suspicious(page: CasePage) -> tuple[Look, ...]:
    """What people should look at first."""
    return tuple(sorted(page.looks, key=lambda look: (-look.score, look.start_ms)))[:MOST_LOOKS]


def overruled(page: CasePage) -> tuple[Overruled, ...]:
    """Verdicts on which people have the last word against the scanner."""
    judged = {verdict.verdict_id: verdict for verdict in page.verdicts}
    against = []
    for standing in page.standings:
        verdict = judged.get(standing.verdict_id)
        if verdict is not None and (word := last_word(verdict, standing)) is not verdict.label:
            said = tuple(dict.fromkeys(r.reviewer for r in standing.reviews if r.decision is Decision.REJECT))
            against.append(Overruled(verdict, word, said))
    return tuple(against)


def _declared(verdicts: Sequence[Verdict]) -> tuple[tuple[str, str], ...]:
    said = {
        (kind, text)
        for verdict in verdicts
        for kind, text in (("AIGC", verdict.provenance.aigc), ("C2PA", verdict.provenance.c2pa))
        if text
    }
    return tuple(sorted(said))
