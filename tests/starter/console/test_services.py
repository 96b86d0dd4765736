"""Services of further kinds in the console, as plain forms: New, Edit client, Edit status, and the pages."""

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest_asyncio

from tests.starter.console.filling_in import Read, Somebody, ann, at, signed_in
from tests.support.service import Service, number, unique
from tests.support.terminal import Terminal

__all__ = ["ann"]
DOOR = {"kind": "doors", "name": "main-entrance", "settings": {"card": "0472"}}


@pytest_asyncio.fixture(scope="session")
async def bea(with_doors: Service) -> AsyncIterator[Somebody]:
    """Somebody whose Connect has doors as a further kind."""
    async with signed_in(with_doors) as bea:
        yield bea


async def test_without_further_kinds_no_form_speaks_of_them(ann: Somebody, service: Service) -> None:
    client = await service.create()
    status = f"/clients/{client['client_id']}/status?action=change_services"
    for path in ("/clients/new", at(client), status):
        assert "urther services" not in (await ann.http.get(path)).text


async def test_a_new_client_has_the_services_that_were_typed(bea: Somebody, with_doors: Service) -> None:
    form, _ = await bea.open("/clients/new")
    client_id = unique("new")
    typed = form | {"name": "Acme", "site": "thames", "client_id": client_id, "number-0": number(), "office-0": "1"}
    typed |= {"kind-0": "doors", "service-0": "main-entrance", "settings-0": "card=0472, floor:=3"}
    path, _ = await bea.done("/clients/new", typed)
    client = await with_doors.client(client_id)
    assert client["services"] == [{**DOOR, "settings": {"card": "0472", "floor": 3}}]
    page = (await bea.http.get(path)).text
    assert "<dt>Doors</dt><dd>main-entrance (card 0472, floor 3)" in page
    assert '<h2 id="system-doors">Doors <span class="badge' in page


async def test_what_is_wrong_with_a_service_is_said_beside_it(bea: Somebody) -> None:
    form, _ = await bea.open("/clients/new")
    typed = form | {"name": "Acme", "number-0": number(), "office-0": "1", "kind-0": "doors"}
    for fields, field, words in (
        ({"settings-0": "card=0472"}, "service-0", "The name is missing."),
        ({"service-0": "a", "settings-0": "card"}, "settings-0", "is no setting: write KEY=TEXT"),
        ({"service-0": "a", "settings-0": "pin:=x"}, "settings-0", "a text has = alone"),
        ({"service-0": "a", "kind-0": "mailbox"}, "service-0", "There is no kind of service 'mailbox'"),
        ({"service-0": "a\u202eb"}, "service-0", "a character that cannot be seen"),
        ({"service-0": "a", "type": "virtual"}, "service-0", "A virtual client has no doors: it is in the building."),
        (
            {"service-0": "a", "kind-1": "doors", "service-1": "a"},
            "service-1",
            "doors:a is given twice. Give each service once.",
        ),
    ):
        page = await bea.sent("/clients/new", typed | fields, 422)
        assert words in page.texts[f"note-{field}"], page.texts


async def test_services_are_changed_added_and_removed_on_the_edit_page(bea: Somebody, with_doors: Service) -> None:
    client = await with_doors.create(services=[DOOR, {"kind": "doors", "name": "garage"}])
    path = at(client, "/services")
    form, _ = await bea.open(at(client), path)
    typed = form | {"settings-0": "card=0473", "drop-1": "yes", "kind-2": "doors", "service-2": "roof"}
    page = await bea.sent(f"{path}/check", typed, 200)
    assert "Doors garage" in " ".join(page.html.replace('<b class="number">', "").replace("</span>", "").split())
    assert (await with_doors.client(client["client_id"]))["services"][0] == DOOR
    _, notice = await bea.confirmed(path, typed)
    assert notice == "Services: added doors:roof, removed doors:garage, changed doors:main-entrance."
    services = (await with_doors.client(client["client_id"]))["services"]
    assert [(service["name"], service["settings"]) for service in services] == [
        ("main-entrance", {"card": "0473"}),
        ("roof", {}),
    ]


async def test_what_somebody_else_did_to_a_service_is_not_undone_unseen(bea: Somebody, with_doors: Service) -> None:
    client = await with_doors.create(services=[DOOR])
    path = at(client, "/services")
    form, _ = await bea.open(at(client), path)
    await with_doors.post(client["client_id"], "services", add_services=[{**DOOR, "settings": {"card": "1"}}])
    page = await bea.sent(path, form | {"settings-0": "card=2"}, 409)
    assert "doors:main-entrance was changed meanwhile: card=1" in page.texts["note-settings-0"]
    await bea.confirmed(path, page.forms[path])
    assert (await with_doors.client(client["client_id"]))["services"][0]["settings"] == {"card": "2"}


async def test_a_planned_change_of_services_is_previewed_done_and_moved(bea: Somebody, with_doors: Service) -> None:
    client = await with_doors.create(services=[DOOR])
    path = f"/clients/{client['client_id']}/status"
    fields = {
        "action": "change_services",
        "when": "at",
        "at": "2099-03-01T09:00",
        "remove-service": "doors:main-entrance",
    }
    fields |= {"kind-0": "doors", "service-0": "roof", "settings-0": "card=0472"}
    form, page = await bea.open(f"{path}?{urlencode(fields)}")
    table = " ".join(page.html.split())
    assert '<span class="sub">Doors</span>main-entrance</th><td data-label="Before">on, card 0472' in table
    assert '<span class="sub">Doors</span>roof</th>' in table
    await bea.done(path, form)
    [plan] = (await with_doors.client(client["client_id"]))["planned"]
    assert plan["details"]["add_services"] == [{**DOOR, "name": "roof"}]
    assert plan["details"]["remove_services"] == ["doors:main-entrance"]
    page_of = (await bea.http.get(f"/clients/{client['client_id']}")).text
    assert "add doors roof, remove doors main-entrance" in page_of
    again = next(link for link in Read(page_of).links if "action=change_services" in link)
    moved, _ = await bea.open(again, f"{path}/check")
    assert moved["service-0"] == "roof"
    assert moved["remove-service"] == "doors:main-entrance"


async def test_the_system_of_a_kind_is_acted_on_under_its_title(bea: Somebody, with_doors: Service) -> None:
    client = await with_doors.create(services=[DOOR])
    client_id = client["client_id"]
    async with with_doors.without(with_doors.doors):
        await with_doors.post(client_id, "suspend", wait=0)
        await with_doors.tried(client_id)
        page = (await bea.http.get(f"/clients/{client_id}")).text
        assert f"/clients/{client_id}/systems/doors/skip" in page
        await bea.done(f"/clients/{client_id}/systems/doors/skip", {"reason": "the lock is being replaced"})
        assert "Doors: skipped" in " ".join((await bea.http.get(f"/clients/{client_id}")).text.split())
    attention = (await bea.http.get("/attention?site=&skipped=true")).text
    assert '<option value="doors">Doors</option>' in attention


async def test_a_kind_that_the_settings_no_longer_name_is_said_wherever_its_client_is_shown(
    service: Service, with_doors: Service, ann: Somebody, bea: Somebody, terminal: Terminal
) -> None:
    """``service`` is the same Connect, after doors were taken out of its settings."""
    site = await service.site()
    client_id = (await with_doors.create(site=site, services=[DOOR]))["client_id"]
    sentence = "Doors: the settings name no such kind any more"
    for path in ("", "/edit", "/status", "/status?action=suspend", "/status?action=change_services", "/history"):
        assert (await ann.http.get(f"/clients/{client_id}{path}")).status_code == 200, path
    assert sentence in (await ann.http.get(f"/clients/{client_id}")).text
    assert "Doors: not in the settings" in (await ann.http.get(f"/clients?site={site}")).text
    for look in (service.api.get(f"/clients/{client_id}"), service.api.get("/clients", params={"site": site})):
        answer = (await look).json()
        [client] = answer.get("items", [answer])
        assert [warning["code"] for warning in client["warnings"]] == ["kind_not_named"]
    output = " ".join((await terminal.connect("client", "show", client_id)).out.split())
    assert f"warning: {sentence}" in output
    assert "1 with services of a kind that the settings do not name" in (
        (await terminal.connect("client", "list", "--site", site)).out
    )
    assert "not in the settings" not in (await bea.http.get(f"/clients?site={site}")).text
    suspended = await service.post(client_id, "suspend")
    assert (suspended.status_code, suspended.json()["warnings"]) == (200, [])
    removed = await service.post(client_id, "services", remove_services=["doors:main-entrance"])
    assert removed.status_code == 200, removed.text
    assert (await service.client(client_id))["warnings"] == []
