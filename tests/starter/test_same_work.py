"""Claims about what takes time: of another site's client, or site, a caller is answered as of one that there is not,
after the same questions to the database and to Temporal, by every route. No clock is looked at."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from contextvars import ContextVar
from difflib import ndiff
from typing import Any

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from temporalio.service import ServiceClient

from starter.app import create_app
from starter.web.roles import TABLE
from tests.starter.test_sites_of_callers import Tenant, address, body_of, tenant_of
from tests.support.service import TOKEN, Service, unique

QUERIES_OF_REQUEST: ContextVar[list[str] | None] = ContextVar("asked", default=None)
"""What is asked for the sake of one request, by whoever works on it."""

WHO_CALLS = " tokens "
"""Whose token it is is looked up every few seconds, and its use noted, whatever is asked for."""

QUERIES = ("execute", "executemany", "fetch", "fetchrow", "fetchval")
EVER_NEW = re.compile(r'name="command_id" value="\w+"|\d+( seconds?| minutes?| hours?)?')
"""What is another in each answer: keys of forms, and the time."""
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
    "POST /api/v1/mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
}
"""What the API takes of a body. The console's forms are sent all fields that any of them has."""

ELSEWHERE = {"POST /sign-out", "POST /theme", "GET /live"}
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


async def send(
    caller: httpx2.AsyncClient, service: Service, route: str, client_id: str, site: str, query: dict[str, str]
) -> tuple[httpx2.Response, list[str]]:
    """The answer to a request about this client and this site, and what was asked for it."""
    method, path = route.split(" ", 1)
    target = address(service, path, client_id, site).replace("{system}", "telephony").replace("{action}", "skip")
    target = target.replace("{matter:path}", "end_date_passed").replace("{verb}", "assign")
    target = target.replace("{token_id}", "abcdefghij")
    body: dict[str, Any] = {}
    if path.startswith("/api") and method in ("POST", "PATCH"):
        body = {"json": new_client(site) if route == "POST /api/v1/clients" else NEEDED.get(route, {})}
    elif method == "POST":
        about = dict.fromkeys(("client", "clients", "shown", "like", "from"), client_id)
        words = dict.fromkeys(("text", "add", "reason", "note", "name", "matter", "assigned_to"), "x")
        body = {"data": words | about | {"site": site, "action": "suspend", "type": "virtual", "next": "/clients"}}
    queries: list[str] = []
    began = QUERIES_OF_REQUEST.set(queries)
    caller.cookies.clear()  # or pages lead to the site that was chosen last
    try:
        answer = await caller.request(method, target, params=query, **body)
    finally:
        QUERIES_OF_REQUEST.reset(began)
    return answer, queries


def new_client(site: str) -> dict[str, Any]:
    return {"name": "New", "type": "virtual", "site": site, "lines": []}


ABOUT: tuple[dict[str, str], ...] = (
    {},
    {"site": "{site}"},
    {"q": "{client}"},
    {"client": "{client}"},
    {"from": "{client}"},
)
"""How a list is asked for what is of one client or site."""


def difference(answers: list[tuple[int, str, list[str]]]) -> Iterator[str]:
    """The lines that one of two answers has alone, of its text and of what was asked for it."""
    one, other = ([f"{status}", *text.splitlines(), *queries] for status, text, queries in answers)
    return (line[:300] for line in ndiff(one, other) if line[:2] in ("+ ", "- "))


@pytest.mark.usefixtures("noting")
@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_what_is_hidden_takes_the_same_work_as_what_is_not_there(
    service: Service, pair: tuple[Tenant, Tenant], role: str
) -> None:
    mine, other = pair
    hidden, nothing = (
        (other.client["client_id"], other.site),
        ("n" * len(other.client["client_id"]), "z" * len(other.site)),
    )
    headers, compared = {"Authorization": mine.api[role].headers["Authorization"]}, 0
    transport = httpx2.ASGITransport(
        app=create_app(service.clients, TOKEN)
    )  # in this task: its questions are told apart
    async with httpx2.AsyncClient(transport=transport, base_url=service.url, headers=headers) as caller:
        for route in (it for it in TABLE if it not in ELSEWHERE):
            caller.headers["Accept"] = "*/*" if "/api/" in route else "text/html"
            for query in ABOUT if route.startswith("GET") and "{" not in route else ABOUT[:1]:
                answers = []
                for client_id, site in (hidden, nothing):
                    named = {name: value.format(client=client_id, site=site) for name, value in query.items()}
                    answer, queries = await send(caller, service, route, client_id, site, named)
                    text = body_of(answer).replace(client_id, "").replace(site, "")
                    answers.append(
                        (answer.status_code, EVER_NEW.sub("", text), sorted(queries))
                    )  # some are asked side by side
                    compared += len(queries)
                assert answers[0] == answers[1], (route, query, *difference(answers))
    assert compared > 100, "what is asked is noted"


@pytest.mark.usefixtures("noting")
async def test_a_service_is_asked_about_no_more_than_an_operator(service: Service) -> None:
    """The plans of others are looked at only by what could cancel or replace one."""
    transport, work = httpx2.ASGITransport(app=create_app(service.clients, TOKEN)), []
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
