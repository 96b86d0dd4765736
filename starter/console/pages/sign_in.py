"""The way in and out: the sign-in page, the link that `connect up` prints, signing out, and the theme."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import structlog
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from starter.console.auth.sessions import LASTS, LONGEST_NAME, address_of, cookie_name, is_link_key, sessions_of
from starter.console.rendering import (
    THEME_COOKIE,
    THEMES,
    YEAR,
    Form,
    forget,
    page,
    page_router,
    redirect,
    remember,
    safe_path,
    session_of,
)
from starter.contract.callers import RESERVED_PREFIXES, Role, is_anothers
from starter.web.dependencies import callers_of
from starter.web.guesses import sender_of
from starter.web.openid import OpenId

OPERATOR = "operator"
UNSEEN_IN_NAME = "Your name has characters that cannot be seen. They are left out below: look at it, and sign in again."
ANOTHERS_NAME = (
    f"Names that begin with {' or '.join(RESERVED_PREFIXES)} are given to who signs in at a provider, or to workflows. "
    "Give your own name."
)

log = structlog.get_logger(__name__)

sign_in_pages = page_router()


@sign_in_pages.get("/sign-in")
async def show_sign_in(
    request: Request,
    next: str = "/",  # noqa: A002  # as addresses say it
    key: str = "",
    signed_out: str = "",
) -> Response:
    """The sign-in page; with the key of a link, straight in."""
    if session_of(request) is not None:
        return redirect(request, safe_path(next))
    if not key:
        return sign_in_page(request, next, signed_out=bool(signed_out))
    if is_link_key(request.app.state.token, key, datetime.now(UTC)):
        cookie = await sessions_of(request).begin(OPERATOR, address_of(request), link=key)
        if cookie is not None:
            log.info("signed_in", role=Role.ADMIN.value, with_="link")
            return redirect_with_cookie(request, cookie, safe_path(next))
    return sign_in_page(request, next, "This link has been used already, or is too old. Paste the token instead.", 403)


@sign_in_pages.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """The right token always goes through: nobody who guesses can keep out who knows it."""
    form, sessions = await Form.read(request), sessions_of(request)
    name, after = form.text("name")[:LONGEST_NAME] or OPERATOR, form.text("next") or "/"
    if session_of(request) is not None:  # in another tab, meanwhile
        return redirect(request, safe_path(after))
    caller = await callers_of(request).with_token(form.text("token"))
    if caller is None:
        return _wrong_token(request, after, name)
    if caller.token_id:
        name = caller.name
    elif is_anothers(name):
        return sign_in_page(request, after, ANOTHERS_NAME, 422)
    if not name.isprintable():
        return sign_in_page(request, after, UNSEEN_IN_NAME, 422, "".join(filter(str.isprintable, name)))
    cookie = await sessions.begin(name, address_of(request), token_id=caller.token_id)
    assert cookie is not None  # only a link can have been used before
    log.info("signed_in", role=caller.role.value, with_="token", token_id=caller.token_id)
    return redirect_with_cookie(request, cookie, safe_path(after))


def too_many_page(request: Request, after: str, wait: int, name: str = "") -> HTMLResponse:
    """The sign-in page of an address that has to wait, so many seconds."""
    minutes = -(-wait // 60)
    why = f"Too many attempts. Try again in {minutes} minute{'' if minutes == 1 else 's'}."
    answer = sign_in_page(request, after, why, 429, name)
    answer.headers["Retry-After"] = str(wait)
    return answer


def _wrong_token(request: Request, after: str, name: str) -> HTMLResponse:
    address = sender_of(request.scope)
    if wait := request.app.state.guesses.wrong(address):
        return too_many_page(request, after, wait, name)
    log.warning("sign_in_refused", address=address)
    return sign_in_page(
        request,
        after,
        "That is not the token, nor a valid API token. The token is in the file “token” in the data folder.",
        403,
        name,
    )


@sign_in_pages.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """The session is over here. At an OpenID provider it is not: the sign-in page then says so, with the way out."""
    session = session_of(request)
    await sessions_of(request).end(request)
    openid = session is not None and session.caller.openid
    answer = redirect(request, "/sign-in", signed_out="openid" if openid else "")
    forget(request, answer, cookie_name(request))
    return answer


@sign_in_pages.post("/theme")
async def choose_theme(request: Request) -> Response:
    """Light, dark, or as the system has it; a cookie remembers."""
    form = await Form.read(request)
    theme = form.text("theme")
    answer = redirect(request, safe_path(form.text("next") or "/"))
    if theme in THEMES:
        remember(request, answer, THEME_COOKIE, theme, YEAR)
    return answer


def redirect_with_cookie(request: Request, cookie: str, path: str, lasts: timedelta = LASTS) -> RedirectResponse:
    """In: on to a path of ours, with the session's cookie."""
    answer = redirect(request, path)
    remember(request, answer, cookie_name(request), cookie, lasts)
    return answer


def sign_in_page(
    request: Request, after: str, problem: str = "", status: int = 200, name: str = "", *, signed_out: bool = False
) -> HTMLResponse:
    """The sign-in page, with what was wrong the last time."""
    openid: OpenId | None = request.app.state.openid
    provider = openid if openid and openid.signs_in else None
    left = provider.sign_out_address(request.app.state.names.public_url) if provider and signed_out else ""
    return page(
        *(request, "sign_in.html", status),
        next=safe_path(after),
        problem=problem,
        name=name,
        openid=provider and provider.settings.oidc_title,
        openid_path=f"{request.app.state.names.public_url}/sign-in/openid?{urlencode({'next': safe_path(after)})}",
        signed_out=signed_out,
        left=left,
    )
