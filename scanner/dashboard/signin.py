"""Signing in and out, and choosing language and light."""

from __future__ import annotations

import secrets
import time
from hmac import compare_digest
from typing import TYPE_CHECKING

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from scanner.dashboard.accounts import RefusedError, User
from scanner.dashboard.site import THEMES, Site, check_token, page, site_of, user_of
from scanner.dashboard.words import LANGUAGES

if TYPE_CHECKING:
    from scanner.dashboard.oidc import Oidc

log = structlog.get_logger()
YEAR_S = 365 * 24 * 3600


def within(target: object) -> str:
    """A path of ours, whatever was asked for."""
    text = str(target or "/")
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and "\n" not in text else "/"


async def show(request: Request) -> Response:
    site = site_of(request)
    given = request.query_params.get("ticket", "")
    if site.ticket and compare_digest(site.ticket.encode(), given.encode()):
        site.ticket = None
        (first, *_) = site.accounts.users().values()
        return _signed_in(request, first, "/")
    if user_of(request):
        return RedirectResponse(within(request.query_params.get("next")), 303)
    problem = "" if site.accounts.users() or site.oidc else "signin.nobody"
    return page(request, "signin.html", target=within(request.query_params.get("next")), problem=problem)


async def sign_in(request: Request) -> Response:
    form = await request.form(max_fields=10)
    check_token(request, form.get("csrf"))
    name, password = str(form.get("name", ""))[:64], str(form.get("password", ""))
    target = within(form.get("next"))
    site, now_s = site_of(request), time.monotonic()
    keys = (f"user {name}", f"host {request.client.host if request.client else ''}")
    wait_s = max(site.throttle.wait_s(key, now_s) for key in keys)
    if wait_s:
        answer = page(request, "signin.html", 429, target=target, problem="signin.wait")
        answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer
    for key in keys:  # counted before the slow check, so that many tries at once do not slip through
        site.throttle.failed(key, now_s)
    user = await run_in_threadpool(site.accounts.check, name, password)
    if user is None:
        log.warning("sign_in_failed", user=name, host=keys[1])
        return page(request, "signin.html", 401, target=target, problem="signin.wrong")
    for key in keys:
        site.throttle.forget(key)
    log.info("signed_in", user=user.name, role=user.role.value)
    return _signed_in(request, user, target)


def _signed_in(request: Request, user: User, target: str) -> Response:
    request.session.clear()
    request.session.update(user=user.name, print=user.print, csrf=secrets.token_urlsafe(24))
    return RedirectResponse(target, 303)


async def leave(request: Request) -> Response:
    """To the provider, where there is one."""
    oidc = _oidc(request)
    for name in [name for name in request.session if name.startswith("_state_")]:
        del request.session[name]  # of tries that were given up: a cookie holds only so much
    request.session["next"] = within(request.query_params.get("next"))
    try:
        return await oidc.leave(request, str(request.url_for("returned")))
    except RefusedError as error:
        log.warning("provider_refused", error=str(error))
        return page(request, "signin.html", 503, target="/", problem="signin.provider")


async def returned(request: Request) -> Response:
    """Back from the provider."""
    oidc, site = _oidc(request), site_of(request)
    target = within(request.session.get("next"))
    try:
        user = await _guest(site, oidc, request)
    except RefusedError as error:
        request.session.clear()
        log.warning("sign_in_failed", error=str(error))
        return page(request, "signin.html", 403, target="/", problem="signin.refused")
    log.info("signed_in", user=user.name, role=user.role.value, issuer=site.issuer)
    answer = _signed_in(request, user, target)
    request.session.update(issuer=site.issuer, role=user.role.value)
    return answer


async def _guest(site: Site, oidc: Oidc, request: Request) -> User:
    """Nobody borrows the name that a local user's reviews are signed with. Raises RefusedError."""
    user = await oidc.returned(request)
    if user.name in site.accounts.users():
        raise RefusedError(f"{user.name} is a local user")
    return user


def _oidc(request: Request) -> Oidc:
    oidc = site_of(request).oidc
    if oidc is None:
        raise HTTPException(404)
    return oidc


async def sign_out(request: Request) -> Response:
    check_token(request, (await request.form(max_fields=10)).get("csrf"))
    request.session.clear()
    return RedirectResponse("/sign-in", 303)


async def choose(request: Request) -> Response:
    """Language or light, kept in a cookie that tells nothing else."""
    form = await request.form(max_fields=10)
    check_token(request, form.get("csrf"))
    answer = RedirectResponse(within(form.get("next")), 303)
    for name, allowed in (("language", LANGUAGES), ("theme", THEMES)):
        if (value := form.get(name)) in allowed:
            answer.set_cookie(
                name, str(value), max_age=YEAR_S, httponly=True, samesite="lax", secure=site_of(request).https
            )
    return answer
