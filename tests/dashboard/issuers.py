"""A small OpenID Connect provider with a key of its own, for tests of signing in with one."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from scanner.dashboard.serve import _bound

CLIENT, SECRET = "scanner-dashboard", "between the two of us"


@dataclass
class Issuer:
    """Knows one person; what is wrong with its word is up to the test."""

    address: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: {"email": "eva@example.org", "roles": ["scanner-reviewer"]})
    lies: dict[str, Any] = field(default_factory=dict)
    """claims that replace the right ones"""
    name: str | None = None
    """what it calls itself"""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256"}))
    signs_with: RSAKey | None = None
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    """code to what was asked for"""

    def grant(self, address: str) -> str:
        """What a browser would be told after the person said yes: where to go back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = secrets.token_urlsafe(8)
        self.asked[code] = asked
        return f"{asked['redirect_uri']}?code={code}&state={asked['state']}"

    def authorize(self, request: Request) -> Response:
        """What a person sees there: one question."""
        yes = f"/yes?{urlsplit(str(request.url)).query}"
        return HTMLResponse(f'<!doctype html><title>Provider</title><a href="{yes.replace("&", "&amp;")}">It is me</a>')

    def yes(self, request: Request) -> Response:
        return RedirectResponse(self.grant(str(request.url)), 303)

    def metadata(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.name or self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    def keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def token(self, request: Request) -> Response:
        form = await request.form()
        asked = self.asked.pop(str(form["code"]), None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(str(form["code_verifier"]).encode()).digest()).rstrip(b"=")
        if asked is None or asked["code_challenge"] != challenge.decode():
            return JSONResponse({"error": "invalid_grant"}, 400)
        if request.headers.get("authorization") != f"Basic {basic}":
            return JSONResponse({"error": "invalid_client"}, 401)
        now = int(time.time())
        said = {"iss": self.address, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 60, "nonce": asked["nonce"]}
        signed = jwt.encode(
            {"alg": "RS256", "kid": "one"}, {**said, **self.claims, **self.lies}, self.signs_with or self.key
        )
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": signed})


@contextmanager
def providing() -> Iterator[Issuer]:
    """One that listens on loopback."""
    made = Issuer()
    routes = [
        Route("/.well-known/openid-configuration", made.metadata),
        Route("/keys", made.keys),
        Route("/authorize", made.authorize),
        Route("/yes", made.yes),
        Route("/token", made.token, methods=["POST"]),
    ]
    listening = _bound("127.0.0.1", 0)
    made.address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield made
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def provided(issuer: Issuer) -> dict[str, str]:
    """The settings of a dashboard that trusts it."""
    return {"oidc.issuer": issuer.address, "oidc.client_id": CLIENT, "oidc.client_secret": SECRET}
