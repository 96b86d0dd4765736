"""Claims about Edit status: what it asks a client's workflow, and what it says of its fields."""

import re
from html import unescape
from typing import Any

import pytest
from temporalio.client import Client, Interceptor, OutboundInterceptor, QueryWorkflowInput

from starter.app import create_app
from starter.clients import ClientService
from starter.temporal.gateway import Gateway
from tests.starter.console.filling_in import Read, Somebody, ann
from tests.starter.console.test_kept import visiting
from tests.support.service import LIMITS, TOKEN, Service, number, serving
from tests.support.waiting import HANGING

__all__ = ["ann"]


class Queries(Interceptor):
    """The queries that a Temporal client was used for, by name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  # the SDK's name
        return _Counted(next, self.names)


class _Counted(OutboundInterceptor):
    def __init__(self, below: OutboundInterceptor, names: list[str]) -> None:
        super().__init__(below)
        self._names = names

    async def query_workflow(self, input: QueryWorkflowInput) -> Any:  # noqa: A002  # the SDK's name
        self._names.append(input.query)
        return await super().query_workflow(input)


@pytest.mark.parametrize(
    ("query", "queries"),
    [
        ({}, ["client"]),
        ({"action": "suspend", "when": "day"}, ["client"]),
        ({"action": "suspend", "reason": "unpaid"}, ["client", "preview"]),
        ({"action": "convert", "when": "day", "last_day": "2199-03-31"}, ["client", "preview"]),
        ({"action": "activate"}, ["client", "preview"]),
    ],
    ids=["nothing is chosen", "the day is not given yet", "a command", "a plan", "a command that changes nothing"],
)
async def test_a_render_asks_for_the_client_and_for_one_preview_of_what_is_chosen(
    service: Service, temporal: Client, query: dict[str, str], queries: list[str]
) -> None:
    client_id = (await service.create())["client_id"]
    counted = Queries()
    client = Client(
        temporal.service_client,
        namespace=temporal.namespace,
        data_converter=service.temporal.data_converter,
        interceptors=[counted],
    )
    clients = ClientService(
        Gateway(client, patience=HANGING, timeout=HANGING), service.clients.directory, service.clients.watch, LIMITS
    )
    async with serving(create_app(clients, TOKEN)) as url, visiting(service, url) as browser:
        page = await browser.get(f"/clients/{client_id}/status", params=query)
    assert page.status_code == 200, page.text
    assert counted.names == queries


async def test_edit_status_names_each_wrong_field_and_its_rule(ann: Somebody, service: Service) -> None:
    client = await service.create()
    path = f"/clients/{client['client_id']}/status"
    typed = {
        "action": "change_services",
        "internet": "set",
        "down": "fast",
        "up": "20",
        "number-0": "12",
        "office-0": "1",
    }
    page = Read((await ann.http.get(path, params=typed)).text)
    assert "The download rate cannot be “fast”. Give whole Mbit/s" in page.texts["note-down"]
    assert "can exist" in page.texts["note-number-0"]
    assert "autofocus" not in page.tags["number-0"], "nothing was sent yet"
    page = await ann.sent(path, typed, 422)
    assert "autofocus" in page.tags["number-0"]
    assert page.tags["down"]["aria-invalid"] == "true"
    assert (await service.client(client["client_id"]))["revision"] == client["revision"]


async def test_no_address_carries_a_reason_and_a_plan_that_moves_keeps_its_own(ann: Somebody, service: Service) -> None:
    client = await service.create()
    path = f"/clients/{client['client_id']}/status"
    await service.post(client["client_id"], "suspend", last_day="2199-03-31", reason="a private matter")
    for address in (f"/clients/{client['client_id']}", "/upcoming?site=", path):
        links = Read((await ann.http.get(address)).text).links
        assert not any("private" in link or "reason=" in link for link in links), address
    opened = Read((await ann.http.get(path, params={"action": "suspend", "reason": "typed into an address"})).text)
    assert opened.forms[f"{path}/check"]["reason"] == ""
    [moved] = [
        link
        for link in Read((await ann.http.get(f"/clients/{client['client_id']}")).text).links
        if path in link and "plan=" in link
    ]
    form, _ = await ann.open(moved, f"{path}/check")
    assert form["reason"] == "a private matter"
    page = await ann.sent(f"{path}/check", form | {"when": "day", "last_day": "2199-04-30"}, 200)
    await ann.done(path, page.forms[path])
    [plan] = (await service.client(client["client_id"]))["planned"]
    assert (plan["at"][:10], plan["reason"]) == ("2199-05-01", "a private matter")


async def test_an_office_of_others_is_warned_of_whichever_action_would_take_it_now_or_later(
    ann: Somebody, service: Service
) -> None:
    site = await service.site()
    other = await service.create("Neighbours & Sons", site=site, lines=[{"number": number(), "office": "7"}])
    client = await service.create(site=site, lines=[{"number": number(), "office": "8"}])
    moving = await service.create(site=site, type="virtual")
    line = moving["lines"][0]["number"]
    later = {"when": "day", "last_day": "2199-03-31"}
    caution = f"Office 7 is that of another client, too: {other['name']} ({other['client_id']})."
    conversion = {"action": "convert", f"office-{line}": "7"}
    for who, typed in (
        (client, {"action": "change_services", "number-0": number(), "office-0": "7"}),
        (client, {"action": "change_services", "pasted": f"{number()} 7"}),
        (client, {"action": "change_services", "number-0": client["lines"][0]["number"], "office-0": "7"}),
        (moving, conversion),
        (moving, {"action": "convert", f"office-{line}": "9", "rooms": "7"}),
    ):
        for moment in ({}, later):
            path = f"/clients/{who['client_id']}/status"
            page = await ann.sent(f"{path}/check", typed | moment, 200)
            assert caution in unescape(page.html), (typed, moment)
            assert "seen" in page.forms[path], "a warning refuses nothing"
    path = f"/clients/{moving['client_id']}/status"
    page = await ann.sent(f"{path}/check", conversion | later, 200)
    _, notice = await ann.done(path, page.forms[path])
    assert caution in notice
    free = await ann.sent(f"{path}/check", {"action": "convert", f"office-{line}": "9"}, 200)
    assert "another client, too" not in free.html


async def test_many_lines_are_removed_at_once_now_or_later(ann: Somebody, service: Service) -> None:
    numbers = [number() for _ in range(12)]
    client = await service.create(lines=[{"number": it, "office": "1"} for it in numbers])
    path = f"/clients/{client['client_id']}/status"
    form, page = await ann.open(f"{path}?action=change_services", f"{path}/check")
    assert "All 12 lines" in page.html
    listed = form | {"unwanted": ", ".join(numbers[:11]), "when": "day", "last_day": "2199-03-31"}
    page = await ann.sent(f"{path}/check", listed, 200)
    assert "11 lines, from" in page.texts["note-unwanted"]
    await ann.done(path, page.forms[path])
    [plan] = (await service.client(client["client_id"]))["planned"]
    assert plan["details"]["remove_lines"] == numbers[:11]
    page = await ann.sent(f"{path}/check", form | {"remove-all": "yes"}, 200)
    confirmed = page.html[page.html.index("data-confirm") :]
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', confirmed)
    assert [value for name, value in fields if name == "remove"] == numbers, "those that were seen, and no other"
    for _ in range(2):
        answer = await ann.http.post(path, data=_several(fields))
        assert answer.status_code == 303, answer.text
    assert (await service.client(client["client_id"]))["lines"] == []


def _several(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    return {name: [value for other, value in fields if other == name] for name, _ in fields}


async def test_a_plan_about_very_many_lines_is_told_in_short_and_moved_whole(ann: Somebody, service: Service) -> None:
    site, numbers = await service.site(), [number() for _ in range(40)]
    client = await service.create(site=site, type="virtual", lines=[{"number": it} for it in numbers])
    path = f"/clients/{client['client_id']}/status"
    form, page = await ann.open(f"{path}?action=convert", f"{path}/check")
    assert "30 more lines" in page.html
    typed = form | {"every-office": "7", f"office-{numbers[1]}": "8", "when": "day", "last_day": "2199-03-31"}
    wrong = await ann.sent(f"{path}/check", typed | {"every-office": "x" * 65}, 200)
    assert [name for name in wrong.texts if name.startswith("note-")] == ["note-every-office"], "it is said once"
    await ann.done(path, (await ann.sent(f"{path}/check", typed, 200)).forms[path])
    [plan] = (await service.client(client["client_id"]))["planned"]
    await service.known(client["client_id"])
    offices = {line["number"]: line["office"] for line in plan["details"]["lines"]}
    assert offices == {it: "8" if it == numbers[1] else "7" for it in numbers}
    for address in (f"/upcoming?site={site}", f"/clients/{client['client_id']}"):
        read = Read((await ann.http.get(address)).text)
        assert f"{numbers[9]} in 7 and 30 more" in read.html, address
        [link] = [link for link in read.links if path in link and "plan=" in link]
        assert len(link) < 200, "what it says stands in no address"
    form, _ = await ann.open(link, f"{path}/check")
    assert {it: form[f"office-{it}"] for it in numbers} == offices
    later = await ann.sent(f"{path}/check", form | {"last_day": "2199-04-30"}, 200)
    await ann.done(path, later.forms[path])
    [moved] = (await service.client(client["client_id"]))["planned"]
    assert (moved["details"], moved["day"]) == (plan["details"], "2199-04-30")
