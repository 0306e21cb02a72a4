"""`scanner reviews report|verdicts|export`: where people and the scanner disagree, the last word, a test set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import AsJson, Bootstrap, SettingsFile, settings_from, wants_json, write_line
from scanner.core.errors import SettingsError

if TYPE_CHECKING:
    from scanner.core.review import Agreement, Standing
    from scanner.core.types import Verdict
    from scanner.settings import Settings

app = typer.Typer(help="What people say of verdicts: disagreement, and a test set of it.", no_args_is_help=True)

VerdictFile = Annotated[
    Path | None, typer.Option("--verdicts", help="JSON lines of verdicts; without: the topic.", show_default=False)
]
ReviewFile = Annotated[
    Path | None, typer.Option("--reviews", help="JSON lines of reviews; without: the topic.", show_default=False)
]
Pair = tuple["Verdict", "Standing"]


@app.command()
def report(
    verdicts: VerdictFile = None,
    reviews: ReviewFile = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
    settings: SettingsFile = None,
) -> None:
    """How often people and the scanner agree, and every verdict on which they do not, or not among themselves."""
    from scanner.core.review import Decision, agreement

    pairs = _reviewed(verdicts, reviews, settings_from(settings, kafka_bootstrap_servers=bootstrap))
    disputed = [(v, s) for v, s in pairs if s.decision is Decision.REJECT or s.divided]
    counts = agreement(pairs)
    if wants_json(as_json):
        for verdict, standing in disputed:
            write_line(json.dumps({"type": "disagreement", **_facts(verdict, standing)}).encode())
        write_line(json.dumps({"type": "agreement", **_asdict(counts)}).encode())
    else:
        _table(disputed, counts)


@app.command()
def verdicts(
    verdicts: VerdictFile = None,
    reviews: ReviewFile = None,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """The last word on every verdict, as JSON lines: people's where they were sure, else the scanner's.

    Neither verdict nor review is changed by it: both stay on their topics.
    """
    from scanner.cli.verdicts import reviews_from, verdicts_from
    from scanner.core.review import last_word, standings

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    standing = {one.verdict_id: one for one in standings(reviews_from(reviews, chosen))}
    for _, verdict in verdicts_from([verdicts] if verdicts else [], chosen):
        said = standing.get(verdict.verdict_id)
        facts = _facts(verdict, said) if said else _bare(verdict)
        word = last_word(verdict, said)
        facts |= {"final": word, "overruled": word != verdict.label}
        write_line(json.dumps({"type": "last_word", **facts}).encode())


@app.command()
def export(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder: labels.csv and clips.")],
    verdicts: VerdictFile = None,
    reviews: ReviewFile = None,
    media: Annotated[
        Path | None, typer.Option(help="Folder of the scanned files; without it, segments come from their topic.")
    ] = None,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """What people hold to be real or fake as labelled files for `scanner evaluate`: each segment's own bytes.

    Verdicts on which people are even or unsure are left out, and those on which the scanner did not judge.
    """
    from scanner.core.review import truth_of

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    known = [(v, truth) for v, s in _reviewed(verdicts, reviews, chosen) if (truth := truth_of(v, s)) is not None]
    if not known:
        raise SettingsError("no verdict has a decision that says whether it is real or fake")
    try:
        (target / "clips").mkdir(parents=True)
    except OSError as error:
        raise SettingsError(f"{target}: {error.strerror or error}; an export is never written over another") from error
    rows = []
    for verdict, truth in known:
        name = _write_clip(target, verdict, media, chosen)
        rows.append((name, truth.value, verdict.stream_id, verdict.verdict_id))
    _write_labels(target / "labels.csv", rows)
    fakes = sum(row[1] == "fake" for row in rows)
    typer.echo(f"{target}: {len(rows)} clips, {fakes} fake; measure with scanner evaluate", err=True)


def _reviewed(verdicts: Path | None, reviews: Path | None, settings: Settings) -> list[Pair]:
    """Reviewed verdicts, each with what stands of its reviews."""
    from scanner.cli.verdicts import reviews_from, verdicts_from
    from scanner.core.review import standings

    standing = {one.verdict_id: one for one in standings(reviews_from(reviews, settings))}
    found: dict[str, Pair] = {}
    for _, verdict in verdicts_from([verdicts] if verdicts else [], settings):
        if verdict.verdict_id in standing:
            found[verdict.verdict_id] = (verdict, standing[verdict.verdict_id])
    return list(found.values())


def _write_clip(target: Path, verdict: Verdict, media: Path | None, settings: Settings) -> str:
    from scanner.cli.footage import segments_of, suffix_of

    file = None if media is None else media / verdict.stream_id
    (segment,) = segments_of(file, [verdict], 1, settings)
    name = f"clips/{verdict.verdict_id}{suffix_of(segment)}"
    (target / name).write_bytes(segment.payload)
    return name


def _write_labels(path: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """One person a stream: clips of one stream are no independent evidence."""
    import csv

    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("file", "label", "person", "source", "verdict_id"))
        table.writerows((name, label, stream, stream, verdict_id) for name, label, stream, verdict_id in rows)


def _bare(verdict: Verdict) -> dict[str, object]:
    return {
        "verdict_id": verdict.verdict_id,
        "stream_id": verdict.stream_id,
        "sequence": verdict.sequence,
        "label": verdict.label,
        "score": verdict.score,
    }


def _facts(verdict: Verdict, standing: Standing) -> dict[str, object]:
    return {
        **_bare(verdict),
        "decision": standing.decision,
        "divided": standing.divided,
        "reviews": [
            {"reviewer": r.reviewer, "decision": r.decision, "note": r.note, "reviewed_at_ms": r.reviewed_at_ms}
            for r in standing.reviews
        ],
    }


def _asdict(counts: Agreement) -> dict[str, int]:
    from dataclasses import asdict

    return asdict(counts)


def _table(disputed: list[Pair], counts: Agreement) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from scanner.cli.common import shown

    console = Console(highlight=False)
    sure = counts.confirmed + counts.rejected
    share = f"{counts.confirmed / sure:.0%} of {sure}" if sure else "none of 0"
    console.print(
        f"{counts.reviewed} verdicts reviewed; people confirm {share}. Wrong: {counts.false_alarms} false alarms, "
        f"{counts.misses} misses. Divided: {counts.divided}, unsure: {counts.unsure}."
    )
    if not disputed:
        return
    table = Table("stream", "segment", "verdict", "score", "people", "why", box=None, pad_edge=False)
    for verdict, standing in disputed:
        people = "divided" if standing.divided else standing.decision.value
        notes = "; ".join(review.note for review in standing.reviews if review.note)
        score = "–" if verdict.score is None else f"{verdict.score:.2f}"
        word = verdict.label.value.replace("_", " ")
        stream = escape(shown(verdict.stream_id))
        table.add_row(stream, str(verdict.sequence), word, score, people, escape(shown(notes)))
    console.print(table)
