"""Claims about New client and New site as plain forms, without scripts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from starter.app import create_app
from starter.clients import ClientService
from starter.telephones import phone_word
from starter.temporal.gateway import Gateway
from tests.starter.console.filling_in import Somebody, ann, signed_in
from tests.support.service import LIMITS, SITE, TOKEN, Service, number, serving, unique
from tests.support.waiting import free_port

TODAY = datetime.now(UTC).date()
SOON, LATER = ((TODAY + timedelta(days)).isoformat() for days in (40, 90))

__all__ = ["ann"]


async def clients_named(service: Service, name: str) -> list[dict[str, Any]]:
    """Every client of this name."""
    answer = await service.api.get("/clients", params={"q": name, "inactive": "true"})
    return [client for client in answer.json()["items"] if client["name"] == name]


# -- new clients -----------------------------------------------------------------------------------------------------


async def test_a_client_is_created_with_everything_that_the_form_says(ann: Somebody, service: Service) -> None:
    form, page = await ann.open(f"/clients/new?site={SITE}")
    assert form["site"] == SITE
    assert "Europe/London" in page.texts["help-site"]
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
    assert notice.startswith(f"Created {name}.")
    client = await service.client(typed["client_id"])
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
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    name = unique("Twice")
    typed = form | {"name": name, "number-0": number(), "office-0": "1.01"}
    both = await asyncio.gather(ann.done("/clients/new", typed), ann.done("/clients/new", typed))
    assert both[0] == both[1] == await ann.done("/clients/new", typed)
    assert len(await clients_named(service, name)) == 1


async def test_a_virtual_client_that_waits_to_be_activated_is_created(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    name = unique("Virtual")
    typed = form | {"name": name, "type": "virtual", "activation": "manual", "number-0": number()}
    await ann.done("/clients/new", typed)
    [client] = await clients_named(service, name)
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
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    name = unique("Wrong")
    page = await ann.sent("/clients/new", form | {"name": name, "vlan": "", **typed}, 422)
    assert why in page.texts[f"note-{where}"]
    assert page.tags[where].get("aria-invalid") == "true" or where == "type"
    assert "autofocus" in page.tags[where] or where == "type"
    assert f"#{where}" in page.links
    for field_, value in typed.items():
        if field_ not in ("type", "site") and "\0" not in value:
            assert page.forms["/clients/new"][field_] == value.strip()
    assert not await clients_named(service, name)


async def test_what_others_have_is_told_at_its_field(ann: Somebody, service: Service) -> None:
    theirs = await service.create(unique("Holder"), billing_ref=unique("H"))
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    taken = theirs["lines"][0]["number"]
    typed = form | {"name": unique("Late"), "number-0": number(), "office-0": "1", "number-1": taken, "office-1": "2"}
    page = await ann.sent("/clients/new", typed, 409)
    assert f"taken by client {theirs['client_id']}" in page.texts["note-number-1"]
    assert "is free" in page.texts["note-number-0"]
    assert page.forms["/clients/new"]["command_id"] != form["command_id"]
    typed = page.forms["/clients/new"] | {"number-1": "", "office-1": "", "billing_ref": theirs["billing_ref"]}
    page = await ann.sent("/clients/new", typed, 409)
    assert "taken" in page.texts["note-billing_ref"]
    typed = page.forms["/clients/new"] | {"name": "x", "billing_ref": "", "client_id": theirs["client_id"]}
    page = await ann.sent("/clients/new", typed, 409)
    assert "There is, or was, a client" in page.texts["note-client_id"]
    await ann.done("/clients/new", page.forms["/clients/new"] | {"name": unique("Late"), "client_id": ""})


async def test_a_number_given_twice_is_told_at_the_second(ann: Somebody) -> None:
    form, _ = await ann.open(f"/clients/new?site={SITE}")
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
    assert "is given twice" in page.texts["note-number-2"]
    assert "note-number-0" not in page.texts or "twice" not in page.texts["note-number-0"]


async def test_more_lines_keeps_what_was_typed_and_creates_nothing(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    name = unique("More")
    page = await ann.sent("/clients/new", form | {"name": name, "number-2": "+4420", "more": "lines"}, 200)
    sent = page.forms["/clients/new"]
    assert (sent["name"], sent["number-2"], sent["number-5"]) == (name, "+4420", "")
    assert sent["command_id"] == form["command_id"]
    assert not await clients_named(service, name)


async def test_the_check_says_what_will_happen_and_does_nothing(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    name, free = unique("Checked"), number()
    page = await ann.sent(
        "/clients/new/check",
        form | {"site": SITE, "name": name, "number-0": free, "office-0": "1", "start_date": "2199-07-01"},
        200,
    )
    assert page.texts["note-start_date"] == "Activates on 1 Jul 2199, 00:00 Europe/London."
    assert page.texts["note-number-0"] == f"{phone_word(free)} is free."
    past = form | {"start_date": "2020-01-01", "end_date": "2019-01-01"}
    page = await ann.sent("/clients/new/check", past, 200)
    assert page.texts["note-start_date"] == "Activates at once: the start date is past."
    assert "before the start date" in page.texts["note-end_date"]
    page = await ann.sent("/clients/new/check", form | {"activation": "manual"}, 200)
    assert "until somebody activates it" in page.texts["note-start_date"]
    assert not await clients_named(service, name)


async def test_what_is_not_finished_is_not_called_wrong_while_one_types(ann: Somebody) -> None:
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    page = await ann.sent("/clients/new/check", form | {"number-0": "+4420", "typing": "number-0"}, 200)
    assert "note-number-0" not in page.texts
    assert "note-name" not in page.texts
    page = await ann.sent("/clients/new/check", form | {"number-0": "+4420"}, 200)
    assert "can exist" in page.texts["note-number-0"]


async def test_what_was_typed_is_kept_while_something_is_away_and_then_done_once(
    ann: Somebody, service: Service
) -> None:
    nowhere = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True, data_converter=pydantic_data_converter)
    clients = ClientService(Gateway(nowhere), service.clients.directory, service.clients.watch, LIMITS)
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    name = unique("Patient")
    async with serving(create_app(clients, TOKEN)) as url, signed_in(service, url) as elsewhere:
        there, _ = await elsewhere.open("/clients/new")
        page = await elsewhere.sent("/clients/new", there | {"name": name, "command_id": form["command_id"]}, 503)
    assert "Temporal does not answer" in page.html
    form_again = page.forms["/clients/new"]
    assert (form_again["name"], form_again["command_id"]) == (name, form["command_id"])
    for _ in range(2):
        await ann.done("/clients/new", form_again)
    assert len(await clients_named(service, name)) == 1


async def test_markup_is_shown_as_text(ann: Somebody, service: Service) -> None:
    form, _ = await ann.open(f"/clients/new?site={SITE}")
    name = f"<script>alert(1)</script> & {unique('M')}"
    page = await ann.sent("/clients/new", form | {"name": name, "number-0": '"><b>', "office-0": "<i>"}, 422)
    assert "<script>alert" not in page.html
    assert "<b>'" not in page.html
    assert page.forms["/clients/new"]["number-0"] == '"><b>'
    path, _ = await ann.done("/clients/new", form | {"name": name, "number-0": number(), "office-0": "<i>3</i>"})
    _, page = await ann.open(f"{path}/edit")
    assert "<script>alert" not in page.html
    assert "<i>3" not in page.html


# -- new sites -------------------------------------------------------------------------------------------------------


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
    assert "There is another site" in page.texts["note-site_id"]
    page = await ann.sent("/sites/new", typed | {"site_id": unique("other")}, 422)
    assert "a site of this name already" in page.texts["note-name"]


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
    assert why in page.texts[f"note-{where}"]
    assert page.forms["/sites/new"][where] == typed[where]
