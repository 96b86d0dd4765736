"""Claims about what is typed: it is kept when it cannot be done, done once, and never done as something else."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Message
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.database import Database
from activities.settings import Settings
from starter.app import create_app
from starter.clients import ClientService
from starter.console.auth.sessions import COOKIE, Sessions
from starter.directory.console import ConsoleReads
from starter.directory.reads import DirectoryReads
from starter.serve import server_of
from starter.temporal.gateway import Gateway
from tests.support.service import HOME, LIMITS, TOKEN, Service, number, running, serving, unique
from tests.support.waiting import eventually, free_port, http_client

HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@asynccontextmanager
async def visiting(service: Service, url: str = "", name: str = "ann") -> AsyncIterator[httpx2.AsyncClient]:
    """A browser without a window, which says where its forms come from; ``name`` is signed in."""
    home = url or service.url
    headers = {"Accept": "text/html", "Origin": home}
    async with http_client(base_url=home, headers=headers) as browser:
        browser.cookies.set(COOKIE, await Sessions(service.clients.directory.database, TOKEN).begin(name, HOME) or "")
        yield browser


def fields_of(page: str, action: str) -> dict[str, str]:
    """What the form with this action carries."""
    begun = re.search(rf'<form[^>]* method="post" action="{re.escape(action)}"', page)
    assert begun, page
    form = page[begun.start() :]
    return {unescape(name): unescape(value) for name, value in HIDDEN.findall(form[: form.index("</form>")])}


async def preview_fields(browser: httpx2.AsyncClient, client_id: str, **fields: str) -> dict[str, str]:
    """What confirms a preview."""
    page = await browser.post(f"/clients/{client_id}/status/check", data=fields)
    assert page.status_code == 200, page.text
    return fields_of(page.text, f"/clients/{client_id}/status")


async def test_a_caller_who_leaves_in_the_middle_of_a_form_is_no_mistake_of_ours(service: Service) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"host", HOME.removeprefix("http://").encode()), (b"authorization", f"Bearer {TOKEN}".encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/clients/new",
        "query_string": b"",
        "headers": headers,
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 9),
        "http_version": "1.1",
    }
    await create_app(service.clients, TOKEN)(scope, receive, send)
    assert sent[0]["status"] == 400


# -- kept -------------------------------------------------------------------------------------------------------------


async def test_a_form_that_meets_an_ended_session_is_kept_and_sent_again(service: Service) -> None:
    name = unique("Kept & <b>")
    async with visiting(service, name=unique("late")) as browser:
        form = fields_of((await browser.get("/clients/new")).text, "/clients/new")
        browser.cookies.delete(COOKIE)
        typed = form | {"name": name, "site": "thames", "type": "virtual", "activation": "automatic"}
        refused = await browser.post("/clients/new", data=typed)
        assert refused.status_code == 401
        assert "You are signed out" in refused.text
        assert "Kept &amp; &lt;b&gt;" in refused.text
        browser.cookies.set(COOKIE, await Sessions(service.clients.directory.database, TOKEN).begin("ann", HOME) or "")
        done = await browser.post("/clients/new", data=fields_of(refused.text, "/clients/new"))
        assert done.status_code == 303, done.text
    found = (await service.api.get("/clients", params={"q": name})).json()["items"]
    assert [client["name"] for client in found] == [name]


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["another host", "a sandbox", "another site"],
)
async def test_nothing_of_a_form_from_elsewhere_is_kept(service: Service, headers: dict[str, str]) -> None:
    async with visiting(service) as browser:
        for _ in range(2):
            answer = await browser.post("/clients/new", data={"name": "Forged Ltd"}, headers=headers)
            assert answer.status_code == 403
            assert "Forged" not in answer.text
            browser.cookies.clear()


async def test_a_form_that_meets_an_absent_database_is_kept(service: Service) -> None:
    settings = service.settings.model_copy(update={"connect_seconds": 0.5, "statement_seconds": 1})
    nowhere = f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"
    async with Database("directory", nowhere, settings) as database:
        clients = ClientService(service.clients.gateway, DirectoryReads(database), service.clients.watch, LIMITS)
        async with serving(create_app(clients, TOKEN)) as url, visiting(service, url) as browser:
            refused = await browser.post("/clients/new", data={"name": "Patient Ltd", "command_id": "c" * 8})
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert fields_of(refused.text, "/clients/new") == {"name": "Patient Ltd", "command_id": "c" * 8}
            token = await browser.post("/sign-in", data={"token": TOKEN})
            assert token.status_code == 503
            assert TOKEN not in token.text, "the token is written nowhere"
            looked = await browser.get("/clients")
            assert looked.status_code == 503
            assert 'href="/clients">Try again' in looked.text


async def test_a_confirmation_that_meets_an_absent_temporal_is_kept_and_then_done_once(service: Service) -> None:
    client_id = (await service.create(unique("Turned")))["client_id"]
    nowhere = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True, data_converter=pydantic_data_converter)
    away = ClientService(Gateway(nowhere), service.clients.directory, service.clients.watch, LIMITS)
    at = f"/clients/{client_id}/status"
    async with serving(create_app(away, TOKEN)) as url, visiting(service) as browser:
        form = await preview_fields(browser, client_id, action="rotate_credentials", reason="a telephone was stolen")
        async with visiting(service, url) as elsewhere:
            elsewhere.cookies = browser.cookies
            refused = await elsewhere.post(at, data=form)
        assert refused.status_code == 503
        assert "a telephone was stolen" in refused.text
        again = fields_of(refused.text, at)
        assert again == form
        for _ in range(2):
            assert (await browser.post(at, data=again)).status_code == 303
    await service.known(client_id)
    assert (await service.client(client_id))["secret_version"] == 2


# -- previews ---------------------------------------------------------------------------------------------------------


async def test_what_has_changed_since_its_preview_is_shown_again_instead_of_done(service: Service) -> None:
    client_id = (await service.create(unique("Held")))["client_id"]
    await service.post(client_id, "suspend", source="billing")
    async with visiting(service) as browser:
        form = await preview_fields(browser, client_id, action="unsuspend", source="all")
        await service.post(client_id, "suspend", source="security", reason="doors forced")
        answer = await browser.post(f"/clients/{client_id}/status", data=form)
        assert answer.status_code == 409
        assert "has changed since this was previewed" in answer.text
        assert "security" in answer.text
        assert len((await service.client(client_id))["holds"]) == 2
        anew = fields_of(answer.text, f"/clients/{client_id}/status")
        assert (await browser.post(f"/clients/{client_id}/status", data=anew)).status_code == 303
    assert (await service.client(client_id))["holds"] == []


async def test_offices_go_to_the_lines_that_they_were_given_to(service: Service) -> None:
    numbers = sorted(number() for _ in range(3))
    lines = [{"number": number} for number in numbers]
    client_id = (await service.create(unique("Moving"), type="virtual", lines=lines))["client_id"]
    fields = {f"office-{number}": f"{row}.0" for row, number in enumerate(numbers, 1)}
    async with visiting(service) as browser:
        await preview_fields(browser, client_id, action="convert", **fields)
        await service.post(client_id, "services", remove_lines=[numbers[0]])
        form = await preview_fields(browser, client_id, action="convert", **fields)
        assert (await browser.post(f"/clients/{client_id}/status", data=form)).status_code == 303
    client = await service.client(client_id)
    assert {line["number"]: line["office"] for line in client["lines"]} == {numbers[1]: "2.0", numbers[2]: "3.0"}


async def test_of_a_time_that_comes_twice_either_can_be_chosen(service: Service) -> None:
    site = await service.site(timezone="America/New_York")
    client_id = (await service.create(unique("Twice"), site=site))["client_id"]
    fields = {"action": "suspend", "when": "at", "at": "2199-11-03T01:30"}
    async with visiting(service) as browser:
        page = (await browser.get(f"/clients/{client_id}/status", params=fields)).text
        assert "this time comes twice" in page
        assert "The first, 01:30 EDT" in page
        assert (await preview_fields(browser, client_id, **fields))["at"] == "2199-11-03T01:30:00-04:00"
        assert (await preview_fields(browser, client_id, **fields, second="yes"))["at"] == "2199-11-03T01:30:00-05:00"
        gap = await browser.get(f"/clients/{client_id}/status", params=fields | {"at": "2199-03-10T02:30"})
        assert "there is no 02:30" in gap.text
        await service.post(client_id, "suspend", at="2199-11-03T01:30:00-05:00")
        plans = (await browser.get("/upcoming", params={"site": site})).text
        assert "3 Nov 2199, 01:30 (EST)" in plans
        [where] = re.findall(r'href="(/clients/[^"]*action=suspend[^"]*)"', plans)
        moved = (await browser.get(unescape(where))).text
        assert re.search(r'name="second" value="yes" checked', moved), "moved for another reason, it stays the second"


@pytest.mark.parametrize(
    ("command", "body", "expected"),
    [
        ("unsuspend", {"source": "billing"}, {"source": "billing"}),
        ("convert", {"to": "virtual"}, {}),
        (
            "services",
            {"add_lines": [{"number": "+442079469801", "office": "9.1", "protected": True}], "internet": "none"},
            {"number-0": "+442079469801", "office-0": "9.1", "protected-0": "yes", "internet": "none"},
        ),
    ],
    ids=["whose hold", "a conversion", "a change of services"],
)
async def test_a_plan_is_moved_with_all_that_it_says(
    service: Service, command: str, body: dict[str, Any], expected: dict[str, str]
) -> None:
    access = {"down_mbps": 100, "up_mbps": 20}
    client_id = (await service.create(unique("Planned"), internet=access))["client_id"]
    for source in ("billing", "security"):
        await service.post(client_id, "suspend", source=source)
    answer = await service.post(client_id, command, at="2199-05-01T09:00:00+00:00", reason="as agreed", **body)
    assert answer.status_code in (200, 202), answer.text
    [plan] = answer.json()["planned"]
    assert body.items() <= plan["details"].items()
    async with visiting(service) as browser:
        page = (await browser.get(f"/clients/{client_id}")).text
        [where] = re.findall(r'href="([^"]*)">Reschedule', page)
        form = fields_of((await browser.get(unescape(where))).text, f"/clients/{client_id}/status")
        assert expected.items() <= form.items()
        assert form["at"] == "2199-05-01T10:00:00+01:00"
        moved = await preview_fields(browser, client_id, **{**form, "at": "2199-05-02T09:00"})
        assert (await browser.post(f"/clients/{client_id}/status", data=moved)).status_code == 303
    [after] = (await service.client(client_id))["planned"]
    assert (after["at"], after["details"], after["reason"]) == (
        "2199-05-02T09:00:00+01:00",
        plan["details"],
        "as agreed",
    )


async def test_internet_access_that_somebody_else_changed_meanwhile_is_not_undone_unseen(service: Service) -> None:
    access = {"down_mbps": 100, "up_mbps": 20}
    client_id = (await service.create(unique("Raced"), internet=access))["client_id"]
    at = f"/clients/{client_id}/edit/services"
    async with visiting(service) as browser:
        opened = fields_of((await browser.get(f"/clients/{client_id}/edit")).text, at)
        await service.post(client_id, "services", internet={"down_mbps": 200, "up_mbps": 50})
        typed = opened | {"down": "30", "up": "20", "vlan": "", "office-0": "3.12"}
        answer = await browser.post(at, data=typed)
        assert answer.status_code == 409
        assert "Internet access was changed to 200/50 Mbit/s meanwhile" in answer.text
    assert (await service.client(client_id))["internet"]["down_mbps"] == 200


async def test_ending_internet_access_twice_by_the_same_form_is_ending_it_once(service: Service) -> None:
    client_id = (await service.create(unique("Ended"), internet={"down_mbps": 100, "up_mbps": 20}))["client_id"]
    at = f"/clients/{client_id}/edit/services"
    async with visiting(service) as browser:
        form = fields_of((await browser.get(f"/clients/{client_id}/edit")).text, at)
        typed = form | {"down": "100", "up": "20", "office-0": "3.12", "end-internet": "yes"}
        preview = await browser.post(at, data=typed)
        assert "What will happen" in preview.text
        for _ in range(2):
            answer = await browser.post(at, data=typed | {"seen": fields_of(preview.text, at)["seen"]})
            assert answer.status_code == 303, answer.text
    assert (await service.client(client_id))["internet"] is None


async def test_a_planned_conversion_is_moved_with_the_lines_that_come_before_it(service: Service) -> None:
    here, coming = number(), number()
    client = await service.create(unique("Growing"), type="virtual", lines=[{"number": here}])
    client_id = client["client_id"]
    await service.post(client_id, "services", add_lines=[{"number": coming}], at="2199-01-01T00:00:00+00:00")
    lines = [{"number": here, "office": "1"}, {"number": coming, "office": "2"}]
    planned = await service.post(client_id, "convert", to="residential", lines=lines, at="2199-02-01T00:00:00+00:00")
    assert planned.status_code in (200, 202), planned.text
    async with visiting(service) as browser:
        page = (await browser.get(f"/clients/{client_id}")).text
        where = next(found for found in re.findall(r'href="([^"]*)">Reschedule', page) if "action=convert" in found)
        form = fields_of((await browser.get(unescape(where))).text, f"/clients/{client_id}/status")
        assert (form[f"office-{here}"], form[f"office-{coming}"]) == ("1", "2")
        assert (await browser.post(f"/clients/{client_id}/status", data=form)).status_code == 303
        plans = (await service.client(client_id))["planned"]
        moved = next(plan for plan in plans if plan["kind"] == "convert")
        assert {line["number"]: line["office"] for line in moved["details"]["lines"]} == {here: "1", coming: "2"}
        await service.post(client_id, "convert", to="residential", lines=lines[:1])
        overtaken = await browser.get(unescape(where))
        assert "The client is residential already" in overtaken.text, "the opposite is not proposed"


# -- who is believed --------------------------------------------------------------------------------------------------


async def test_another_token_ends_every_session(service: Service) -> None:
    async with visiting(service) as browser:
        assert (await browser.get("/clients")).status_code == 200
        async with serving(create_app(service.clients, "another-token")) as url, visiting(service, url) as elsewhere:
            elsewhere.cookies = browser.cookies
            assert (await elsewhere.get("/clients")).status_code == 303


async def test_nobody_says_by_himself_from_where_he_comes(service: Service, settings: Settings) -> None:
    """Attempts to sign in are counted by address: only named proxies are believed what they say of it."""
    for trusted, status in (("", 429), ("127.0.0.1", 403)):
        apart = settings.model_copy(update={"trusted_proxies": trusted, "port": free_port()})
        server = server_of(apart, create_app(service.clients, TOKEN))
        async with running(server) as url, visiting(service, url) as stranger:
            stranger.cookies.clear()
            for attempt in range(11):
                headers = {"X-Forwarded-For": f"192.0.2.{attempt}"}
                answer = await stranger.post("/sign-in", data={"token": "wrong"}, headers=headers)
            assert answer.status_code == status, trusted


async def test_what_the_token_does_in_the_console_has_a_name_in_the_history(service: Service) -> None:
    client_id = (await service.create(unique("Token")))["client_id"]
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
    async with http_client(base_url=service.url, headers=headers) as caller:
        form = await preview_fields(caller, client_id, action="suspend")
        assert (await caller.post(f"/clients/{client_id}/status", data=form)).status_code == 303

    async def by() -> set[str]:
        return {line["by"] for line in await service.history(client_id) if line["kind"] == "suspend"}

    assert await eventually(by) == {"api"}


# -- mishaps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nowhere", 404, "There is no such page"),
        ("GET", "/clients/acme/nowhere", 404, "There is no such page"),
        ("GET", "/sign-out", 405, "This cannot be opened by itself"),
        ("GET", "/clients/acme/systems/telephony/retry", 405, "This cannot be opened by itself"),
        ("POST", "/clients/acme/systems/NO/retry", 404, "There is no such page"),
    ],
)
async def test_a_browser_is_shown_a_page_and_a_program_a_problem(
    service: Service, method: str, path: str, status: int, words: str
) -> None:
    async with visiting(service) as browser:
        answer = await browser.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
        assert words in answer.text
        assert 'href="/clients">Back to clients' in answer.text
        problem = await browser.request(method, path, headers={"Accept": "*/*"})
        assert problem.headers["content-type"] == "application/problem+json"


async def test_a_mistake_of_ours_is_a_page_that_keeps_every_promise_of_the_others(service: Service) -> None:
    app: FastAPI = create_app(service.clients, TOKEN)

    class Broken(ConsoleReads):
        def within(self, sites: Sequence[str] | None) -> ConsoleReads:
            raise LookupError("secret detail")

    app.state.reads = Broken(service.clients.directory.database)
    async with serving(app) as url, visiting(service, url) as browser:
        answer = await browser.get("/clients")
        assert answer.status_code == 500
        assert "Connect made a mistake" in answer.text
        assert "secret detail" not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_plan_is_cancelled_whatever_its_id_holds(service: Service) -> None:
    client_id = (await service.create(unique("Slashed")))["client_id"]
    await service.post(client_id, "suspend", key="invoice/1042", last_day="2199-01-31")
    async with visiting(service) as browser:
        page = (await browser.get(f"/clients/{client_id}")).text
        [action] = re.findall(r'href="(/clients/[^"]*/cancel)"', page)
        page_html = (await browser.get(unescape(action))).text
        answer = await browser.post(unescape(action), data=fields_of(page_html, action))
        assert answer.status_code == 303, answer.text
    assert (await service.client(client_id))["planned"] == []
