"""What every page of the console shares: who looks, how it is rendered, forms, and what is said after them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode
from uuid import uuid4

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined

from starter.console import labels as words
from starter.console.auth.sessions import Session
from starter.console.plans import plan_word, touched
from starter.directory.console import ConsoleReads
from starter.errors import Away, NoSuchClient, NoSuchPage, StarterError
from starter.web.security import Caller
from workflows.domain.errors import Refusal

THEMES = ("auto", "light", "dark")
KEPT = "/kept"  # where the guard has forms kept that cannot be carried out
THEME_COOKIE = "connect_theme"
SITE_COOKIE = "connect_site"
LONGEST_NOTICE = 300
NOTICE_LASTS = timedelta(minutes=1)
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
templates.globals.update(fresh=lambda: uuid4().hex)


@dataclass(frozen=True)
class Form:
    """What a form said: the last value of each field, blanks stripped, and every value where there may be many."""

    fields: dict[str, str]
    many: dict[str, list[str]]

    def text(self, name: str) -> str:
        return self.fields.get(name, "")

    def was(self, name: str) -> str:
        """What a field was when the form was opened."""
        return self.text(f"{words.WAS}{name}")

    def opened(self, fields: Mapping[str, str]) -> "Form":
        """The same form, opened when its fields were these."""
        return Form({**self.fields, **{f"{words.WAS}{name}": value for name, value in fields.items()}}, self.many)

    @property
    def carried(self) -> dict[str, str]:
        """What the form carries unseen: what its fields were when it was opened."""
        return {name: value for name, value in self.fields.items() if name.startswith(words.WAS)}


async def read_form(request: Request) -> Form:
    """The form that was sent. No other page's comes this far (``security.sent_by_another_page``)."""
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value.replace("\r\n", "\n").strip())
    return Form({name: values[-1] for name, values in many.items()}, many)


def session_of(request: Request) -> Session | None:
    """Who is signed in, as the guard at the door found out."""
    session: Session | None = getattr(request.state, "session", None)
    return session


def reads_of(request: Request) -> ConsoleReads:
    """What the pages read of the directory, besides what everybody does."""
    reads: ConsoleReads = request.app.state.reads
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
    now, sealed = datetime.now(UTC), request.cookies.get(NOTICE_COOKIE, "") if looked else ""
    context = {
        "path": request.url.path,
        "here": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        "session": session,
        "theme": theme if theme in THEMES else THEMES[0],
        "now": now,
        "waiting": getattr(request.state, "waiting", (0, False)),
        "site_names": getattr(request.state, "site_names", {}),
        "notice": session.unseal(sealed, now) if session else "",
        **shown,
    }
    answer = HTMLResponse(templates.get_template(template).render(context), status)
    answer.headers["Cache-Control"] = "no-store"
    if sealed:
        forget(request, answer, NOTICE_COOKIE)
    return answer


def error_page(request: Request, status: int, title: str, told: str) -> HTMLResponse:
    """A page that says what went wrong. What was only asked for can be asked for again, when that may help."""
    return page(request, "error.html", status, title=title, told=told, again=request.method == "GET" and status >= 500)


async def out_of_reach(request: Request, away: Away, path: str = "") -> HTMLResponse:
    """A page that says what does not answer. What was sent is kept in it."""
    title = f"{away.part} does not answer"
    sent = request.method == "POST"
    answer = (
        await resubmit_page(request, 503, title, SEND_AGAIN, path)
        if sent
        else error_page(request, 503, title, str(away))
    )
    answer.headers["Retry-After"] = str(away.retry_after)
    return answer


async def resubmit_page(request: Request, status: int, title: str, told: str, path: str = "") -> HTMLResponse:
    """A page that keeps the form that was sent, to be sent again: nothing that was typed is lost."""
    form = await read_form(request)
    if "token" in form.many:  # which is written nowhere
        return error_page(request, status, title, "Nothing was done. Go back, and try again shortly.")
    fields = [(name, value) for name, values in form.many.items() for value in values]
    typed = [(words.field_word(name), value) for name, value in fields if value and words.field_word(name)]
    shown = {"title": title, "told": told, "fields": fields, "typed": typed, "out": status == 401}
    return page(request, "kept.html", status, at=path or request.url.path, **shown)


class Redirect(RedirectResponse):
    """Look there next (303): a reload then repeats no command. ``notice`` is told by the page there, once."""

    def __init__(self, path: str, notice: str = "") -> None:
        super().__init__(path, 303)
        self.notice = notice if len(notice) <= LONGEST_NOTICE else f"{notice[: LONGEST_NOTICE - 1]}…"


def redirect(path: str, notice: str = "", **query: str) -> Redirect:
    """Look at a path of ours next."""
    said = urlencode({name: value for name, value in query.items() if value})
    return Redirect(f"{path}?{said}" if said else path, notice)


def safe_path(address: str) -> str:
    """A path of ours to go to, whatever was given: never another host's, however it is written."""
    path = address.partition("?")[0].partition("#")[0]
    ours = address.startswith("/") and address.isprintable()
    for written in (path, unquote(path)):  # some proxies decode what they pass on
        doubtful = "//" in written or "\\" in written or "/../" in f"{written}/" or "/./" in f"{written}/"
        ours = ours and not doubtful and written.isprintable()
    return address if ours else "/"


def remember(request: Request, answer: Response, name: str, value: str, lasts: timedelta) -> None:
    """Have the browser keep a cookie: for us alone, out of scripts' reach, behind TLS only if it came so."""
    secure = request.url.scheme == "https"
    seconds = int(lasts.total_seconds())
    answer.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure)


def forget(request: Request, answer: Response, name: str) -> None:
    """Have the browser drop a cookie."""
    answer.delete_cookie(name, httponly=True, samesite="lax", secure=request.url.scheme == "https")


class Page(APIRoute):
    """A route whose errors are pages: what happened, and the way out. Its notices are sealed on their way."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # a coroutine
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                if session_of(request) is not None:
                    reads = reads_of(request)
                    request.state.waiting, request.state.site_names = await asyncio.gather(
                        reads.in_attention(), reads.site_names()
                    )
                return _with_notice(request, await handle(request))
            except NoSuchClient as unknown:
                return error_page(
                    request, 404, "There is no such client", f"No client has the id {unknown.client_id!r}. {NO_CLIENT}"
                )
            except NoSuchPage as unknown:
                return error_page(request, 404, "There is no such page", str(unknown))
            except Away as away:
                return await out_of_reach(request, away)
            except (StarterError, Refusal) as refused:
                return error_page(request, 409, "That cannot be done", str(refused))

        return answer


def _with_notice(request: Request, answer: Response) -> Response:
    session = session_of(request)
    if isinstance(answer, Redirect) and answer.notice and session is not None:
        sealed = session.seal(answer.notice, datetime.now(UTC) + NOTICE_LASTS)
        remember(request, answer, NOTICE_COOKIE, sealed, NOTICE_LASTS)
    return answer


SIGNED_OUT = "Sign in again in another tab. What you typed is kept here: then send it again."
SEND_AGAIN = "What you typed is kept here: send it again shortly, as it is. However often, it is done once."
NO_CLIENT = "The address may be mistyped; the list has all clients, the inactive ones too."
