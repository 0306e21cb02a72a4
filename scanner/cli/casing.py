"""Gathering a case: verdicts, the chain over them, the video that was judged, pictures, card, policy, reviews."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scanner.assembly.scan import policy_of
from scanner.audit import CaseFile, Ledger, Link, PrivateKey, Seal, ledger_lines, write_case
from scanner.audit.case import LEDGER, POLICY, VERDICTS
from scanner.cli.common import complain
from scanner.cli.footage import Footage, seen_again, segments_of, suffix_of
from scanner.cli.verdicts import Line
from scanner.core.errors import SettingsError
from scanner.core.policy import Policy
from scanner.core.review import Review, standings
from scanner.core.summary import Summary, summarise
from scanner.core.types import Segment, Verdict
from scanner.inference.card import Card, find_model, read_card
from scanner.report import PathReport, Thresholds, facts_of, write_report
from scanner.report.case import CasePage, ClipRow, case_page
from scanner.report.case_pdf import case_pdf
from scanner.settings import Settings
from scanner.version import code_version
from scanner.wire import json_of


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for."""

    target: Path
    lines: Sequence[Line]
    """of one stream, in the order of its segments"""
    ledger: Ledger | None
    """None makes a chain of the case's own"""
    media: Path | None
    """the file that was scanned; None takes the segments from their topic"""
    most_clips: int
    pictures: bool
    reviews: Sequence[Review]

    @property
    def verdicts(self) -> list[Verdict]:
        return [verdict for _, verdict in self.lines]


def export(wish: Wish, key: PrivateKey, settings: Settings) -> int:
    """Writes the case; returns how many files it has. Raises ScannerError."""
    now = datetime.now(UTC)
    keep_until = now + timedelta(days=settings.audit.retention_days)
    verdicts = wish.verdicts
    card = read_card(find_model(settings.scan.model))
    policy = policy_of(settings, card)
    links, seals = _chain(wish, key, now)
    segments = segments_of(wish.media, verdicts, wish.most_clips, settings)
    footage = seen_again(segments, verdicts, settings) if _may_look(wish, card, verdicts) else Footage()
    summary = summarise(wish.media.name if wish.media else verdicts[0].stream_id, verdicts, policy)
    documents = {
        **_records(wish, links, seals),
        "report.html": ("scores over time, faces, heat strips", _report(summary, verdicts, footage, card, policy, now)),
        **_grounds(verdicts[-1], card, policy, settings),
    }
    clips = [CaseFile(_clip_name(segment), segment.payload, segment.sequence) for segment in segments]
    judged = {verdict.sequence: verdict for verdict in verdicts}
    page = CasePage(
        summary=summary,
        verdicts=verdicts,
        clips=[ClipRow(judged[s.sequence], _clip_name(s), footage.again.get(s.sequence)) for s in segments],
        standings=standings(wish.reviews),
        links=links,
        seals=seals,
        key_id=key.public.key_id,
        written_at=now.strftime("%Y-%m-%d %H:%M UTC"),
        keep_until=keep_until.strftime("%Y-%m-%d"),
        looks=footage.looks,
        files=[*((name, what) for name, (what, _) in documents.items()), ("case.pdf", "the front page on paper")],
    )
    files = [CaseFile(name, content) for name, (_, content) in documents.items()]
    thresholds = Thresholds.of(policy)
    files.append(CaseFile("case.pdf", case_pdf(page, thresholds)))
    files += [CaseFile("index.html", case_page(page).encode()), *clips]
    facts = {
        "stream_id": verdicts[0].stream_id,
        "sequences": [verdicts[0].sequence, verdicts[-1].sequence],
        "written_at": now.isoformat(timespec="seconds"),
        "keep_until": keep_until.date().isoformat(),
        "version": code_version(),
    }
    write_case(wish.target, files, facts, key)
    return len(files) + 3  # the manifest, its signature and the key


def _chain(wish: Wish, key: PrivateKey, now: datetime) -> tuple[list[Link], list[Seal]]:
    """The links of the verdicts and all that were sealed together with them."""
    stream_id = wish.verdicts[0].stream_id
    if wish.ledger is None:
        fresh = Ledger()
        made = [link for line, verdict in wish.lines if (link := fresh.chained(verdict, line))]
        return made, fresh.sealed(key, round(now.timestamp() * 1000))
    links = wish.ledger.links.get(stream_id, [])
    places = {link.verdict_id: link.place for link in links}
    for verdict in wish.verdicts:
        if verdict.verdict_id not in places:
            raise SettingsError(f"{stream_id} segment {verdict.sequence} is not in the ledger: run `audit chain`")
    wanted = [places[verdict.verdict_id] for verdict in wish.verdicts]
    seals = [
        seal
        for seal in wish.ledger.seals
        if seal.stream_id == stream_id and seal.first <= max(wanted) and seal.last >= min(wanted)
    ]
    if not seals:
        raise SettingsError(f"no seal of the ledger covers {stream_id}: run `scanner audit chain`")
    first, last = min(seal.first for seal in seals), max(seal.last for seal in seals)
    return [link for link in links if first <= link.place <= last], seals


def _records(wish: Wish, links: list[Link], seals: list[Seal]) -> dict[str, tuple[str, bytes]]:
    records = {
        VERDICTS: ("every verdict, as it was published", b"".join(line + b"\n" for line, _ in wish.lines)),
        LEDGER: ("the chain over the verdicts, and its seals", ledger_lines([*links, *seals])),
    }
    if wish.reviews:
        kept = b"".join(json_of(review) + b"\n" for review in wish.reviews)
        records["reviews.jsonl"] = ("every decision of a person on these verdicts", kept)
    return records


def _grounds(verdict: Verdict, card: Card, policy: Policy, settings: Settings) -> dict[str, tuple[str, bytes]]:
    """Card and policy, where they are those that the verdict names."""
    grounds = {}
    if card.sha256 == verdict.model.sha256:
        text = (find_model(settings.scan.model) / "card.toml").read_bytes()
        grounds["model/card.toml"] = ("the model's card", text)
    if policy.sha256 == verdict.policy_sha256:
        grounds[POLICY] = ("the operator's rules", policy.text.encode())
    else:
        complain("the settings are not those that the verdicts name: the policy is left out")
    return grounds


def _may_look(wish: Wish, card: Card, verdicts: Sequence[Verdict]) -> bool:
    same = all(verdict.model.sha256 == card.sha256 for verdict in verdicts)
    if not same:
        complain(f"the model {card.name} {card.version} is not the one that judged: its card and pictures are left out")
    return same and wish.pictures


def _report(
    summary: Summary, verdicts: Sequence[Verdict], footage: Footage, card: Card, policy: Policy, now: datetime
) -> bytes:
    thresholds = Thresholds.of(policy)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.html")
        report = PathReport(summary, tuple(verdicts), footage.looks)
        write_report(path, [report], model_facts=facts_of(card, thresholds), thresholds=thresholds, written_at=now)
        return path.read_bytes()


def _clip_name(segment: Segment) -> str:
    return f"clips/{segment.sequence:06d}{suffix_of(segment)}"
