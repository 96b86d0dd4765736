"""Claims about what takes time: of another site's client, or site, a caller is answered as of one that there is not,
after the same questions to the database and to Temporal, by every route. No clock is looked at."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import Any, Self

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI
from temporalio.service import ServiceClient

from starter.console.calendar_feed import feed_path
from starter.contract.callers import Role
from starter.web.dependencies import API
from starter.web.roles import TABLE
from tests.starter.test_sites_of_callers import (
    ASSISTANT,
    CALENDAR,
    LIMITED,
    STREAM,
    Tenant,
    address,
    calls_of_tools,
    difference,
    form_about,
    taken_by,
    tenant_of,
    text_of,
)
from tests.support.service import TOKEN, Service, unique

QUERIES_OF_REQUEST: ContextVar[list[str] | None] = ContextVar("asked", default=None)
"""What is asked for the sake of one request, by whoever works on it."""

WHO_CALLS = " tokens "
"""Whose token it is is looked up every few seconds, and its use noted, whatever is asked for."""

QUERIES = ("execute", "executemany", "fetch", "fetchrow", "fetchval")
NEEDED: dict[str, dict[str, Any]] = {
    "POST /api/v1/sites": {"name": "Another", "timezone": "Europe/London"},
    "PATCH /api/v1/sites/{site_id}": {"name": "Another"},
    "POST /api/v1/clients/{client_id}/notes": {"text": "x"},
    "POST /api/v1/clients/{client_id}/convert": {"to": "virtual"},
    "POST /api/v1/clients/{client_id}/systems/{system}/skip": {"reason": "x"},
    "POST /api/v1/clients/{client_id}/systems/{system}/mark-done": {"note": "x"},
    "POST /api/v1/clients/{client_id}/matters/{matter:path}/assign": {"assigned_to": "me"},
    "POST /api/v1/clients/{client_id}/matters/{matter:path}/snooze": {"snoozed_until": "2199-01-01"},
    "POST /api/v1/matters/{matter:path}/assign": {"assigned_to": "me"},
}
"""What the API takes of a body. The console's forms are sent all fields that any of them has."""

ELSEWHERE = {"POST /sign-out", "POST /theme", STREAM}
"""About no client and no site; and a stream, which test_sites_of_callers.py hears."""


@pytest.fixture
def noting(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the service asks is noted, by its text: queries, transactions, and calls of Temporal."""

    def noted(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(self: object, *values: Any, **named: Any) -> Any:
            what = str(next(iter((*values, *named.values()))))
            made = getattr(self, "_proxy", self) is not None  # what a connection asks that a pool makes is its own
            if made and WHO_CALLS not in what and (queries := QUERIES_OF_REQUEST.get()) is not None:
                queries.append(what)
            return await original(self, *values, **named)

        return call

    for name in QUERIES:
        monkeypatch.setattr(asyncpg.Connection, name, noted(getattr(asyncpg.Connection, name)))
    temporal: type[ServiceClient] = type(service.temporal.service_client)
    monkeypatch.setattr(temporal, "_rpc_call", noted(temporal._rpc_call))


@pytest_asyncio.fixture(scope="module")
async def pair(service: Service) -> AsyncIterator[tuple[Tenant, Tenant]]:
    async with AsyncExitStack() as stack:
        yield await tenant_of(service, stack), await tenant_of(service, stack)


@dataclass(frozen=True)
class Names:
    """What a request may name of a client and its site."""

    client: str
    site: str
    number: str
    tag: str
    crm: str

    @classmethod
    def of(cls, client: dict[str, Any]) -> Self:
        [line] = client["lines"]
        return cls(
            *(client["client_id"], client["site"], line["number"].lstrip("+")),
            *(client["tags"][0], client["external_ids"]["crm"]),
        )

    def of_nobody(self) -> "Names":
        """Names of the same form that are nobody's."""
        return Names(**{name: re.sub("[0-9]", "7", re.sub("[a-z]", "n", it)) for name, it in asdict(self).items()})

    def taken_out(self, text: str, request: dict[str, Any]) -> str:
        """The text without those of the names that the request has."""
        for name in asdict(self).values():
            text = text.replace(name, "") if name in str(request) else text
        return text


LISTS = (
    {"site": "{site}"},
    {"q": "{client}"},
    {"q": "{number}"},
    {"client": "{client}", "from": "{client}", "tag": "{tag}", "external_id": "crm:{crm}"},
)
"""How a list is asked for what is of one client or site."""


def requests(service: Service, app: FastAPI, route: str, names: Names, token_id: str) -> Iterator[dict[str, Any]]:
    """What is sent to a route about this client and this site."""
    method, path = route.split(" ", 1)
    about: dict[str, Any] = {"method": method, "url": address(service, path, names.client, names.site)}
    if route == CALENDAR:
        yield about | {"url": service.url + feed_path(TOKEN, names.site, token_id)}
    elif route == ASSISTANT:
        for _, call in calls_of_tools(app, names.client, names.site):
            yield about | call
    elif method == "GET":
        for query in LISTS if "{" not in route else ({},):
            params = {name: value.format(**asdict(names)) for name, value in query.items()}
            yield about | {"params": taken_by(app, path, params)}
    elif not path.startswith(API):
        yield about | {"data": form_about(names.client, names.site)}
    elif method == "DELETE":
        yield about
    else:
        new = {"name": "New", "type": "virtual", "site": names.site, "lines": []}
        yield about | {"json": new if route == "POST /api/v1/clients" else NEEDED.get(route, {})}


@pytest.mark.usefixtures("noting")
@pytest.mark.parametrize("role", LIMITED)
async def test_what_is_hidden_takes_the_same_work_as_what_is_not_there(
    service: Service, app: FastAPI, pair: tuple[Tenant, Tenant], role: Role
) -> None:
    mine, other = pair
    hidden = Names.of(other.client)
    token, work, wrong = mine.tokens[role], 0, []
    history = await service.history(hidden.client)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url=service.url,
        headers={"Authorization": f"Bearer {token['token']}"},
    ) as caller:

        async def answer_to(request: dict[str, Any], names: Names) -> tuple[int, str, list[str]]:
            queries: list[str] = []
            began = QUERIES_OF_REQUEST.set(queries)
            caller.cookies.clear()  # or pages lead to the site that was chosen last
            try:
                answer = await caller.request(**request)
            finally:
                QUERIES_OF_REQUEST.reset(began)
            text = names.taken_out(text_of(answer), request)
            return answer.status_code, text, sorted(queries)  # some are asked side by side

        for route in sorted({*TABLE, CALENDAR} - ELSEWHERE):
            caller.headers["Accept"] = "*/*" if API in route else "text/html"
            both = (hidden, nobody := hidden.of_nobody())
            for request, other_request in zip(
                *(requests(service, app, route, names, token["token_id"]) for names in both), strict=True
            ):
                one = await answer_to(request, hidden)
                another = await answer_to(other_request, nobody)
                work += len(one[2])
                if one != another:
                    texts = ("\n".join((f"{status}", text, *queries)) for status, text, queries in (one, another))
                    wrong.append((route, request, *difference(*texts)))
                if "{client_id}" in route:
                    assert one[0] in (403, 404), (route, one)
    assert not wrong, wrong
    assert work > 100, "what is asked is noted"
    assert await service.history(hidden.client) == history


@pytest.mark.usefixtures("noting")
async def test_a_service_is_asked_about_no_more_than_an_operator(service: Service, app: FastAPI) -> None:
    """The plans of others are looked at only by what could cancel or replace one."""
    transport, work = httpx2.ASGITransport(app=app), []
    for role in ("operator", "service"):
        client_id = (await service.create())["client_id"]
        token = (await service.api.post("/tokens", json={"name": unique(role), "role": role})).json()["token"]
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": unique("key")}
        queries: list[str] = []
        began = QUERIES_OF_REQUEST.set(queries)
        try:
            async with httpx2.AsyncClient(transport=transport, base_url=service.url, headers=headers) as caller:
                answer = await caller.post(f"/api/v1/clients/{client_id}/suspend", json={})
        finally:
            QUERIES_OF_REQUEST.reset(began)
        assert answer.is_success, answer.text
        work.append(sorted(query for query in queries if " " in query))  # Temporal is asked until it has the answer
    assert work[0] == work[1]
    assert work[0], "what is asked is noted"
