"""Claims about Edit client, New client and New site as plain forms, without scripts."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import httpx2
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from starter.app import create_app
from starter.clients import ClientService
from starter.console.rendering import NOTICE_COOKIE
from starter.temporal.gateway import Gateway
from tests.support.service import LIMITS, SITE, TOKEN, Service, number, serving, unique
from tests.support.waiting import eventually, free_port

TODAY = datetime.now(UTC).date()
SOON, LATER = ((TODAY + timedelta(days)).isoformat() for days in (40, 90))


@dataclass
class Read(HTMLParser):
    """What a form would send as the page has it, and what is said in the page, by element id."""

    html: str
    forms: dict[str, dict[str, str]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
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
                self.said[name] = f"{self.said.get(name, '')} {data.strip()}".strip()


@dataclass
class Somebody:
    """Somebody who is signed in, and has a browser without scripts."""

    http: httpx2.AsyncClient

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

    async def done(self, path: str, form: dict[str, str]) -> tuple[str, str]:
        """Where it leads once it is done, and what is said there."""
        answer = await self.send(path, form)
        assert answer.status_code == 303, answer.text
        there = urlsplit(answer.headers["Location"])
        return there.path, unquote((answer.cookies.get(NOTICE_COOKIE) or "").split(".", 2)[-1])


@asynccontextmanager
async def signed_in(url: str) -> AsyncIterator[Somebody]:
    """Ann, signed in with the token."""
    async with httpx2.AsyncClient(base_url=url, trust_env=False, headers={"Accept": "text/html"}, timeout=30) as http:
        answer = await http.post("/sign-in", data={"token": TOKEN, "name": "ann"})
        assert answer.status_code == 303
        yield Somebody(http)


@pytest_asyncio.fixture(scope="session")
async def ann(service: Service) -> AsyncIterator[Somebody]:
    async with signed_in(service.url) as ann:
        yield ann


async def shown(service: Service, client_id: str) -> dict[str, Any]:
    answer = await service.api.get(f"/clients/{client_id}")
    assert answer.status_code == 200, answer.text
    client: dict[str, Any] = answer.json()
    return client


async def named(service: Service, name: str) -> list[dict[str, Any]]:
    """Every client of this name."""
    answer = await service.api.get("/clients", params={"q": name, "inactive": "true"})
    return [client for client in answer.json()["items"] if client["name"] == name]


def at(client: dict[str, Any], what: str = "") -> str:
    return f"/clients/{client['client_id']}/edit{what}"


# -- new clients ------------------------------------------------------------------------------------------------------


async def test_a_client_is_created_with_everything_that_the_form_says(ann: Somebody, service: Service) -> None:
    form, page = await ann.open(f"/clients/new?site={SITE}")
    assert form["site"] == SITE
    assert "Europe/London" in page.said["help-site"]
    name, first, second = unique("Formed"), number(), number()
    typed = form | {
        "name": name,
        "number-0": first,
        "office-0": "3.12",
        "number-2": second,
        "office-2": "lift",
        "protected-2": "yes",
        "down": "100",
        "up": "20",
        "vlan": "110",
        "rooms": "4.01, 4.02\n4.03",
        "start_date": SOON,
        "end_date": LATER,
        "billing_ref": unique("F"),
        "client_id": unique("formed"),
    }
    path, notice = await ann.done("/clients/new", typed)
    assert path == f"/clients/{typed['client_id']}"
    assert notice == f"Created {name}."
    client = await shown(service, typed["client_id"])
    assert client["lines"] == [
        {"number": first, "office": "3.12", "protected": False},
        {"number": second, "office": "lift", "protected": True},
    ]
    assert client["internet"] | {"account": ""} == {"account": "", "down_mbps": 100, "up_mbps": 20, "vlan": 110}
    assert client["offices"] == ["3.12", "4.01", "4.02", "4.03", "lift"]
    assert (client["status"], client["start_date"], client["end_date"]) == ("new", SOON, LATER)
    assert client["billing_ref"] == typed["billing_ref"]
    assert (await service.history(client["client_id"]))[-1]["by"] == "ann"


async def test_a_form_that_is_sent_twice_creates_one_client(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open("/clients/new")
    name = unique("Twice")
    typed = form | {"name": name, "number-0": number(), "office-0": "1.01"}
    both = await asyncio.gather(ann.done("/clients/new", typed), ann.done("/clients/new", typed))
    assert both[0] == both[1] == await ann.done("/clients/new", typed)
    assert len(await named(service, name)) == 1


async def test_a_virtual_client_that_waits_to_be_activated_is_created(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open("/clients/new")
    name = unique("Virtual")
    typed = form | {"name": name, "type": "virtual", "activation": "manual", "number-0": number()}
    await ann.done("/clients/new", typed)
    [client] = await named(service, name)
    assert (client["type"], client["status"], client["activation"]) == ("virtual", "new", "manual")
    assert client["office_label"] == "Virtual Client"


WRONG = [
    ({"name": ""}, "name", "The name is missing"),
    ({"name": "x" * 201}, "name", "The name has 201 characters"),
    ({"name": "a\tb"}, "name", "control characters"),
    ({"client_id": "Big Letters"}, "client_id", "is not a client id"),
    ({"client_id": "new"}, "client_id", "Choose another"),
    ({"billing_ref": "x" * 65}, "billing_ref", "too long"),
    ({"start_date": "31.12.2026"}, "start_date", "cannot be “31.12.2026”"),
    ({"end_date": "9999-12-31"}, "end_date", "cannot be “9999-12-31”"),
    ({"site": "nowhere"}, "site", "There is no such site"),
    ({"type": "<b>"}, "type", "cannot be “<b>”"),
    ({"number-1": "+4412", "office-1": "1"}, "number-1", "not a telephone number that can exist"),
    ({"number-1": "020 7946 0001", "office-1": "1"}, "number-1", "with a plus and the country code"),
    ({"number-1": "+44 20 7946 0999"}, "office-1", "The office is missing"),
    ({"office-1": "3.12"}, "number-1", "The number is missing"),
    ({"number-1": "+442079460998", "office-1": "1", "type": "virtual"}, "office-1", "A virtual client has no office"),
    ({"type": "virtual", "down": "1", "up": "1"}, "down", "A virtual client has no internet"),
    ({"type": "virtual", "rooms": "3.12"}, "rooms", "A virtual client has no office"),
    ({"down": "fast", "up": "1"}, "down", "cannot be “fast”"),
    ({"down": "10"}, "up", "The upload rate is missing"),
    ({"down": "10", "up": "10", "vlan": "4095"}, "vlan", "cannot be “4095”"),
    ({"rooms": "x" * 65}, "rooms", "An office is blank, too long"),
    ({"name": "a\0b"}, "name", "control characters"),
]


@pytest.mark.parametrize(("typed", "where", "why"), WRONG)
async def test_what_is_wrong_is_told_at_its_field_and_nothing_is_created(
    ann: Somebody, service: Service, typed: dict[str, str], where: str, why: str
) -> None:
    form, _ = await ann.open("/clients/new")
    name = unique("Wrong")
    page = await ann.sent("/clients/new", form | {"name": name, "vlan": "", **typed}, 422)
    assert why in page.said[f"said-{where}"]
    assert page.tags[where].get("aria-invalid") == "true" or where == "type"
    assert "autofocus" in page.tags[where] or where == "type"
    assert f"#{where}" in page.links
    for field_, value in typed.items():
        if field_ not in ("type", "site") and "\0" not in value:
            assert page.forms["/clients/new"][field_] == value.strip()
    assert not await named(service, name)


async def test_what_others_have_is_told_at_its_field(ann: Somebody, service: Service) -> None:
    theirs = await service.create(unique("Holder"), billing_ref=unique("H"))
    form, _ = await ann.open("/clients/new")
    taken = theirs["lines"][0]["number"]
    typed = form | {"name": unique("Late"), "number-0": number(), "office-0": "1", "number-1": taken, "office-1": "2"}
    page = await ann.sent("/clients/new", typed, 409)
    assert f"taken by client {theirs['client_id']}" in page.said["said-number-1"]
    assert "is free" in page.said["said-number-0"]
    assert page.forms["/clients/new"]["command_id"] != form["command_id"]
    page = await ann.sent(
        "/clients/new", typed | {"number-1": "", "office-1": "", "billing_ref": theirs["billing_ref"]}, 409
    )
    assert "taken" in page.said["said-billing_ref"]
    page = await ann.sent("/clients/new", form | {"name": "x", "client_id": theirs["client_id"]}, 409)
    assert "There is, or was, a client" in page.said["said-client_id"]
    await ann.done("/clients/new", page.forms["/clients/new"] | {"name": unique("Late"), "client_id": ""})


async def test_a_number_given_twice_is_told_at_the_second(ann: Somebody) -> None:
    form, _ = await ann.open("/clients/new")
    page = await ann.sent(
        "/clients/new",
        form
        | {
            "name": "x",
            "number-0": "+442079460997",
            "office-0": "1",
            "number-2": "+44 (20) 7946-0997",
            "office-2": "2",
        },
        422,
    )
    assert "is given twice" in page.said["said-number-2"]
    assert "said-number-0" not in page.said or "twice" not in page.said["said-number-0"]


async def test_more_lines_keeps_what_was_typed_and_creates_nothing(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open("/clients/new")
    name = unique("More")
    page = await ann.sent("/clients/new", form | {"name": name, "number-2": "+4420", "more": "lines"}, 200)
    sent = page.forms["/clients/new"]
    assert (sent["name"], sent["number-2"], sent["number-5"]) == (name, "+4420", "")
    assert sent["command_id"] == form["command_id"]
    assert not await named(service, name)


async def test_the_check_says_what_will_happen_and_does_nothing(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open("/clients/new")
    name, free = unique("Checked"), number()
    page = await ann.sent(
        "/clients/new/check",
        form | {"site": SITE, "name": name, "number-0": free, "office-0": "1", "start_date": "2027-07-01"},
        200,
    )
    assert page.said["said-start_date"] == "Activates on 1 Jul 2027, 00:00 Europe/London."
    assert page.said["said-number-0"] == f"{free} is free."
    past = form | {"start_date": "2020-01-01", "end_date": "2019-01-01"}
    page = await ann.sent("/clients/new/check", past, 200)
    assert page.said["said-start_date"] == "Activates at once: the start date is past."
    assert "before the start date" in page.said["said-end_date"]
    page = await ann.sent("/clients/new/check", form | {"activation": "manual"}, 200)
    assert "until somebody activates it" in page.said["said-start_date"]
    assert not await named(service, name)


async def test_what_is_not_finished_is_not_called_wrong_while_one_types(ann: Somebody) -> None:
    form, _ = await ann.open("/clients/new")
    page = await ann.sent("/clients/new/check", form | {"number-0": "+4420", "typing": "number-0"}, 200)
    assert "said-number-0" not in page.said
    assert "said-name" not in page.said
    page = await ann.sent("/clients/new/check", form | {"number-0": "+4420"}, 200)
    assert "can exist" in page.said["said-number-0"]


async def test_what_was_typed_is_kept_while_something_is_away_and_then_done_once(
    ann: Somebody, service: Service
) -> None:
    nowhere = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True, data_converter=pydantic_data_converter)
    clients = ClientService(Gateway(nowhere), service.clients.directory, service.clients.watch, LIMITS)
    form, _ = await ann.open("/clients/new")
    name = unique("Patient")
    async with serving(create_app(clients, TOKEN)) as url, signed_in(url) as elsewhere:
        there, _ = await elsewhere.open("/clients/new")
        page = await elsewhere.sent("/clients/new", there | {"name": name, "command_id": form["command_id"]}, 503)
    assert "Temporal does not answer" in page.html
    kept = page.forms["/clients/new"]
    assert (kept["name"], kept["command_id"]) == (name, form["command_id"])
    for _ in range(2):
        await ann.done("/clients/new", kept)
    assert len(await named(service, name)) == 1


async def test_markup_is_shown_as_text(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open("/clients/new")
    name = f"<script>alert(1)</script> & {unique('M')}"
    page = await ann.sent("/clients/new", form | {"name": name, "number-0": '"><b>', "office-0": "<i>"}, 422)
    assert "<script>alert" not in page.html
    assert "<b>'" not in page.html
    assert page.forms["/clients/new"]["number-0"] == '"><b>'
    path, _ = await ann.done("/clients/new", form | {"name": name, "number-0": number(), "office-0": "<i>3</i>"})
    _, page = await ann.open(f"{path}/edit")
    assert "<script>alert" not in page.html
    assert "<i>3" not in page.html


# -- details ----------------------------------------------------------------------------------------------------------


async def test_only_what_was_changed_is_sent(ann: Somebody, service: Service) -> None:
    client = await service.create(unique("Before"), billing_ref=unique("E"))
    form, _ = await ann.open(at(client))
    assert (form["name"], form["billing_ref"]) == (client["name"], client["billing_ref"])
    other = unique("Meanwhile")
    answer = await service.api.patch(f"/clients/{client['client_id']}", json={"name": other})
    assert answer.status_code in (200, 202)
    path, notice = await ann.done(at(client), form | {"end_date": LATER, "reason": "moves out"})
    assert (path, notice) == (f"/clients/{client['client_id']}", "Edited: end date.")
    after = await shown(service, client["client_id"])
    assert (after["name"], after["end_date"]) == (other, LATER)
    [line] = await lines_of(service, client, text="Edited: end date")
    assert (line["by"], line["reason"]) == ("ann", "moves out")


async def test_what_somebody_else_changed_meanwhile_is_not_undone_unseen(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client))
    await service.api.patch(f"/clients/{client['client_id']}", json={"name": "Theirs"})
    page = await ann.sent(at(client), form | {"name": "Mine"}, 409)
    assert "changed to “Theirs” meanwhile" in page.said["said-name"]
    assert (await shown(service, client["client_id"]))["name"] == "Theirs"
    await ann.done(at(client), page.forms[at(client)])
    assert (await shown(service, client["client_id"]))["name"] == "Mine"


async def test_what_somebody_else_changed_and_nobody_typed_stays_theirs_when_it_is_saved_again(
    ann: Somebody, service: Service
) -> None:
    client = await service.create(billing_ref=unique("O"))
    form, _ = await ann.open(at(client))
    theirs = {"name": "Theirs", "billing_ref": unique("T")}
    await service.api.patch(f"/clients/{client['client_id']}", json=theirs)
    page = await ann.sent(at(client), form | {"name": "Mine"}, 409)
    await ann.done(at(client), page.forms[at(client)])
    after = await shown(service, client["client_id"])
    assert (after["name"], after["billing_ref"]) == ("Mine", theirs["billing_ref"])


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
    assert "The download rate cannot be “fast”. Give whole Mbit/s" in page.said["said-down"]
    assert "can exist" in page.said["said-number-0"]
    assert "autofocus" not in page.tags["number-0"], "nothing was sent yet"
    page = await ann.sent(path, typed, 422)
    assert "autofocus" in page.tags["number-0"]
    assert page.tags["down"]["aria-invalid"] == "true"
    assert (await shown(service, client["client_id"]))["revision"] == client["revision"]


async def test_an_edit_that_is_sent_twice_is_one(ann: Somebody, service: Service) -> None:
    client = await service.create(billing_ref=unique("T"))
    form, _ = await ann.open(at(client))
    typed = form | {"billing_ref": "", "name": unique("Edited")}
    first = await ann.done(at(client), typed)
    assert await ann.done(at(client), typed) == first
    after = await shown(service, client["client_id"])
    assert after["billing_ref"] not in ("", client["billing_ref"])
    assert len(await lines_of(service, client, kind="edit")) == 1


async def lines_of(service: Service, client: dict[str, Any], **fields: str) -> list[dict[str, Any]]:
    """The lines of the history that have these fields, once there are some and the client is settled."""
    await service.known(client["client_id"])

    async def found() -> list[dict[str, Any]]:
        lines = await service.history(client["client_id"])
        return [line for line in lines if all(line[name] == value for name, value in fields.items())]

    return await eventually(found)


async def test_an_edit_of_nothing_says_so(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client))
    _, notice = await ann.done(at(client), form)
    assert notice.startswith("Nothing was changed")
    assert (await shown(service, client["client_id"]))["revision"] == client["revision"]


@pytest.mark.parametrize(
    ("typed", "where", "why"),
    [
        ({"name": ""}, "name", "The name is missing"),
        ({"start_date": ""}, "start_date", "The start date is missing"),
        ({"start_date": "1066-10-14"}, "start_date", "1900 to 2199"),
        ({"end_date": "soon"}, "end_date", "cannot be “soon”"),
        ({"billing_ref": "x" * 65}, "billing_ref", "too long"),
        ({"name": "Other", "reason": "x" * 501}, "reason", "too long"),
    ],
)
async def test_a_wrong_detail_is_told_at_its_field_and_changes_nothing(
    ann: Somebody, service: Service, typed: dict[str, str], where: str, why: str
) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client), form | typed, 422)
    assert why in page.said[f"said-{where}"]
    assert page.forms[at(client)][where] == typed[where]
    assert "autofocus" in page.tags[where]
    assert (await shown(service, client["client_id"]))["revision"] == client["revision"]


async def test_a_taken_billing_ref_is_told_at_its_field(ann: Somebody, service: Service) -> None:
    theirs, client = await service.create(billing_ref=unique("B")), await service.create()
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client, "/check"), form | {"billing_ref": theirs["billing_ref"]}, 200)
    assert f"taken by client {theirs['client_id']}" in page.said["said-billing_ref"]
    page = await ann.sent(at(client), form | {"billing_ref": theirs["billing_ref"]}, 409)
    assert page.tags["billing_ref"]["aria-invalid"] == "true"
    await ann.done(at(client), page.forms[at(client)] | {"billing_ref": unique("B")})


async def test_a_start_date_after_the_planned_decommission_is_refused_at_its_field(
    ann: Somebody, service: Service
) -> None:
    client = await service.create(start_date=SOON, wait=0)
    assert (await service.post(client["client_id"], "decommission", last_day=LATER)).status_code in (200, 202)
    form, _ = await ann.open(at(client))
    late = form | {"start_date": (TODAY + timedelta(200)).isoformat()}
    for path, status in ((at(client, "/check"), 200), (at(client), 422)):
        page = await ann.sent(path, late, status)
        assert "A decommission is planned before" in page.said["said-start_date"]
    assert (await shown(service, client["client_id"]))["start_date"] == SOON


async def test_the_check_tells_what_a_start_date_does(ann: Somebody, service: Service) -> None:
    new, active = await service.create(start_date=SOON, wait=0), await service.create()
    form, page = await ann.open(at(new))
    assert "moves its activation" in page.said["help-start_date"]
    page = await ann.sent(at(new, "/check"), form | {"start_date": "2027-07-01"}, 200)
    assert page.said["said-start_date"] == "Activates on 1 Jul 2027, 00:00 Europe/London."
    form, page = await ann.open(at(active))
    assert "information only" in page.said["help-start_date"]
    page = await ann.sent(at(active, "/check"), form | {"start_date": "2027-07-01"}, 200)
    assert "nothing is switched" in page.said["said-start_date"]


async def test_a_new_client_s_activation_is_changed_there_and_back(ann: Somebody, service: Service) -> None:
    client = await service.create(start_date="2199-07-01")
    form, _ = await ann.open(at(client))
    page = await ann.sent(at(client, "/check"), form | {"activation": "manual"}, 200)
    assert page.said["said-activation"] == "The client then stays New until somebody activates it."
    _, notice = await ann.done(at(client), form | {"activation": "manual"})
    assert "waits until somebody activates it" in notice
    assert (await shown(service, client["client_id"]))["planned"] == []
    form, page = await ann.open(at(client))
    assert form["activation"] == "manual"
    assert "waits to be activated by hand" in page.said["help-start_date"]
    page = await ann.sent(at(client, "/check"), form | {"activation": "automatic"}, 200)
    assert page.said["said-activation"] == "Activates on 1 Jul 2199, 00:00 Europe/London."
    await ann.done(at(client), form | {"activation": "automatic"})
    assert [plan["kind"] for plan in (await shown(service, client["client_id"]))["planned"]] == ["activate"]


async def test_a_client_that_was_activated_meanwhile_keeps_its_activation_and_says_why(
    ann: Somebody, service: Service
) -> None:
    client = await service.create(start_date="2199-07-01")
    form, _ = await ann.open(at(client))
    await service.post(client["client_id"], "activate")
    page = await ann.sent(at(client), form | {"activation": "manual"}, 409)
    assert "Only a New client" in page.html
    again, _ = await ann.open(at(client))
    assert "activation" not in again, "there is nothing to choose any more"


async def test_the_way_to_plan_a_decommission_follows_the_end_date(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, page = await ann.open(at(client))
    plan = f"/clients/{client['client_id']}/status?action=decommission&when=day"
    assert plan in page.links
    page = await ann.sent(at(client, "/check"), form | {"end_date": "2027-02-28"}, 200)
    assert f"{plan}&last_day=2027-02-28" in page.links
    management = await service.create(management=True)
    _, page = await ann.open(at(management))
    assert not any("action=decommission" in link for link in page.links)


async def test_a_decommissioned_client_is_shown_and_not_edited(ann: Somebody, service: Service) -> None:
    client = await service.create(unique("Gone"))
    form, _ = await ann.open(at(client))
    services, _ = await ann.open(at(client), at(client, "/services"))
    await service.post(client["client_id"], "decommission")
    answer = await ann.http.get(at(client))
    assert "That is final" in answer.text
    assert at(client) not in Read(answer.text).forms
    page = await ann.sent(at(client), form | {"name": "Risen"}, 409)
    assert "already decommissioned" in page.html
    page = await ann.sent(at(client, "/services"), services | {"number-1": number(), "office-1": "1"}, 409)
    assert "already decommissioned" in page.html
    assert (await shown(service, client["client_id"]))["name"] == client["name"]


async def test_there_is_no_page_to_edit_nobody(ann: Somebody) -> None:
    assert (await ann.http.get("/clients/nobody-there/edit")).status_code == 404


# -- services ---------------------------------------------------------------------------------------------------------


def lines(client: dict[str, Any]) -> Iterable[tuple[str, str | None, bool]]:
    return [(line["number"], line["office"], line["protected"]) for line in client["lines"]]


async def test_lines_are_added_moved_protected_and_removed_at_once(ann: Somebody, service: Service) -> None:
    one, two, three, four = number(), number(), number(), number()
    client = await service.create(lines=[{"number": n, "office": "1"} for n in (one, two, three)])
    form, _ = await ann.open(at(client), at(client, "/services"))
    typed = form | {"office-0": "2", "remove-1": "yes", "protected-2": "yes", "number-3": four, "office-3": "4"}
    page = await ann.sent(at(client, "/services/check"), typed, 200)
    assert f"{two}" in page.html
    assert "What will happen" in page.html
    assert (await shown(service, client["client_id"]))["revision"] == client["revision"]
    path, notice = await ann.done(at(client, "/services"), typed)
    assert path == f"/clients/{client['client_id']}"
    assert notice.startswith("Services: added")
    assert await ann.done(at(client, "/services"), typed) == (path, notice)
    after = await shown(service, client["client_id"])
    assert lines(after) == [(one, "2", False), (three, "1", True), (four, "4", False)]
    assert len([line for line in await service.history(client["client_id"]) if line["kind"] == "change_services"]) == 1


async def test_internet_is_set_and_ended(ann: Somebody, service: Service) -> None:
    client = await service.create()
    form, _ = await ann.open(at(client), at(client, "/services"))
    await ann.done(at(client, "/services"), form | {"down": "50", "up": "10"})
    assert (await shown(service, client["client_id"]))["internet"]["down_mbps"] == 50
    form, _ = await ann.open(at(client), at(client, "/services"))
    page = await ann.sent(at(client, "/services"), form | {"down": "", "up": ""}, 422)
    assert "End internet access" in page.said["said-down"]
    await ann.done(at(client, "/services"), form | {"end-internet": "yes"})
    assert (await shown(service, client["client_id"]))["internet"] is None


async def test_wrong_lines_are_told_at_their_row_and_change_nothing(ann: Somebody, service: Service) -> None:
    theirs, client = await service.create(), await service.create()
    form, _ = await ann.open(at(client), at(client, "/services"))
    path = at(client, "/services")
    for typed, status, where, why in (
        ({"number-1": "+4420", "office-1": "1"}, 422, "number-1", "can exist"),
        ({"number-1": client["lines"][0]["number"], "office-1": "1"}, 422, "number-1", "given twice"),
        (
            {"number-1": theirs["lines"][0]["number"], "office-1": "1"},
            409,
            "number-1",
            "belongs to another client. Choose another",
        ),
        ({"office-0": ""}, 422, "office-0", "The office is missing"),
        ({"down": "1"}, 422, "up", "missing"),
    ):
        page = await ann.sent(path, form | typed, status)
        assert why in page.said[f"said-{where}"], typed
        assert "autofocus" in page.tags[where], typed
    page = await ann.sent(path, form, 422)
    assert "Change one first" in page.html
    assert (await shown(service, client["client_id"]))["lines"] == client["lines"]


async def test_a_line_that_somebody_else_changed_meanwhile_is_not_undone_unseen(
    ann: Somebody, service: Service
) -> None:
    one, two = number(), number()
    client = await service.create(lines=[{"number": n, "office": "1"} for n in (one, two)])
    form, _ = await ann.open(at(client), at(client, "/services"))
    theirs: dict[str, Any] = {"add_lines": [{"number": one, "office": "9"}], "remove_lines": [two]}
    await service.post(client["client_id"], "services", **theirs)
    path = at(client, "/services")
    page = await ann.sent(path, form | {"office-0": "2", "office-1": "2"}, 409)
    assert "changed meanwhile: in 9" in page.said["said-office-0"]
    assert "removed meanwhile" in page.said["said-office-1"]
    await ann.done(path, page.forms[path] | {"office-1": "1"})
    assert lines(await shown(service, client["client_id"])) == [(one, "2", False)]


# -- sites ------------------------------------------------------------------------------------------------------------


async def test_a_site_is_added_once_and_its_id_made_of_its_name(ann: Somebody, service: Service) -> None:
    form, page = await ann.open("/sites/new")
    assert "Pacific/Auckland" in page.html
    name = unique("Harbour View")
    typed = form | {"name": name, "timezone": "Pacific/Auckland"}
    for _ in range(2):
        path, notice = await ann.done("/sites/new", typed)
        assert (path, notice) == ("/clients/new", f"Added {name}. Now its first client.")
    sites = (await service.api.get("/sites")).json()["items"]
    [site] = [site for site in sites if site["name"] == name]
    assert site["site_id"] == name.lower().replace(" ", "-")
    page = await ann.sent("/sites/new", typed | {"name": unique("Other"), "site_id": SITE}, 409)
    assert "There is another site" in page.said["said-site_id"]
    page = await ann.sent("/sites/new", typed | {"site_id": unique("other")}, 422)
    assert "a site of this name already" in page.said["said-name"]


@pytest.mark.parametrize(
    ("typed", "where", "why"),
    [
        ({"name": ""}, "name", "missing"),
        ({"timezone": ""}, "timezone", "missing"),
        ({"timezone": "GMT+1"}, "timezone", "not an IANA time zone"),
        ({"site_id": "Ä"}, "site_id", "cannot be"),
    ],
)
async def test_a_wrong_site_is_told_at_its_field(ann: Somebody, typed: dict[str, str], where: str, why: str) -> None:
    form, _ = await ann.open("/sites/new")
    page = await ann.sent("/sites/new", {**form, "name": "N", "timezone": "Europe/Paris", **typed}, 422)
    assert why in page.said[f"said-{where}"]
    assert page.forms["/sites/new"][where] == typed[where]
