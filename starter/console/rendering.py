"""What every page of the console shares: who looks, how it is rendered, forms, and what is said after them."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import ImmutableMultiDict

from starter.console import labels
from starter.console.auth.sessions import Session, seal, unseal
from starter.console.plans import cancel_words, last_day_before, subjects_text, when_word
from starter.contract.callers import Caller, Permission
from starter.directory.console import ConsoleReads
from starter.web import dependencies
from starter.web.dependencies import clients_of
from workflows.domain.text import trimmed
from workflows.wire.fields import MOST

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "connect_theme"
SITE_COOKIE = "connect_site"
YEAR = timedelta(days=365)  # that a choice is remembered
LONGEST_NOTICE = 300
NOTICE_LASTS = timedelta(minutes=1)
NOTICE_COOKIE = "connect_notice"  # the outcome of a form, shown once by the next page
PACKED = "packed"  # the field that carries many others
REFRESH = "Connect-Refresh"  # a page that was left open looks for news (live.js): nobody chose anything

templates = Environment(
    loader=PackageLoader("starter.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(
    labels.FILTERS, touched=subjects_text, last_day=last_day_before, when=when_word, cancel_words=cancel_words
)
templates.globals.update(fresh=lambda: uuid4().hex, most_changed=MOST)


class Form(ImmutableMultiDict[str, str]):
    """The fields of a form, in the body of a request or in its address."""

    @classmethod
    async def read(cls, request: Request) -> "Form":
        """The form that was sent, blanks stripped. No other page's comes this far (``sent_by_another_page``)."""
        pairs = request.query_params.multi_items()
        if request.method == "POST":
            pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        return cls.of(pairs)

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Form":
        """The form with these fields, and those that it carries in one, as an address has them."""
        fields: list[tuple[str, str]] = []
        for name, value in pairs:
            fields += parse_qsl(value, keep_blank_values=True) if name == PACKED else [(name, value)]
        return cls([(name, trimmed(value.replace("\r\n", "\n"))) for name, value in fields])

    def text(self, name: str) -> str:
        """The last value of a field; empty when there is none."""
        return self.get(name, "")

    def was(self, name: str) -> str:
        """What a field was when the form was opened."""
        return self.text(f"{labels.WAS}{name}")

    def opened(self, fields: Mapping[str, str]) -> "Form":
        """The same form, opened when its fields were these."""
        return Form([*self.multi_items(), *((f"{labels.WAS}{name}", value) for name, value in fields.items())])

    @property
    def initial(self) -> dict[str, str]:
        """What the form carries unseen: what its fields were when it was opened."""
        return {name: value for name, value in self.items() if name.startswith(labels.WAS)}


def session_of(request: Request) -> Session | None:
    """Who is signed in, as the guard found out."""
    session: Session | None = getattr(request.state, "session", None)
    return session


def reads_of(request: Request) -> ConsoleReads:
    """What the pages read of the directory, besides what everybody does, as far as the caller sees it."""
    reads: ConsoleReads = request.app.state.reads
    return reads.within(dependencies.caller_of(request).sites)


def caller_of(request: Request) -> str:
    """The name that the history has for a command: of whoever is signed in, or sent a token."""
    return dependencies.caller_of(request).name


def may(request: Request, permission: str) -> bool:
    """Whether who looks may do this: pages show no more."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller is not None and caller.may(Permission[permission])


def page(request: Request, template: str, status: int = 200, **content: Any) -> HTMLResponse:
    """A page, with what all of them need."""
    session = session_of(request)
    theme = request.cookies.get(THEME_COOKIE, THEMES[0])
    looked = request.method == "GET" and REFRESH not in request.headers
    now, sealed = datetime.now(UTC), request.cookies.get(NOTICE_COOKIE, "") if looked else ""
    context = {
        "path": request.url.path,
        "here": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        "session": session,
        "may": partial(may, request),
        "theme": theme if theme in THEMES else THEMES[0],
        "now": now,
        "waiting": getattr(request.state, "waiting", (0, False)),
        "site_names": getattr(request.state, "site_names", {}),
        "system_title": clients_of(request).catalogue.title,
        "system_phrase": clients_of(request).catalogue.phrase,
        "notice": unseal(session.key, sealed, now) if session else "",
        **content,
    }
    answer = HTMLResponse(templates.get_template(template).render(context), status)
    answer.headers["Cache-Control"] = "no-store"
    if sealed:
        forget(request, answer, NOTICE_COOKIE)
    return answer


def redirect(request: Request, path: str, notice: str = "", **query: str) -> RedirectResponse:
    """Look at a path of ours next (303): a reload then repeats no command. That page shows ``notice``, once."""
    named = urlencode({name: value for name, value in query.items() if value})
    answer, session = RedirectResponse(f"{path}?{named}" if named else path, 303), session_of(request)
    if notice and session is not None:
        notice = labels.with_dates(notice)
        notice = notice if len(notice) <= LONGEST_NOTICE else f"{notice[: LONGEST_NOTICE - 1]}…"
        sealed = seal(session.key, notice, datetime.now(UTC) + NOTICE_LASTS)
        remember(request, answer, NOTICE_COOKIE, sealed, NOTICE_LASTS)
    return answer


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


async def _frame(request: Request) -> None:
    """What the frame of every page shows."""
    if session_of(request) is not None:
        reads = reads_of(request)
        request.state.waiting, request.state.site_names = await asyncio.gather(
            reads.open_matters(datetime.now(UTC)), reads.site_names()
        )


def page_router() -> APIRouter:
    """A router of pages, which are not in the API's reference."""
    return APIRouter(include_in_schema=False, dependencies=[Depends(_frame)])
