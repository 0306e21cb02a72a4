"""Redriving dead letters, for admins."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scanner.core.types import Source
from scanner.dashboard.accounts import Role
from scanner.dashboard.redriver import FATES_KEPT
from scanner.dashboard.site import check_token, site_of, user_of


async def start(request: Request) -> Response:
    """Redrives the dead letters that the form names, out of those that the page shows."""
    user = user_of(request)
    if user is None:
        return Response(status_code=401, headers={"HX-Refresh": "true"})
    if not user.role.may(Role.ADMIN):
        raise HTTPException(403)
    form = await request.form(max_fields=FATES_KEPT)
    check_token(request, form.get("csrf"))
    site = site_of(request)
    wanted = {str(each) for each in form.getlist("letter")}
    with site.feed.looking() as view:
        places = [letter.place for letter in view.tallies.letters if name_of(letter.place) in wanted]
    if not places:
        raise HTTPException(404)
    if not site.redriver.start(places, user.name):
        raise HTTPException(409)
    return RedirectResponse("/health", 303)


def name_of(place: Source) -> str:
    """How a form names a dead letter."""
    return f"{place.partition}/{place.offset}"
