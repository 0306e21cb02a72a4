"""Who may sign in, for admins: seen, and shown the door."""

from __future__ import annotations

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scanner.core.errors import SettingsError
from scanner.dashboard.accounts import Role
from scanner.dashboard.site import check_token, needs, page, site_of, user_of

log = structlog.get_logger()


@needs(Role.ADMIN)
def show(request: Request) -> Response:
    site = site_of(request)
    users = sorted(site.accounts.users().values(), key=lambda user: user.name)
    with site.feed.looking() as view:
        waiting, seen = view.cases.count(site.reviewers), view.version
    return page(request, "people.html", users=users, waiting=waiting, seen=seen)


async def remove(request: Request) -> Response:
    """Their sessions end with them. Nobody removes themselves: somebody has to be left."""
    user = user_of(request)
    if user is None or not user.role.may(Role.ADMIN):
        raise HTTPException(403)
    form = await request.form(max_fields=10)
    check_token(request, form.get("csrf"))
    name = str(form.get("name"))
    if name == user.name:
        raise HTTPException(409)
    try:
        await run_in_threadpool(site_of(request).accounts.remove, name)
    except SettingsError as error:
        raise HTTPException(404) from error
    log.info("user_removed", user=name, by=user.name)
    return RedirectResponse("/people", 303)
