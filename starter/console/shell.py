"""What every page of the console shares: who looks, how it is rendered, forms, and what is said after them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from uuid import uuid4

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined

from starter.console import words
from starter.console.plans import elsewhere, plan_word, touched
from starter.console.reads import Reads
from starter.console.sessions import Session
from starter.errors import Away, NoSuchClient, NoSuchPage, StarterError
from starter.security import Caller
from workflows.domain.errors import Refusal

THEMES = ("auto", "light", "dark")
KEPT = "/kept"  # where the guard has forms kept that cannot be carried out
THEME_COOKIE = "connect_theme"
SITE_COOKIE = "connect_site"
CSRF = "csrf"
LONGEST_NOTICE = 300
NOTICE_COOKIE = "connect_notice"  # what came of a form, told once by the page that comes next
REFRESH = "Connect-Refresh"  # a page that was left open looks for news (live.js): nobody chose anything

templates = Environment(
    loader=PackageLoader("starter.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(words.FILTERS, plan=plan_word, touched=touched)
templates.globals.update(fresh=lambda: uuid4().hex, elsewhere=elsewhere)


class Expired(Exception):
    """A form came without the session's secret: from another page, or after signing in anew."""


@dataclass(frozen=True)
class Form:
    """What a form said: the last value of each field, blanks stripped, and every value where there may be many."""

    fields: dict[str, str]
    many: dict[str, list[str]]

    def text(self, name: str) -> str:
        return self.fields.get(name, "")

    def given(self, name: str) -> str | None:
        """The value, or None when it was left blank."""
        return self.fields.get(name) or None


async def form_of(request: Request) -> Form:
    """The form that was sent, from one of our own pages. Raises Expired."""
    form = await said_in(request)
    session = session_of(request)
    if session is not None and form.text(CSRF) != session.csrf:
        raise Expired
    return form


async def said_in(request: Request) -> Form:
    """What a form said, whoever sent it."""
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value.replace("\r\n", "\n").strip())
    return Form({name: values[-1] for name, values in many.items()}, many)


def session_of(request: Request) -> Session | None:
    """Who is signed in, as the guard at the door found out."""
    session: Session | None = getattr(request.state, "session", None)
    return session


def reads_of(request: Request) -> Reads:
    """What the pages read of the directory, besides what everybody does."""
    reads: Reads = request.app.state.reads
    return reads


def caller_of(request: Request) -> str:
    """By whom a command is given, as the history says it: whoever is signed in, or sent the token."""
    session = session_of(request)
    caller: Caller | None = session.caller if session else getattr(request.state, "caller", None)
    return caller.name if caller else ""


def page(request: Request, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page, with what all of them need."""
    session = session_of(request)
    theme = request.cookies.get(THEME_COOKIE, THEMES[0])
    looked = request.method == "GET" and REFRESH not in request.headers
    notice = unquote(request.cookies.get(NOTICE_COOKIE, "")) if looked else ""
    context = {
        "path": request.url.path,
        "here": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        "session": session,
        "csrf": session.csrf if session else "",
        "theme": theme if theme in THEMES else THEMES[0],
        "now": datetime.now(UTC),
        "waiting": getattr(request.state, "waiting", (0, False)),
        "site_names": getattr(request.state, "site_names", {}),
        "notice": notice,
        **shown,
    }
    answer = HTMLResponse(templates.get_template(template).render(context), status)
    answer.headers["Cache-Control"] = "no-store"
    if notice:
        answer.delete_cookie(NOTICE_COOKIE)
    return answer


def mishap(request: Request, status: int, title: str, told: str) -> HTMLResponse:
    """A page that says what went wrong. What was only asked for can be asked for again, when that may help."""
    return page(request, "error.html", status, title=title, told=told, again=request.method == "GET" and status >= 500)


async def out_of_reach(request: Request, away: Away, path: str = "") -> HTMLResponse:
    """A page that says what does not answer. What was sent is kept in it."""
    title = f"{away.part} does not answer"
    sent = request.method == "POST"
    answer = await kept(request, 503, title, SEND_AGAIN, path) if sent else mishap(request, 503, title, str(away))
    answer.headers["Retry-After"] = str(away.retry_after)
    return answer


async def kept(request: Request, status: int, title: str, told: str, path: str = "") -> HTMLResponse:
    """A page that keeps the form that was sent, to be sent again: nothing that was typed is lost.

    Only a form of our own pages is kept, as browsers say where it came from (Origin, Sec-Fetch-Site): no other page can
    have its fields confirmed here.
    """
    form = await said_in(request) if from_here(request) else None
    if form is None or not form.many:
        return mishap(request, status, "This form has expired" if status == 403 else title, NOT_KEPT)
    if "token" in form.many:  # which is written nowhere
        return mishap(request, status, title, "Nothing was done. Go back, and try again shortly.")
    session = session_of(request)
    secret = session.csrf if session else form.text(CSRF)
    fields = [(name, value) for name, values in form.many.items() if name != CSRF for value in values]
    typed = [(words.field_word(name), value) for name, value in fields if value and words.field_word(name)]
    shown = {"title": title, "told": told, "fields": fields, "typed": typed, "secret": secret, "out": status == 401}
    return page(request, "kept.html", status, at=path or request.url.path, **shown)


def from_here(request: Request) -> bool:
    """Whether a form was sent from one of our own pages, as the browser says."""
    origin = urlsplit(request.headers.get("Origin", ""))
    return request.headers.get("Sec-Fetch-Site") == "same-origin" or bool(
        origin.netloc and origin.netloc == request.headers.get("Host")
    )


def see(path: str, notice: str = "", **query: str) -> RedirectResponse:
    """Look there next (303): a reload then repeats no command. The page there tells what came of it, once."""
    said = urlencode({name: value for name, value in query.items() if value})
    answer = RedirectResponse(f"{path}?{said}" if said else path, 303)
    if notice:
        told = quote(notice if len(notice) <= LONGEST_NOTICE else f"{notice[: LONGEST_NOTICE - 1]}…")
        answer.set_cookie(NOTICE_COOKIE, told, max_age=60, httponly=True, samesite="lax")
    return answer


def inside(path: str) -> str:
    """A path of ours to go to, whatever was given: never another host's."""
    parts = urlsplit(path)
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if ours and "\\" not in path and path.isprintable() else "/"


class Page(APIRoute):
    """A route whose errors are pages: what happened, and the way out."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # a coroutine
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                if session_of(request) is not None:
                    reads = reads_of(request)
                    request.state.waiting, request.state.site_names = await asyncio.gather(
                        reads.in_attention(), reads.site_names()
                    )
                return await handle(request)
            except Expired:
                return await kept(request, 403, "Send this once more", EXPIRED)
            except NoSuchClient as unknown:
                return mishap(
                    request, 404, "There is no such client", f"Nobody goes by {unknown.client_id!r}. {NO_CLIENT}"
                )
            except NoSuchPage as unknown:
                return mishap(request, 404, "There is no such page", str(unknown))
            except Away as away:
                return await out_of_reach(request, away)
            except (StarterError, Refusal) as refused:
                return mishap(request, 409, "That cannot be done", str(refused))

        return answer


SIGNED_OUT = "Sign in again in another tab. What you typed is kept here: then send it again."
EXPIRED = "You have signed in anew since this form was opened. What you typed is kept here; nothing was done yet."
SEND_AGAIN = "What you typed is kept here: send it again shortly, as it is. However often, it is done once."
NOT_KEPT = "Nothing was done: it did not come from a page of this console. Open the page anew, and try again there."
NO_CLIENT = "The address may be mistyped; the list has all clients, the inactive ones too."
