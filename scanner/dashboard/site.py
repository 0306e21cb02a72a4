"""What every page needs: who asks, in which language and light, and how a template becomes an answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from scanner.core.text import visible
from scanner.dashboard.accounts import Accounts, Role, User
from scanner.dashboard.clips import Clips
from scanner.dashboard.feed import Feed
from scanner.dashboard.lag import Lag
from scanner.dashboard.redriver import Redriver
from scanner.dashboard.runs import Archives
from scanner.dashboard.throttle import Throttle
from scanner.dashboard.tiles import spark_paths
from scanner.dashboard.words import LANGUAGES, Words, language_of
from scanner.ports import Bus
from scanner.report.words import clock, percent
from scanner.wire import Topics

if TYPE_CHECKING:  # an extra: only who uses it needs it
    from scanner.dashboard.oidc import Oidc

THEMES = ("auto", "dark", "light")
TRIES, WINDOW_S = 5, 300.0


@dataclass(slots=True)
class Site:
    """One dashboard, wired."""

    bus: Bus
    topics: Topics
    feed: Feed
    clips: Clips
    accounts: Accounts
    lag: Lag
    redriver: Redriver
    archives: Archives | None = None
    """None: no folder of replays was named"""
    oidc: Oidc | None = None
    issuer: str = ""
    """whose word is taken; empty without a provider"""
    reviewers: int = 1
    https: bool = False
    session_s: int = 12 * 3600
    ticket: str | None = None
    """signs somebody in once, without a password: for a demonstration on this machine"""
    throttle: Throttle = field(default_factory=lambda: Throttle(TRIES, WINDOW_S))
    asset_version: str = field(default_factory=lambda: secrets.token_hex(4))


def site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def words_of(request: Request) -> Words:
    return Words(language_of(request.cookies.get("language"), request.headers.get("accept-language", "")))


def user_of(request: Request) -> User | None:
    """Who is signed in: as the users file says now, or as the provider said when they came."""
    name = request.session.get("user")
    if "issuer" in request.session:
        return _guest(request)
    user = site_of(request).accounts.users().get(name) if isinstance(name, str) else None
    return user if user and compare_digest(user.print, str(request.session.get("print"))) else None


def _guest(request: Request) -> User | None:
    """Somebody whom the provider that is trusted now has sent."""
    session, site = request.session, site_of(request)
    if not site.issuer or session["issuer"] != site.issuer:
        return None
    return User(str(session.get("user")), Role(str(session.get("role"))), "")


Page = Callable[[Request], Response]


def needs(role: Role) -> Callable[[Page], Page]:
    """Lets in who may; sends others to sign in, or away. Changes need the session's token."""

    def wrapped(page: Page) -> Page:
        @wraps(page)
        def guarded(request: Request) -> Response:
            user = user_of(request)
            if user is None:
                return _stranger(request)
            if not user.role.may(role):
                raise HTTPException(403)
            return page(request)

        return guarded

    return wrapped


def _stranger(request: Request) -> Response:
    """A page leads to sign-in and back; a part of a page makes the browser load the whole anew."""
    if request.method != "GET" or "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Refresh": "true"})
    if request.headers.get("sec-fetch-dest", "document") != "document":
        return Response(status_code=401)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(wanted)}", 303)


def token_of(request: Request) -> str:
    """The session's token against forged forms."""
    if "csrf" not in request.session:
        request.session["csrf"] = secrets.token_urlsafe(24)
    return str(request.session["csrf"])


def check_token(request: Request, given: object) -> None:
    """Raises HTTPException 403 for a form that this session did not get from us."""
    own = request.session.get("csrf")
    if not (isinstance(own, str) and isinstance(given, str) and compare_digest(own.encode(), given.encode())):
        raise HTTPException(403, "form")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "form")


def _utc(at_ms: int) -> str:
    """What is read without scripts; with them the browser shows its own time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_environment = Environment(
    loader=PackageLoader("scanner.dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(clock=clock, percent=percent, visible=visible, spark=spark_paths, utc=_utc)


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A template with what all of them know."""
    words = words_of(request)
    theme = request.cookies.get("theme")
    text = _environment.get_template(template).render(
        t=words,
        lang=words.language,
        languages=LANGUAGES,
        theme=theme if theme in THEMES else "auto",
        themes=THEMES,
        user=user_of(request),
        token=token_of(request),
        version=site_of(request).asset_version,
        archives=site_of(request).archives is not None,
        oidc=site_of(request).oidc is not None,
        path=request.url.path,
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        **{"waiting": 0, "seen": 0, **values},
    )
    return HTMLResponse(text, status)
