"""Claims about callers of different sites, pair by pair: what there is at another site changes no answer to a caller,
by any route, whatever its role. (test_same_work.py: of another's client or site each is told what it is told of none,
after the same work.)"""

import asyncio
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from difflib import ndiff
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from starter.api import events
from starter.api.assistants import tools
from starter.console.calendar_feed import feed_path
from starter.contract.callers import Caller, Role
from starter.web.roles import TABLE
from tests.support.service import TOKEN, Service, calling, number, unique
from tests.support.waiting import HANGING, eventually, unless_it_hangs

LIMITED = [role for role in Role if role is not Role.ADMIN]
"""Roles that may be limited to sites."""

STREAM = "GET /live"
"""A test below hears it: it has no end. Another hears the stream of ``GET /api/v1/events``."""

CALENDAR = "GET /upcoming.ics"
"""It is in no table: it is for whoever has its address."""

ASSISTANT = "POST /api/v1/mcp"
EVERYTHING = {"inactive": "true", "snoozed": "true", "skipped": "true", "limit": "500"}
PLACES = {"system": "telephony", "action": "skip", "verb": "assign", "change:path": "suspend", "token_id": "abcdefghij"}
PLACES |= {"matter:path": "end_date_passed", "webhook_id": "abcdefghij"}
"""What stands in the address of a route, besides clients and sites."""

CHANGED = {"GET /clients.csv", "GET /clients.xlsx", "GET /api/v1/clients", "GET /api/v1/matters", CALENDAR}
"""What whoever sees all sites is answered otherwise once there is one more client of everything, of however many:
whole files, and totals. A first page may stay as it is."""

EVER_NEW = re.compile(r'name="command_id" value="\w+"|\d+ (s|min|h|seconds?|minutes?|hours?)\b|"(last|next|seq)":\d+')
"""What is another in each answer: keys of forms, the time, and how much happened anywhere, which callers may know."""

OF_EACH_ANSWER = {"content-length", "x-request-id"}


@dataclass
class Tenant:
    """A site with one client of everything, and callers of this site alone, by role."""

    site: str
    client: dict[str, Any]
    mark: str
    api: dict[Role, httpx2.AsyncClient] = field(default_factory=dict)
    tokens: dict[Role, dict[str, str]] = field(default_factory=dict)
    """What the API answered of them."""


async def tenant_of(service: Service, stack: AsyncExitStack) -> Tenant:
    mark = unique("q")[2:]
    site = await service.site(f"House {mark}")
    tenant = Tenant(site, await client_of_everything(service, site, mark), mark)
    for role in LIMITED:
        token = {"name": f"{role}-{mark}", "role": role, "sites": [site]}
        answer = await service.api.post("/tokens", json=token)
        assert answer.status_code == 201, answer.text
        tenant.tokens[role] = answer.json()
        tenant.api[role] = await stack.enter_async_context(calling(service.url, answer.json()["token"]))
    return tenant


async def client_of_everything(service: Service, site: str, mark: str) -> dict[str, Any]:
    """A client that is in every list, when all that happened to it is told."""
    client = await service.create(
        f"Tenant {mark}",
        client_id=f"tenant-{mark}",
        site=site,
        billing_ref=f"REF-{mark}",
        lines=[{"number": number(), "office": f"9.{mark}"}],
        internet={"down_mbps": 100, "up_mbps": 20},
        end_date="2001-01-01",
        start_date="2000-01-01",
        tags=[f"tag-{mark}"],
        external_ids={"crm": f"crm-{mark}"},
    )
    client_id = client["client_id"]
    assert (await service.post(client_id, "notes", text=f"note {mark}")).is_success
    planned = await service.post(
        client_id, "suspend", last_day="2099-03-31", reason=f"why {mark}", source=f"service-{mark}"
    )
    assert planned.is_success
    async with service.directory() as connection:
        await connection.execute(
            "INSERT INTO matters (client_id, matter, kind, since, text, remedies) "
            "VALUES ($1, 'workflow', 'workflow_ended', now(), $2, '[]')",
            *(client_id, f"stopped {mark}"),
        )
    await service.still(client_id)

    waiting = "SELECT count(*) FROM events_waiting JOIN history USING (history_id) WHERE client_id = $1"

    async def numbered() -> bool:
        async with service.directory() as connection:
            return not await connection.fetchval(waiting, client_id)

    await eventually(numbered)
    return client


@pytest_asyncio.fixture(scope="module")
async def tenants(service: Service) -> AsyncIterator[tuple[Tenant, Tenant]]:
    async with AsyncExitStack() as stack:
        yield await tenant_of(service, stack), await tenant_of(service, stack)


def text_of(answer: httpx2.Response) -> str:
    """The text of an answer, without what is ever new; a workbook is unpacked."""
    if not answer.content.startswith(b"PK"):
        return EVER_NEW.sub("", answer.text)
    book = zipfile.ZipFile(io.BytesIO(answer.content))
    return "".join(book.read(name).decode() for name in book.namelist() if name.startswith("xl/"))


def address(service: Service, path: str, client_id: str, site: str) -> str:
    for name, value in (PLACES | {"client_id": client_id, "site_id": site}).items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, "what is to stand there?"
    return service.url + path


def calls_of_tools(app: FastAPI, client_id: str, site: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """A call of each tool that assistants have, about this client and this site, and the route that it is."""
    arguments = {"client_id": client_id, "q": client_id, "site_id": site, "to": "virtual", "internet": "none"}
    arguments |= {"change": "suspend", "system": "telephony"} | dict.fromkeys(("text", "reason", "note"), "x")
    routes = {route.replace(":path}", "}"): route for route in TABLE}
    for name, tool in tools(app.openapi()).items():
        given = {key: value for key, value in arguments.items() if key in tool.where}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": given}}
        yield (
            routes[f"{tool.method} {tool.path}"],
            {"headers": {"Accept": "application/json, text/event-stream"}, "json": call},
        )


def taken_by(app: FastAPI, path: str, query: dict[str, str]) -> dict[str, str]:
    """What a route takes of a query; pages leave alone what they do not know."""
    described = app.openapi()["paths"].get(path)
    names = {it["name"] for it in described["get"].get("parameters", ())} if described else query
    return {name: value for name, value in query.items() if name in names}


def difference(one: str, other: str) -> list[str]:
    """The lines that one of two answers has alone."""
    lines = ndiff(one.splitlines(), other.splitlines())
    return [line[:300] for line in lines if line[:2] in ("+ ", "- ")]


def today() -> tuple[date, date]:
    """Here, and at the sites."""
    now = datetime.now(UTC)
    return now.date(), now.astimezone(ZoneInfo("Europe/London")).date()


def form_about(client_id: str, site: str) -> dict[str, str]:
    """All fields that any form of the console has."""
    about = dict.fromkeys(("client", "clients", "shown", "like", "from"), client_id)
    words = dict.fromkeys(("text", "add", "reason", "note", "name", "matter", "assigned_to"), "x")
    return words | about | {"site": site, "action": "suspend", "type": "virtual", "next": "/clients"}


def readings(
    service: Service, app: FastAPI, tenant: Tenant, token_id: str
) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Every request that reads, or checks a form, about all that there is, or about what is the tenant's own: its
    route, its method, its address, and what it is sent with."""
    client_id, site = tenant.client["client_id"], tenant.site
    form = form_about(client_id, site) | {"source": f"service-{tenant.mark}"}
    for route in TABLE:
        method, path = route.split(" ", 1)
        own = address(service, path, client_id, site)
        accept = {"headers": {"Accept": "*/*" if "/api/" in path else "text/html"}}
        if route == ASSISTANT:
            for tool, call in calls_of_tools(app, client_id, site):
                yield tool, method, own, call
        elif method == "GET" and route != STREAM:
            yield route, method, own, accept | {"params": taken_by(app, path, EVERYTHING)}
        elif path.endswith(("/check", ".csv")):
            yield route, method, own, accept | {"data": form}
    for of_site in ("", site):
        yield CALENDAR, "GET", service.url + feed_path(TOKEN, of_site, token_id), {}


async def answers_to(
    service: Service, app: FastAPI, tenant: Tenant, token_id: str, token: str
) -> dict[tuple[str, str], tuple[int, str]]:
    """What every request is answered that reads, with this token."""
    found = {}
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(
        transport=transport, base_url=service.url, headers={"Authorization": f"Bearer {token}"}
    ) as caller:
        for route, method, target, sent in readings(service, app, tenant, token_id):
            caller.cookies.clear()  # or pages lead to the site that was chosen last
            answer = await caller.request(method, target, **sent)
            assert (route, target) not in found
            headers = {name: value for name, value in answer.headers.items() if name not in OF_EACH_ANSWER}
            found[route, target] = answer.status_code, f"{text_of(answer)}\n{headers}"
    return found


@pytest.mark.parametrize("role", [*LIMITED, None])
async def test_what_there_is_at_another_site_changes_no_answer(
    service: Service, app: FastAPI, tenants: tuple[Tenant, Tenant], role: Role | None
) -> None:
    """No list, count, event, search, suggestion, file, calendar, or tool of an assistant. Without a role: whoever is
    limited to no site is answered otherwise, or the test would find nothing for another reason."""
    mine, other = tenants
    made = mine.tokens[role] if role else {"token_id": "", "token": TOKEN}
    day = None
    while day != today():  # pages show it
        day, mark = today(), unique("q")[2:]
        before = await answers_to(service, app, mine, made["token_id"], made["token"])
        await client_of_everything(service, other.site, mark)
        after = await answers_to(service, app, mine, made["token_id"], made["token"])
    changed = {route for route, target in before if before[route, target] != after[route, target]}
    if role is None:
        assert changed >= CHANGED, CHANGED - changed
        return
    assert not changed, {it: difference(before[it][1], after[it][1]) for it in before if it[0] in changed}
    for (route, target), (status, text) in after.items():
        if target.endswith("/mcp"):
            assert " is missing. Give it." not in text, (route, text)
            continue
        may = route == CALENDAR or Caller("limited", role, (mine.site,)).may(TABLE[route])
        assert (status in (200, 303, 307)) == may, (route, status, text)


async def test_each_sees_its_own(service: Service, tenants: tuple[Tenant, Tenant]) -> None:
    """Or the test above would find nothing for another reason."""
    for mine in tenants:
        for path in ("/clients", "/matters", "/attention", "/sites"):
            page = (await mine.api[Role.VIEWER].get(path)).json()
            assert page["total"] == len(page["items"]) >= 1, path
            assert {it.get("site") or it["site_id"] for it in page["items"]} == {mine.site}
        for path in ("/clients.csv", "/clients.xlsx", "/upcoming", "/clients", "/matters", "/attention"):
            mine.api[Role.VIEWER].cookies.clear()
            answer = await mine.api[Role.VIEWER].get(service.url + path, headers={"Accept": "text/html"})
            assert mine.client["name"] in text_of(answer), path


async def test_what_is_taken_is_said_without_whose_it_is(service: Service, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    api, theirs = mine.api[Role.OPERATOR], other.client
    new = {"name": "New", "type": "virtual", "site": mine.site}
    taken: list[dict[str, Any]] = [
        {"lines": [{"number": theirs["lines"][0]["number"]}]},
        {"billing_ref": theirs["billing_ref"].lower()},
        {"external_ids": theirs["external_ids"]},
        {"client_id": theirs["client_id"]},
    ]
    for fields in taken:
        answer = await api.post("/clients", json=new | fields)
        assert answer.status_code == 409, answer.text
        text = answer.text
        for value in (theirs["lines"][0]["number"], theirs["billing_ref"].lower(), theirs["external_ids"]["crm"]):
            text = text.replace(value, "")
        if "client_id" not in fields:
            assert theirs["client_id"] not in text
            assert theirs["name"] not in text
    elsewhere = await api.post("/clients", json=new | {"site": other.site})
    nowhere = await api.post("/clients", json=new | {"site": "x" * len(other.site)})
    assert elsewhere.status_code == nowhere.status_code == 422
    assert elsewhere.text.replace(other.site, "") == nowhere.text.replace("x" * len(other.site), "")
    form = {
        "name": "New",
        "type": "virtual",
        "site": mine.site,
        "billing_ref": theirs["billing_ref"],
        "external_ids": f"crm:{theirs['external_ids']['crm']}",
        "number-0": theirs["lines"][0]["number"],
    }
    page = await api.post(f"{service.url}/clients/new/check", data=form, headers={"Accept": "text/html"})
    assert page.text.count("another client") == 3, page.text
    assert theirs["client_id"] not in page.text
    namesake = {"name": theirs["name"], "type": "residential", "site": mine.site}
    office = theirs["lines"][0]["office"]
    warned = await api.post("/clients", json=namesake | {"lines": [{"number": number(), "office": office}]})
    assert (warned.status_code, warned.json()["warnings"]) == (201, [])


async def test_a_stream_tells_of_its_own_sites_alone(service: Service, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    async with mine.api[Role.VIEWER].stream("GET", f"{service.url}/live") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        await service.post(other.client["client_id"], "notes", text="changed there")
        await service.post(mine.client["client_id"], "notes", text="changed here")
        async for line in lines:
            if line == "event: changed":
                break


async def listening(
    api: httpx2.AsyncClient, query: dict[str, str], after: int, until: asyncio.Future[int]
) -> list[dict[str, str]]:
    """The blocks of a stream of events, each by its fields, until it has read as far as this number."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    told, block = list[dict[str, str]](), dict[str, str]()
    async with api.stream("GET", "/events", params=query, headers=headers, timeout=HANGING) as stream:
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            block |= {name: value} if line else {}
            if not line:
                told, block = [*told, block], {}
                if until.done() and int(told[-1].get("id", 0)) >= until.result():
                    return told
    raise AssertionError("it has ended")


@pytest.mark.parametrize("role", LIMITED)
async def test_streams_of_events_and_who_waits_for_one_hear_of_their_own_sites_alone(
    service: Service, tenants: tuple[Tenant, Tenant], role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By no event, id, count or sign of life, live or read later; nor is anything said when something happens
    elsewhere: signs of life come by the clock alone, which the second time stands still."""
    for (mine, other), sign in ((tenants, 0.2), (tenants[::-1], 10 * HANGING)):
        monkeypatch.setattr(events, "SIGN_OF_LIFE", sign)
        own, theirs = [(await service.create(site=it.site))["client_id"] for it in (mine, other)]
        after = [(await told_of(service, it))[-1]["seq"] for it in (own, theirs)]
        last, until = max(after), asyncio.get_running_loop().create_future()
        api, elsewhere = mine.api[role], [{"site": other.site}, {"client": theirs}]
        async with unless_it_hangs(), asyncio.TaskGroup() as tasks:
            queries = [{}, {"site": mine.site}, *(elsewhere if sign < HANGING else ())]
            streams = [tasks.create_task(listening(api, query, last, until)) for query in queries]
            waiting = tasks.create_task(api.get("/events", params={"after": last, "wait": 60}, timeout=HANGING))
            for client_id in (theirs, own):
                await service.post(client_id, "suspend", wait=0)
                happened = await told_of(service, client_id, last)
            until.set_result(happened[-1]["seq"])
            await service.post(own, "unsuspend", wait=0)  # a block more, or who has read them all would wait for one
        assert {it["client_id"] for it in happened} == {own}
        for query, stream in zip(queries, streams, strict=True):
            blocks = stream.result()
            said = [json.loads(block["data"]) for block in blocks if "data" in block]
            assert [it for it in said if it["seq"] <= until.result()] == ([] if query in elsewhere else happened), query
            silent = [block for block in blocks if "data" not in block]
            assert silent[0] == {"retry": "1000"}
            assert {it.keys() == {"", "id"} and it[""] == "still here" for it in silent[1:]} <= {True}
            assert sign < HANGING or silent == silent[:1], "it spoke when something happened elsewhere"
        found = waiting.result().json()["items"]
        assert found
        assert found == happened[: len(found)]
        for query in elsewhere:
            page = (await api.get("/events", params={**query, "after": last, "wait": 1})).json()
            assert (page["items"], page.keys()) == ([], {"items", "next", "last"})


async def told_of(service: Service, client_id: str, after: int = 0) -> list[dict[str, Any]]:
    """The events of a client as whoever sees all sites is told them, once all that was decided is proven."""

    async def settled() -> list[dict[str, Any]]:
        page = await service.api.get("/events", params={"client": client_id, "after": after})
        items: list[dict[str, Any]] = page.json()["items"]
        assert items
        assert (items[-1]["kind"], items[-1]["settled"]) == ("proven", True)
        return items

    return await eventually(settled)


async def test_errors_of_shared_systems_are_not_told(service: Service, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    worker, line = unique("worker"), other.client["lines"][0]["number"]
    async with service.directory() as connection:
        await connection.execute(
            "INSERT INTO system_states (system, worker, state, since, last_error, last_failure_at, updated_at) "
            "VALUES ('telephony', $1, 'failing', now(), $2, now(), now())",
            *(worker, f"{line} was refused"),
        )
        try:
            states = []
            for api in (service.api, mine.api[Role.VIEWER]):
                systems = (await api.get("/systems")).json()["items"]
                [found] = [it for it in systems if (it["system"], it["instance"]) == ("telephony", "main")]
                states.append((found["state"], found["last_error"]))
            assert states == [("failing", f"{line} was refused"), ("failing", "")]
        finally:
            await connection.execute("DELETE FROM system_states WHERE worker = $1", worker)
