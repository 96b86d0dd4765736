"""Signing in at an OpenID provider: the way there, and the way back (authorization code with PKCE, RFC 9700).

What a sign-in began with is a cookie that we sealed, of the browser that began it: a code that somebody else was given,
or an answer to another sign-in, leads nowhere.
"""

import hmac
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import structlog
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from starter.console.auth.sessions import address_of, cookie_name, seal, sessions_of, unseal
from starter.console.pages.sign_in import redirect_with_cookie, sign_in_page, too_many_page
from starter.console.rendering import forget, page_router, redirect, remember, safe_path, session_of
from starter.errors import InvalidToken, NotAllowed, ProviderAway
from starter.web.guesses import sender_of
from starter.web.openid import ID_TOKENS, OpenId, texts_in

PATH = "/sign-in/openid"
CALLBACK = f"{PATH}/callback"
COOKIE = "connect_openid"
LASTS = timedelta(minutes=10)
NOT_THIS = "This sign-in was begun in another browser, or more than ten minutes ago. Begin it again."
REFUSED = "You were not let in: you, or the provider, refused it. Sign in again, or ask who looks after your account."
ODD = "The provider did not complete the sign-in ({}). Try again. If that does not help, ask who runs Connect."

log = structlog.get_logger(__name__)

openid_pages = page_router()


@openid_pages.get(PATH)
async def begin(request: Request, next: str = "/") -> Response:  # noqa: A002  # as addresses say it
    """To the provider, which sends the browser back to CALLBACK."""
    openid, after = _openid_of(request), safe_path(next)
    if session_of(request) is not None:
        return redirect(request, after)
    where = await openid.provider.endpoint("authorization_endpoint")
    begun = {"nonce": secrets.token_urlsafe(24), "verifier": generate_token(64), "next": after}
    async with _client(request, openid) as client:
        address, begun["state"] = client.create_authorization_url(
            where, state=secrets.token_urlsafe(24), code_verifier=begun["verifier"], nonce=begun["nonce"]
        )
    answer = RedirectResponse(address, 303)
    sealed = seal(_key(request), json.dumps(begun), datetime.now(UTC) + LASTS)
    remember(request, answer, cookie_name(request, COOKIE), sealed, LASTS)
    return answer


@openid_pages.get(CALLBACK)
async def come_back(request: Request, state: str = "", code: str = "", error: str = "", iss: str = "") -> Response:
    """In, as whom the provider says; else the sign-in page, with what is wrong. The way back works once.

    An address from which ten did not come through in five minutes waits: each has the provider asked."""
    openid, sessions = _openid_of(request), sessions_of(request)
    begun = json.loads(
        unseal(_key(request), request.cookies.get(cookie_name(request, COOKIE), ""), datetime.now(UTC)) or "{}"
    )
    if not begun or not hmac.compare_digest(begun["state"].encode(), state.encode()):
        back = session_of(request) is not None  # or the browser's own button led here again
        return redirect(request, "/") if back else sign_in_page(request, "/", NOT_THIS, 400)
    after, address, tried = safe_path(begun["next"]), sender_of(request.scope), request.app.state.sign_ins
    if wait := tried.wrong(address):  # until the provider says otherwise: the cookie of a stranger is as good
        return too_many_page(request, after, wait)
    try:
        if iss and iss != openid.settings.oidc_issuer:  # RFC 9207
            raise InvalidToken("iss", "the answer is of another provider")
        if error:
            raise OAuthError(error)
        claims = await _claims(request, openid, code, begun)
        tried.right(address)
        caller = openid.caller_by(claims)
        lasts = timedelta(minutes=openid.settings.oidc_session_minutes)
        cookie = await sessions.begin(caller.name, address_of(request), openid=caller, lasts=lasts)
        assert cookie is not None  # only a link can have been used before
        log.info("signed_in", role=caller.role.value, with_="openid")
        answer: Response = redirect_with_cookie(request, cookie, after, lasts)
    except OAuthError as refused:
        known = str(refused.error)[:40]
        why = known if known.isascii() and known.replace("_", "").isalnum() else "another error"
        log.warning("openid_sign_in_failed", error=why)
        answer = sign_in_page(request, after, REFUSED if why == "access_denied" else ODD.format(why), 403)
    except InvalidToken as wrong:
        log.warning("openid_sign_in_failed", rule=wrong.rule, error=wrong.why)
        answer = sign_in_page(request, after, ODD.format(f"{wrong.rule}: {wrong.why}"), 403)
    except NotAllowed as nobody:
        answer = sign_in_page(request, after, str(nobody), 403)
    forget(request, answer, cookie_name(request, COOKIE))
    return answer


async def _claims(request: Request, openid: OpenId, code: str, begun: Mapping[str, str]) -> Mapping[str, Any]:
    """What the provider says of who signed in: in the ID token, and at its userinfo endpoint where that lacks the role.

    Raises OAuthError, InvalidToken, ProviderAway."""
    provider, settings = openid.provider, openid.settings
    where = await provider.endpoint("token_endpoint")
    try:
        async with _client(request, openid) as client:
            answer = await client.fetch_token(where, code=code, code_verifier=begun["verifier"])
            text = answer.get("id_token")
            if not isinstance(text, str):
                raise InvalidToken("id_token", "there is none")
            claims = await openid.claims(text, settings.oidc_client_id, ID_TOKENS, nonce=begun["nonce"])
            if claims.get("azp", settings.oidc_client_id) != settings.oidc_client_id:
                raise InvalidToken("azp", "it was issued to another party")
            more = provider.metadata.get("userinfo_endpoint")
            if more and not texts_in(claims, settings.oidc_role_claim):
                info = (await client.get(more)).raise_for_status().json()
                if not isinstance(info, dict) or info.get("sub") != claims["sub"]:
                    raise InvalidToken("userinfo", "it is of somebody else")
                claims = {**info, **claims}
    except (httpx2.HTTPError, TimeoutError, ValueError, RecursionError) as error:
        log.warning("openid_provider_away", problem=type(error).__name__)
        raise ProviderAway("it did not answer as one") from None
    return claims


def _client(request: Request, openid: OpenId) -> AsyncOAuth2Client:
    settings, secret = openid.settings, openid.client_secret
    methods = openid.provider.metadata.get("token_endpoint_auth_methods_supported")
    post = isinstance(methods, list) and methods and "client_secret_basic" not in methods
    method = "client_secret_post" if post else "client_secret_basic"
    return AsyncOAuth2Client(
        settings.oidc_client_id,
        secret,
        token_endpoint_auth_method=method if secret else "none",
        scope=settings.oidc_scopes,
        redirect_uri=f"{request.app.state.names.public_url}{CALLBACK}",
        code_challenge_method="S256",
        timeout=5,
        transport=openid.provider.transport,
    )


def _openid_of(request: Request) -> OpenId:
    openid: OpenId | None = request.app.state.openid
    if openid is None or not openid.signs_in:
        raise HTTPException(404)
    return openid


def _key(request: Request) -> bytes:
    token: str = request.app.state.token
    return hmac.digest(token.encode(), b"openid sign-in", "sha256")
