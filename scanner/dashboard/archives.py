"""Archive runs: how far replays are, what they found, and how two of them differ."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scanner.core.errors import SettingsError
from scanner.core.text import visible
from scanner.core.types import Label
from scanner.dashboard.accounts import Role
from scanner.dashboard.feed import now_ms
from scanner.dashboard.runs import Archives
from scanner.dashboard.site import needs, page, site_of, words_of
from scanner.replay.page import plot
from scanner.replay.runs import File, Run

LISTED = 100  # files a page
CHANGED = 200
FAILURES = 50
_SERIOUS = [Label.MANIPULATED, Label.SUSPECTED, Label.INSUFFICIENT_EVIDENCE, None, Label.NO_MANIPULATION_FOUND]


def _archives(request: Request) -> Archives:
    """Raises HTTPException 404 where there are none."""
    archives = site_of(request).archives
    if archives is None:
        raise HTTPException(404)
    return archives


def _run(request: Request, named: str = "name") -> Run:
    """The run that the address names. Raises HTTPException 404."""
    found = _archives(request).get(request.query_params.get(named, ""))
    if found is None:
        raise HTTPException(404)
    return found


@needs(Role.VIEWER)
def show(request: Request) -> Response:
    template = "runs_now.html" if "hx-request" in request.headers else "runs.html"
    return page(request, template, runs=[_told(run) for run in _archives(request).all()], **_common(request))


@needs(Role.VIEWER)
def run(request: Request) -> Response:
    """One run: its files, the most suspicious labels first, or those that were asked for."""
    found = _run(request)
    label, text = request.query_params.get("label", ""), request.query_params.get("q", "").strip().lower()
    wanted = [file for file in list(found.files.values()) if _matches(file, label, text)]
    wanted.sort(key=lambda file: _SERIOUS.index(Label(file.label) if file.label else None))
    number = request.query_params.get("page", "1")
    first = (int(number) - 1) * LISTED if number.isascii() and number.isdigit() and 0 < len(number) < 9 else 0
    listed = [(file, _score(found, file)) for file in wanted[first : first + LISTED]] if first >= 0 else []
    failures = [file for file in list(found.files.values()) if file.failures][-FAILURES:]
    template = "run_now.html" if "hx-request" in request.headers else "run.html"
    return page(
        request, template, run=_told(found), files=listed, total=len(wanted), first=max(0, first), step=LISTED,
        label=label, text=text, failures=failures[::-1], known=[label.value for label in Label], **_common(request),
    )  # fmt: skip


@needs(Role.VIEWER)
def file(request: Request) -> Response:
    """One file of a run: its segments over time."""
    found = _run(request)
    known = found.files.get(request.query_params.get("stream", ""))
    if known is None:
        raise HTTPException(404)
    verdicts, problem = [], ""
    try:
        verdicts = found.verdicts(known)
    except SettingsError as error:
        problem = str(error)
    length_ms = max((verdict.end_ms for verdict in verdicts), default=1)
    worst = sorted(verdicts, key=lambda verdict: -(verdict.score or 0.0))[:LISTED]
    return page(
        request, "run_file.html", run=_told(found), file=known, name=visible(known.stream_id), verdicts=verdicts,
        worst=worst, length_ms=length_ms, problem=problem, score=_score(found, known), **_common(request),
    )  # fmt: skip


@needs(Role.VIEWER)
def difference(request: Request) -> Response:
    before, after = _run(request, "before"), _run(request, "after")
    words = words_of(request)
    found, problem = None, ""
    try:
        found = _archives(request).compare(before, after)
    except SettingsError as error:
        problem = str(error)
    return page(
        request, "runs_diff.html", before=_told(before), after=_told(after), found=found, problem=problem,
        plot=plot(found, words("runs.scorebefore"), words("runs.scoreafter")) if found else "",
        most=CHANGED, **_common(request),
    )  # fmt: skip


def _matches(file: File, label: str, text: str) -> bool:
    return label in ("", file.label or "no_verdict") and text in file.stream_id.lower()


def _score(run: Run, file: File) -> float | None:
    try:
        return run.score(file)
    except SettingsError:
        return None


def _told(run: Run) -> dict[str, Any]:
    """A run as the pages show it."""
    now, changed = now_ms(), run.changed_ms
    spent_s = max(0.001, ((now if run.running else changed) - (run.planned_ms or changed)) / 1000)
    share, running = run.share, run.running
    state = "running" if running else "finished" if run.finished else "stopped"
    left_s = spent_s * (1 - share) / share if running and share else None
    return {
        "name": run.name, "shown": visible(run.name), "state": state, "share": share, "left_s": left_s,
        "files": len(run.files), "failed": run.failed, "planned": run.planned, "since": run.since,
        "labels": dict(run.labels), "changed_ms": changed, "facts": run.facts,
        "speed": run.since_duration_ms / 1000 / spent_s if run.planned_ms is not None else None,
        "duration_ms": run.duration_ms,
    }  # fmt: skip


def _common(request: Request) -> dict[str, Any]:
    site = site_of(request)
    with site.feed.looking() as view:
        return {"waiting": view.cases.count(site.reviewers), "seen": view.version}
