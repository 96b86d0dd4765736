"""The way in and out: the sign-in page, the link that `connect up` prints, signing out, and the theme."""

import time
from datetime import UTC, datetime

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

OPERATOR = "operator"
UNSEEN_IN_NAME = "Your name has characters that cannot be seen. They are left out below: look at it, and sign in again."

log = structlog.get_logger(__name__)

sign_in_pages = page_router()


@sign_in_pages.get("/sign-in")
async def show_sign_in(request: Request, next: str = "/", key: str = "") -> Response:  # noqa: A002  # as addresses say it
    """The sign-in page; with the key of a link, straight in."""
    if session_of(request) is not None:
        return redirect(request, safe_path(next))
    if not key:
        return _form_page(request, next)
    if is_link_key(request.app.state.token, key, datetime.now(UTC)):
        cookie = await sessions_of(request).begin(OPERATOR, address_of(request), link=key)
        if cookie is not None:
            log.info("signed_in", by=OPERATOR, with_="link")
            return _entered(request, cookie, safe_path(next))
    return _form_page(request, next, "This link has been used already, or is too old. Paste the token instead.", 403)


@sign_in_pages.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """The right token always goes through: nobody who guesses can keep out who knows it."""
    form, sessions = await Form.read(request), sessions_of(request)
    name, after = form.text("name")[:LONGEST_NAME] or OPERATOR, form.text("next") or "/"
    if session_of(request) is not None:  # in another tab, meanwhile
        return redirect(request, safe_path(after))
    if not sessions.knows(form.text("token")):
        return _wrong_token(request, after, name)
    if not name.isprintable():
        return _form_page(request, after, UNSEEN_IN_NAME, 422, "".join(filter(str.isprintable, name)))
    cookie = await sessions.begin(name, address_of(request))
    assert cookie is not None  # only a link can have been used before
    log.info("signed_in", by=name, with_="token")
    return _entered(request, cookie, safe_path(after))


def _wrong_token(request: Request, after: str, name: str) -> HTMLResponse:
    throttle, now = request.app.state.throttle, time.monotonic()
    address = request.client.host if request.client else ""
    if wait := throttle.wait(address, now):
        answer = _form_page(request, after, f"Too many attempts. Try again in {int(wait / 60) + 1} minutes.", 429, name)
        answer.headers["Retry-After"] = str(int(wait) + 1)
        return answer
    throttle.failed(address, now)
    log.warning("sign_in_refused", address=address)
    return _form_page(request, after, "That is not the token. It is in the file “token” in the data folder.", 403, name)


@sign_in_pages.post("/sign-out")
async def sign_out(request: Request) -> Response:
    await sessions_of(request).end(request)
    answer = redirect(request, "/sign-in")
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


def _entered(request: Request, cookie: str, path: str) -> RedirectResponse:
    answer = redirect(request, path)
    remember(request, answer, cookie_name(request), cookie, LASTS)
    return answer


def _form_page(request: Request, after: str, problem: str = "", status: int = 200, name: str = "") -> HTMLResponse:
    return page(request, "sign_in.html", status, next=safe_path(after), problem=problem, name=name)
