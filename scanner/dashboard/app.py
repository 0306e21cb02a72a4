"""The routes, and what stands around every answer."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scanner.dashboard import archives, live, pages, people, redriving, reviewing, signin
from scanner.dashboard.site import Site, page

SMALL = 2000  # bytes that are sent as they are
OURS = ("script-src", "style-src", "img-src", "media-src", "connect-src", "form-action")
POLICY = "; ".join(
    ["default-src 'none'", *(f"{kind} 'self'" for kind in OURS), "base-uri 'none'", "frame-ancestors 'none'"]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
STATIC_AGE = "public, max-age=31536000, immutable"  # every address of a static file carries a version
ROUTES = [
    Route("/", pages.wall, name="wall"),
    Route("/stream", pages.stream),
    Route("/points", pages.points),
    Route("/verdict", pages.verdict),
    Route("/clip", pages.clip),
    Route("/reviews", reviewing.queue),
    Route("/reviews", reviewing.decide, methods=["POST"]),
    Route("/face", pages.face),
    Route("/runs", archives.show),
    Route("/runs/run", archives.run),
    Route("/runs/file", archives.file),
    Route("/runs/diff", archives.difference),
    Route("/health", pages.health),
    Route("/health/redrive", redriving.start, methods=["POST"]),
    Route("/people", people.show),
    Route("/people", people.remove, methods=["POST"]),
    Route("/events", live.events),
    Route("/choose", signin.choose, methods=["POST"]),
    Route("/sign-in", signin.show),
    Route("/sign-in", signin.sign_in, methods=["POST"]),
    Route("/sign-in/oidc", signin.leave),
    Route("/sign-in/oidc/back", signin.returned, name="returned"),
    Route("/sign-out", signin.sign_out, methods=["POST"]),
    Route("/healthz", pages.healthz),
]


def create_app(site: Site) -> Starlette:
    """The dashboard as an ASGI application."""
    static = Path(str(resources.files("scanner.dashboard").joinpath("static")))
    app = Starlette(
        routes=[*ROUTES, Mount("/static", StaticFiles(directory=static))],
        middleware=[
            Middleware(_Headers, https=site.https),
            Middleware(
                SessionMiddleware,
                secret_key=site.accounts.secret,
                session_cookie="__Host-scanner" if site.https else "scanner",
                max_age=site.session_s,
                same_site="lax",
                https_only=site.https,
            ),
            Middleware(GZipMiddleware, minimum_size=SMALL, compresslevel=4),
        ],
        exception_handlers={HTTPException: _refused, 500: _broken},  # type: ignore[dict-item]  # starlette types handlers by the widest exception
    )
    app.state.site = site
    app.state.bell = live.Bell()
    app.state.teller = live.Teller(site.feed, site.reviewers)
    site.feed.on_change(app.state.bell.ring)
    return app


class _Headers:
    """The same strict headers on every answer."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = {**HEADERS, **({"Strict-Transport-Security": "max-age=31536000"} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                kept = scope["path"].startswith("/static/") and message["status"] == 200
                headers.setdefault("Cache-Control", STATIC_AGE if kept else "no-store")
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def _refused(request: Request, error: HTTPException) -> Response:
    known = error.status_code if error.status_code in (403, 404, 409, 410, 415, 503) else 400
    detail = error.detail if error.status_code in (415, 503) else ""
    return page(request, "refused.html", error.status_code, what=f"refused.{known}", detail=detail)


def _broken(_: Request, __: Exception) -> Response:
    """Says nothing of what broke: the log does."""
    return Response("The dashboard failed; its log says why.", 500, media_type="text/plain")
