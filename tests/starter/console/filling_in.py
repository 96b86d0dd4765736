"""Somebody who fills in the forms of the console in a browser without scripts."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import httpx2
import pytest_asyncio

from starter.console.rendering import NOTICE_COOKIE
from tests.support.service import TOKEN, Service
from tests.support.waiting import http_client


@dataclass
class Read(HTMLParser):
    """What a form would send as the page has it, and what is said in the page, by element id."""

    html: str
    forms: dict[str, dict[str, str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    tags: dict[str, dict[str, str | None]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._form, self._select, self._area = "", "", ""
        self._open: list[tuple[str, str]] = []
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name, value = found.get("name") or "", found.get("value") or ""
        if found.get("id"):
            self.tags[str(found["id"])] = found
        if tag == "form":
            self._form = str(found["action"])
            self.forms[self._form] = {}
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and "selected" in found:
            self.forms[self._form][self._select] = value
        elif tag == "textarea":
            self._area = name
            self.forms[self._form][name] = ""
        elif tag == "input" and name and (found.get("type") not in ("checkbox", "radio") or "checked" in found):
            self.forms[self._form][name] = value
        elif tag == "a":
            self.links.append(str(found.get("href")))
        if tag not in ("input", "meta", "link", "br", "option"):
            self._open.append((tag, str(found.get("id") or "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._area = ""
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[self._form][self._area] += data
        for _, name in self._open:
            if name and data.strip():
                self.texts[name] = f"{self.texts.get(name, '')} {data.strip()}".strip()


@dataclass
class Somebody:
    """Somebody who is signed in at a service, and has a browser without scripts."""

    http: httpx2.AsyncClient
    service: Service

    async def open(self, path: str, action: str = "") -> tuple[dict[str, str], Read]:
        """A form as a page has it, and the page."""
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        read = Read(answer.text)
        return dict(read.forms[action or path.partition("?")[0]]), read

    async def send(self, path: str, form: dict[str, str]) -> httpx2.Response:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.http.post(path, content=urlencode(form), headers=headers)

    async def sent(self, path: str, form: dict[str, str], status: int) -> Read:
        """The page that comes instead."""
        answer = await self.send(path, form)
        assert answer.status_code == status, answer.text
        return Read(answer.text)

    async def confirmed(self, path: str, form: dict[str, str], times: int = 1) -> tuple[str, str]:
        """Where it leads once it was previewed, and what was previewed was confirmed so many times."""
        page = await self.sent(path, form, 200)
        assert "What will happen" in page.html
        return [await self.done(path, page.forms[path]) for _ in range(times)][-1]

    async def done(self, path: str, form: dict[str, str]) -> tuple[str, str]:
        """Where it leads once it is done, and what is said there. Every page, list and count knows of it then."""
        answer = await self.send(path, form)
        assert answer.status_code == 303, answer.text
        there = urlsplit(answer.headers["Location"])
        if client := re.match("/clients/([^/]+)", there.path):
            await self.service.still(client[1])
        return there.path, unquote((answer.cookies.get(NOTICE_COOKIE) or "").split(".", 2)[-1])


@asynccontextmanager
async def signed_in(service: Service, url: str = "") -> AsyncIterator[Somebody]:
    """Ann, signed in with the token, at the service's own address or another one of it."""
    async with http_client(base_url=url or service.url, headers={"Accept": "text/html"}) as http:
        answer = await http.post("/sign-in", data={"token": TOKEN, "name": "ann"})
        assert answer.status_code == 303
        yield Somebody(http, service)


@pytest_asyncio.fixture(scope="session")
async def ann(service: Service) -> AsyncIterator[Somebody]:
    async with signed_in(service) as ann:
        yield ann


def at(client: dict[str, Any], what: str = "") -> str:
    return f"/clients/{client['client_id']}/edit{what}"
