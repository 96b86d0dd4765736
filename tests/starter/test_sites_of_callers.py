"""Claims about callers of different sites, pair by pair: neither sees anything of the other's clients by any route that
reads, whatever they ask for, and of another's client each is told what it is told of none. (test_same_work.py: after
the same work.)"""

import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from starter.contract.callers import Permission
from starter.web.roles import TABLE
from tests.support.service import Service, calling, number, unique

GETS = [path for route in TABLE for method, path in [route.split(" ", 1)] if method == "GET" and path != "/live"]
"""All that read, but for the stream, which a test below hears."""

EVERYTHING = {"inactive": "true", "snoozed": "true", "skipped": "true", "limit": "500"}


@dataclass
class Tenant:
    """A site with one client of everything, and callers of this site alone, by role."""

    site: str
    client: dict[str, Any]
    words: set[str]
    api: dict[str, httpx2.AsyncClient] = field(default_factory=dict)


async def tenant_of(service: Service, stack: AsyncExitStack) -> Tenant:
    mark = unique("q")[2:]
    site = await service.site(f"House {mark}")
    line = number()
    client = await service.create(
        f"Tenant {mark}",
        client_id=f"tenant-{mark}",
        site=site,
        billing_ref=f"REF-{mark}",
        lines=[{"number": line, "office": f"9.{mark}"}],
        internet={"down_mbps": 100, "up_mbps": 20},
        end_date="2001-01-01",
        start_date="2000-01-01",
        tags=[f"tag-{mark}"],
        external_ids={"crm": f"crm-{mark}"},
    )
    client_id = client["client_id"]
    assert (await service.post(client_id, "notes", text=f"note {mark}")).is_success
    planned = await service.post(client_id, "suspend", last_day="2099-03-31", reason=f"why {mark}", source=f"by-{mark}")
    assert planned.is_success
    async with service.directory() as connection:
        await connection.execute(
            "INSERT INTO matters (client_id, matter, kind, since, text, remedies) "
            "VALUES ($1, 'workflow', 'workflow_ended', now(), $2, '[]')",
            *(client_id, f"stopped {mark}"),
        )
    tenant = Tenant(site, client, {mark, line, line[3:]})
    for role in ("viewer", "operator"):
        token = {"name": f"{role}-{mark}", "role": role, "sites": [site]}
        answer = await service.api.post("/tokens", json=token)
        assert answer.status_code == 201, answer.text
        tenant.api[role] = await stack.enter_async_context(calling(service.url, answer.json()["token"]))
    return tenant


@pytest_asyncio.fixture(scope="module")
async def tenants(service: Service) -> AsyncIterator[tuple[Tenant, Tenant]]:
    async with AsyncExitStack() as stack:
        yield await tenant_of(service, stack), await tenant_of(service, stack)


def text_of(answer: httpx2.Response) -> str:
    """All that an answer says, in its headers too."""
    return body_of(answer) + str(answer.headers)


def body_of(answer: httpx2.Response) -> str:
    """The text of an answer; a workbook is unpacked."""
    if not answer.content.startswith(b"PK"):
        return answer.text
    book = zipfile.ZipFile(io.BytesIO(answer.content))
    return "".join(book.read(name).decode() for name in book.namelist())


def address(service: Service, path: str, client_id: str = "nobody-here", site: str = "nowhere") -> str:
    path = path.replace("{client_id}", client_id).replace("{site_id}", site)
    return service.url + path.replace("{change:path}", "suspend")


@pytest.mark.parametrize("path", GETS)
async def test_no_list_page_file_or_search_says_anything_of_another_site(
    service: Service, tenants: tuple[Tenant, Tenant], path: str
) -> None:
    for mine, other in (tenants, tenants[::-1]):
        api, theirs = mine.api["operator"], other.client
        queries: list[dict[str, str]] = [
            EVERYTHING,
            {"site": other.site, **EVERYTHING},
            *({"q": word, "inactive": "true"} for word in sorted(other.words)),
            {
                "from": theirs["client_id"],
                "tag": theirs["tags"][0],
                "external_id": f"crm:{theirs['external_ids']['crm']}",
            },
        ]
        own = address(service, path, mine.client["client_id"], mine.site)
        for query in queries:
            api.cookies.clear()  # or pages lead to the site that was chosen last
            answer = await api.get(own, params=query, headers={"Accept": "*/*" if "/api/" in path else "text/html"})
            query_text, text = " ".join(query.values()), text_of(answer)
            found = {word for word in other.words if word in text and word not in query_text}
            assert not found, (path, query, answer.status_code, text[:2000])


async def test_each_sees_its_own(service: Service, tenants: tuple[Tenant, Tenant]) -> None:
    """Or the test above would find nothing for another reason."""
    for mine in tenants:
        for path in ("/clients", "/matters", "/attention", "/sites"):
            page = (await mine.api["viewer"].get(path)).json()
            assert page["total"] == len(page["items"]) >= 1, path
            assert {it.get("site") or it["site_id"] for it in page["items"]} == {mine.site}
        for path in ("/clients.csv", "/clients.xlsx", "/upcoming", "/clients", "/matters", "/attention"):
            mine.api["viewer"].cookies.clear()
            answer = await mine.api["viewer"].get(service.url + path, headers={"Accept": "text/html"})
            assert mine.client["name"] in text_of(answer), path


async def test_no_command_reaches_anothers_client(service: Service, tenants: tuple[Tenant, Tenant]) -> None:
    for mine, other in (tenants, tenants[::-1]):
        before = await service.history(other.client["client_id"])
        for route, permission in TABLE.items():
            method, path = route.split(" ", 1)
            if method == "GET" or "{client_id}" not in path or permission is Permission.CREDENTIALS:
                continue
            answers = []
            for client_id in (other.client["client_id"], "tenant-00000000"):
                target = address(service, path, client_id).replace("{system}", "telephony").replace("{action}", "skip")
                target = target.replace("{matter:path}", "end_date_passed")
                form = {"text": "x", "add": "x", "reason": "x", "note": "x", "action": "suspend"}
                body: dict[str, Any] = {"data": form}
                if path.startswith("/api"):
                    needed = {"notes": {"text": "x"}, "skip": {"reason": "x"}, "mark-done": {"note": "x"}}
                    needed |= {"convert": {"to": "virtual"}, "assign": {"assigned_to": "me"}}
                    body = {} if method == "DELETE" else {"json": needed.get(path.rpartition("/")[2], {})}
                answer = await mine.api["operator"].request(method, target, **body)
                answers.append((answer.status_code, answer.text.replace(client_id, "X")))
            assert answers[0] == answers[1], route
            assert answers[0][0] == (403 if path.endswith("/erase") else 404), (
                route,
                answers[0],
            )  # admins see all sites
        assert await service.history(other.client["client_id"]) == before


async def test_what_is_taken_is_said_without_whose_it_is(service: Service, tenants: tuple[Tenant, Tenant]) -> None:
    mine, other = tenants
    api, theirs = mine.api["operator"], other.client
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
    async with mine.api["viewer"].stream("GET", f"{service.url}/live") as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 1000"
        await service.post(other.client["client_id"], "notes", text="changed there")
        await service.post(mine.client["client_id"], "notes", text="changed here")
        async for line in lines:
            if line == "event: changed":
                break


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
            for api in (service.api, mine.api["viewer"]):
                systems = (await api.get("/systems")).json()["items"]
                [found] = [it for it in systems if (it["system"], it["instance"]) == ("telephony", "main")]
                states.append((found["state"], found["last_error"]))
            assert states == [("failing", f"{line} was refused"), ("failing", "")]
        finally:
            await connection.execute("DELETE FROM system_states WHERE worker = $1", worker)
