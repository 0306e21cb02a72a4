"""The review queue: a case on the desk, and one key for each answer."""

from __future__ import annotations

from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scanner import wire
from scanner.core.errors import BrokerUnavailableError
from scanner.core.review import LONGEST_NOTE, Decision, Review
from scanner.core.text import visible
from scanner.dashboard.accounts import Role, User
from scanner.dashboard.cases import Case
from scanner.dashboard.feed import now_ms
from scanner.dashboard.site import Site, check_token, needs, page, site_of, user_of

log = structlog.get_logger()
LISTED = 100


@needs(Role.VIEWER)
def queue(request: Request) -> Response:
    template = "desk.html" if "hx-request" in request.headers else "reviews.html"
    return _desk(request, template, request.query_params.get("case"))


async def decide(request: Request) -> Response:
    """An answer, or one taken back; then the next case."""
    user = user_of(request)
    if user is None:
        return Response(status_code=401, headers={"HX-Refresh": "true"})
    if not user.role.may(Role.REVIEWER):
        raise HTTPException(403)
    form = await request.form(max_fields=10)
    check_token(request, form.get("csrf"))
    site = site_of(request)
    case_id, word = str(form.get("case")), str(form.get("decision"))
    try:
        review = _review(site, user, case_id, word, str(form.get("note", ""))[:LONGEST_NOTE])
    except (KeyError, ValueError) as error:
        raise HTTPException(409) from error
    try:
        await run_in_threadpool(
            site.feed.publish, wire.review_record(review, site.topics.reviews, at_ms=review.reviewed_at_ms)
        )
    except BrokerUnavailableError as error:
        raise HTTPException(503, str(error)) from error
    site.feed.reviewed(review)
    log.info("reviewed", verdict_id=review.verdict_id, decision=review.decision.value, reviewer=user.name)
    undone = word == "undo"
    return await run_in_threadpool(
        _desk, request, "desk.html", case_id if undone else None, None if undone else case_id
    )


def _review(site: Site, user: User, case_id: str, word: str, note: str) -> Review:
    """What this person says now. Raises KeyError for a case that is not there, ValueError for no such word."""
    with site.feed.looking() as view:
        case = view.cases[case_id]
        worst, before = case.worst, case.latest.get(user.name)
    now = now_ms()
    if word != "undo":
        decision = Decision(word)
        return Review(worst.verdict_id, case.stream_id, worst.sequence, decision, user.name, note.strip(), now)
    if before is None:
        raise ValueError("nothing to take back")
    return Review(
        before.verdict_id, case.stream_id, before.sequence, Decision.UNSURE, user.name, "", now, before.review_id
    )


def _desk(request: Request, template: str, chosen: str | None, answered: str | None = None) -> Response:
    site, user = site_of(request), user_of(request)
    name = user.name if user else ""
    with site.feed.looking() as view:
        waiting = view.cases.waiting(site.reviewers, name)
        listed = [_told(case, name) for case in waiting[:LISTED]]
        past = [_told(case, name) for case in view.cases.answered(30)]
        whole = next((case for case in view.cases if case.case_id == chosen), None) if chosen else None
        if whole is None and waiting:
            whole = waiting[0]
        case = _told(whole, name) if whole else None
        stream = view.streams.get(whole.stream_id) if whole else None
        last = next((told for told in past if told["id"] == answered), None)
        everybody, total, seen = view.cases.count(site.reviewers), len(waiting), view.version
        verdict = stream.last if stream else None
    return page(
        request, template, listed=listed, total=total, past=past, case=case, last=last, verdict=verdict,
        needed=site.reviewers, may=bool(user and user.role.may(Role.REVIEWER)), waiting=everybody, seen=seen,
    )  # fmt: skip


def _told(case: Case, reviewer: str) -> dict[str, Any]:
    """A case as the pages show it, free of the view."""
    latest = case.latest
    return {
        "id": case.case_id, "stream_id": case.stream_id, "name": visible(case.stream_id), "start_ms": case.start_ms,
        "end_ms": case.end_ms, "worst": case.worst, "segments": case.segments, "alerted": case.alerted,
        "opened_ms": case.opened_ms, "reviews": list(latest.values()), "mine": latest.get(reviewer),
    }  # fmt: skip
