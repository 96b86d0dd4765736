"""What every page of the console shares: who looks, how it is rendered, forms, and what is said after them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
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
from workflows.domain.errors import Refusal

THEMES = ("auto", "light", "dark")
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
templates.globals.update(version=version("connect"), fresh=lambda: uuid4().hex, elsewhere=elsewhere)


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
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value.replace("\r\n", "\n").strip())
    form = Form({name: values[-1] for name, values in many.items()}, many)
    session = session_of(request)
    if session is not None and form.text(CSRF) != session.csrf:
        raise Expired
    return form


def session_of(request: Request) -> Session | None:
    """Who is signed in, as the guard at the door found out."""
    session: Session | None = getattr(request.state, "session", None)
    return session


def reads_of(request: Request) -> Reads:
    """What the pages read of the directory, besides what everybody does."""
    reads: Reads = request.app.state.reads
    return reads


def caller_of(request: Request) -> str:
    """By whom a command is given, as the history says it."""
    session = session_of(request)
    return session.caller.name if session else ""


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
    """A page that says what went wrong. What was only asked for can be asked for again; what was sent is in the page
    before this one."""
    looked, passes = request.method in ("GET", "HEAD"), status >= 500
    return page(request, "error.html", status, title=title, told=told, again=looked and passes, sent=not looked)


def out_of_reach(request: Request, away: Away) -> HTMLResponse:
    """A page that says what does not answer."""
    answer = mishap(request, 503, "Something does not answer", str(away))
    answer.headers["Retry-After"] = str(away.retry_after)
    return answer


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
                return mishap(request, 403, "This form has expired", EXPIRED)
            except NoSuchClient as unknown:
                return mishap(request, 404, "There is no such client", str(unknown))
            except NoSuchPage as unknown:
                return mishap(request, 404, "There is no such page", str(unknown))
            except Away as away:
                return out_of_reach(request, away)
            except (StarterError, Refusal) as refused:
                return mishap(request, 409, "That cannot be done", str(refused))

        return answer


EXPIRED = "It was opened before you signed in, or in another browser. Nothing was done. Go back, reload, and try again."
