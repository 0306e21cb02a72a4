"""Signing in with an OpenID Connect provider: authorization code with PKCE, roles from a claim. Authlib lives here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from httpx2 import HTTPError
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from scanner.core.errors import SettingsError
from scanner.dashboard.accounts import NAME, RefusedError, Role, User
from scanner.settings import OidcSettings

TIMEOUT_S = 10.0


class Oidc:
    """One provider. Raises SettingsError when it is not described well enough to be trusted."""

    def __init__(self, settings: OidcSettings) -> None:
        if not (settings.issuer and settings.client_id):
            raise SettingsError("oidc.issuer and oidc.client_id are needed to sign in with a provider")
        parts = urlsplit(settings.issuer)
        if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise SettingsError(f"oidc.issuer must be https, got {settings.issuer!r:.80}")
        self._settings = settings
        self._client = OAuth().register(
            "provider",
            client_id=settings.client_id,
            client_secret=settings.client_secret.get_secret_value() if settings.client_secret else None,
            server_metadata_url=settings.issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={"scope": settings.scope, "code_challenge_method": "S256", "timeout": TIMEOUT_S},
        )

    async def leave(self, request: Request, back: str) -> Response:
        """To the provider, which sends people back. Raises RefusedError when it does not answer."""
        try:
            await self._check_issuer()
            answer: Response = await self._client.authorize_redirect(request, self._settings.redirect or back)
        except (HTTPError, OAuthError, ValueError, KeyError, RuntimeError) as error:
            raise RefusedError(f"the provider does not answer as it should: {error!r:.200}") from error
        return answer

    async def returned(self, request: Request) -> User:
        """Who came back, after state, nonce, PKCE, signature, issuer, audience and time were checked.

        Raises RefusedError.
        """
        try:
            metadata = await self._check_issuer()
            options = {"iss": {"essential": True, "values": [metadata["issuer"]]}, "exp": {"essential": True}}
            token = await self._client.authorize_access_token(request, claims_options=options)
        except (HTTPError, OAuthError, JoseError, ValueError, KeyError, RuntimeError) as error:
            raise RefusedError(f"the provider's word does not hold: {error!r:.200}") from error
        claims = token.get("userinfo")
        if not claims:
            raise RefusedError("the provider sent no identity")
        return self.user(claims)

    async def _check_issuer(self) -> dict[str, Any]:
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if str(metadata.get("issuer", "")).rstrip("/") != str(self._settings.issuer).rstrip("/"):
            raise ValueError(f"the provider calls itself {metadata.get('issuer')!r:.80}")
        return metadata

    def user(self, claims: Mapping[str, Any]) -> User:
        """A person with the highest role that the claims give. Raises RefusedError."""
        settings = self._settings
        name = str(claims.get(settings.name_claim, ""))
        if not NAME.fullmatch(name):
            raise RefusedError(f"claim {settings.name_claim} is no name for us: {name!r:.80}")
        if settings.name_claim == "email" and claims.get("email_verified") is False:
            raise RefusedError(f"{name}: the provider has not verified the address")
        values = listed(claims, settings.role_claim)
        for role, allowed in ((Role.ADMIN, settings.admins), (Role.REVIEWER, settings.reviewers)):
            if values & set(allowed):
                return User(name, role, "")
        if settings.viewers == ("*",) or values & set(settings.viewers):
            return User(name, Role.VIEWER, "")
        raise RefusedError(f"{name} has no role here: claim {settings.role_claim} holds {sorted(values)!r:.200}")


def listed(claims: Mapping[str, Any], path: str) -> set[str]:
    """The texts at a claim; a.b looks into nested claims."""
    found: Any = claims
    for part in [path] if path in claims else path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return set(found.split())
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
