"""External ids, tags, notes, warnings of the directory, and sites (PRODUCT.md sections 2 and 7.2)."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.support.service import Service, number, unique


async def ids(api: httpx2.AsyncClient, **query: Any) -> list[str]:
    answer = await api.get("/clients", params=query)
    assert answer.status_code == 200, answer.text
    return [client["client_id"] for client in answer.json()["items"]]


async def edit(service: Service, client_id: str, **body: Any) -> httpx2.Response:
    return await service.api.patch(f"/clients/{client_id}", json=body, headers={"Prefer": "wait=20"})


async def test_a_client_is_found_by_its_tags_and_by_what_other_systems_call_it(service: Service) -> None:
    crm, tag = unique("K"), unique("Vip")
    client = await service.create(external_ids={"CRM": crm}, tags=[tag, "late"])
    client_id = client["client_id"]
    assert (client["external_ids"], client["tags"]) == ({"CRM": crm}, [tag, "late"])
    assert await ids(service.api, tag=tag.upper()) == [client_id]
    assert await ids(service.api, external_id=f"crm:{crm.lower()}") == [client_id]
    assert await ids(service.api, q=f"{tag.lower()} {crm.lower()}") == [client_id]
    assert await ids(service.api, tag=tag[:-1]) == []
    answer = await edit(service, client_id, external_ids={"crm": None, "erp": crm}, remove_tags=[tag])
    assert answer.status_code == 200, answer.text
    assert (answer.json()["external_ids"], answer.json()["tags"]) == ({"erp": crm}, ["late"])
    assert await ids(service.api, tag=tag) == await ids(service.api, external_id=f"crm:{crm}") == []
    assert await ids(service.api, external_id=f"ERP:{crm}") == [client_id]


async def test_an_external_id_has_one_client_also_when_that_is_decommissioned_until_it_is_changed(
    service: Service,
) -> None:
    crm = unique("k")
    first, second = await service.create(external_ids={"crm": crm}), await service.create()
    taken = await edit(service, second["client_id"], external_ids={"CRM": crm.upper()})
    assert (taken.status_code, taken.json()["title"], taken.json()["field"]) == (
        409,
        "External id taken",
        "external_ids",
    )
    preview = await service.api.patch(
        f"/clients/{second['client_id']}?dry_run=true", json={"external_ids": {"crm": crm}}
    )
    assert preview.status_code == 409
    new = {"name": "Late Ltd", "type": "virtual", "site": first["site"], "external_ids": {"crm": crm}}
    assert (await service.api.post("/clients", json=new)).status_code == 409
    assert (await edit(service, first["client_id"], external_ids={"crm": None})).status_code == 200
    assert (await edit(service, second["client_id"], external_ids={"crm": crm})).status_code == 200
    await service.post(second["client_id"], "decommission")
    assert (await service.api.post("/clients", json=new)).status_code == 409


async def test_of_many_who_want_an_external_id_at_once_one_gets_it(service: Service) -> None:
    crm = unique("k")
    clients = [await service.create(wait=0) for _ in range(4)]
    answers = await asyncio.gather(*(edit(service, it["client_id"], external_ids={"crm": crm}) for it in clients))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


@pytest.mark.parametrize("ended", [False, True])
async def test_notes_are_kept_with_who_and_when_also_of_a_client_that_has_ended(service: Service, ended: bool) -> None:
    client = await (service.closed() if ended else service.create())
    client_id = client["client_id"]
    for text in ("rang", "rang\nagain"):
        answer = await service.post(client_id, "notes", key=f"{client_id}-{len(text)}", text=text)
        assert (answer.status_code, answer.json()["message"]) == (200, "Noted"), answer.text
    again = await service.post(client_id, "notes", key=f"{client_id}-4", text="rang")
    assert (again.status_code, again.json()["changed"]) == (200, True)
    other = await service.post(client_id, "notes", key=f"{client_id}-4", text="something else")
    assert (other.status_code, other.json()["title"]) == (422, "Command id reused")
    page = (await service.api.get(f"/clients/{client_id}/notes")).json()
    assert ([note["text"] for note in page["items"]], page["total"]) == (["rang\nagain", "rang"], 2)
    assert {note["by"] for note in page["items"]} == {"api"}
    lines = [line for line in await service.history(client_id) if line["kind"] == "note" and line["event"] == "noted"]
    assert [line["text"] for line in lines] == ["rang\nagain", "rang"]
    dry = await service.api.post(f"/clients/{client_id}/notes?dry_run=true", json={"text": "not yet"})
    assert (dry.status_code, dry.json()["message"]) == (200, "Noted")
    blank = await service.post(client_id, "notes", text=" ")
    assert (blank.status_code, blank.json()["field"]) == (422, "text")
    assert (await service.api.get(f"/clients/{client_id}/notes")).json()["total"] == 2


async def test_notes_of_nobody_are_not_found(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/clients/nobody-at-all/notes")).status_code == 404
    assert (await api.post("/clients/nobody-at-all/notes", json={"text": "x"})).status_code == 404


async def test_lookalikes_are_warned_of_and_never_refused(service: Service) -> None:
    site = await service.site()
    former = await service.closed(site=site, name="Café Acme")
    neighbour = await service.create(site=site, lines=[{"number": number(), "office": "7.A"}])

    def office_in_use(answer: dict[str, Any]) -> list[str]:
        return [it["text"] for it in answer["warnings"] if it["code"] == "office_in_use"]

    line = {"number": number(), "office": "7.a"}
    client = await service.create(site=site, name="cafe acme", lines=[line])
    codes = [warning["code"] for warning in client["warnings"]]
    assert codes == ["former_client_of_this_name", "office_in_use"]
    assert neighbour["client_id"] in client["warnings"][1]["text"]
    assert former["client_id"] in client["warnings"][0]["text"]
    client_id = client["client_id"]
    renamed = await edit(service, client_id, name="CAFE ACME")
    assert (renamed.status_code, [it["code"] for it in renamed.json()["warnings"]]) == (200, codes[:1])
    body: dict[str, Any] = {"add_lines": [{"number": number(), "office": "7.A"}, {"number": number(), "office": "8"}]}
    preview = await service.api.post(f"/clients/{client_id}/services?dry_run=true", json=body)
    assert (preview.status_code, len(office_in_use(preview.json()))) == (200, 1)
    changed = await service.post(client_id, "services", **body)
    assert (changed.status_code, len(office_in_use(changed.json()))) == (200, 1)
    virtual = await service.create(site=site, type="virtual")
    lines = [{"number": line["number"], "office": "9"} for line in virtual["lines"]]
    converted = await service.post(virtual["client_id"], "convert", to="residential", lines=lines, offices=["7.A"])
    assert converted.status_code == 200
    assert any(neighbour["client_id"] in text for text in office_in_use(converted.json()))
    assert (await service.post(client_id, "suspend")).json()["warnings"] == []


async def test_the_same_key_is_answered_with_the_warnings_of_then(service: Service) -> None:
    site = await service.site()
    neighbour = await service.create(site=site, lines=[{"number": number(), "office": "7"}])
    line, more = ({"number": number(), "office": "7"} for _ in range(2))
    new = {"name": "Acme", "type": "residential", "site": site, "lines": [line]}
    key = {"Idempotency-Key": unique("key"), "Prefer": "wait=20"}
    made = await service.api.post("/clients", json=new, headers=key)
    client_id = made.json()["client_id"]
    await service.post(client_id, "suspend", source="billing")

    async def sent() -> list[httpx2.Response]:
        return [
            await service.api.post("/clients", json=new, headers=key),
            await service.post(client_id, "services", key=f"{client_id}-1", add_lines=[more]),
            await service.post(client_id, "unsuspend", key=f"{client_id}-2", source="security"),
        ]

    first = await sent()
    codes = [[warning["code"] for warning in answer.json()["warnings"]] for answer in first]
    assert codes == [["office_in_use"], ["office_in_use"], ["still_held"]], codes
    assert first[0].json()["warnings"] == made.json()["warnings"]
    assert (await service.post(neighbour["client_id"], "decommission")).status_code == 200
    assert (await service.post(client_id, "unsuspend", source="all")).json()["status"] == "active"
    again = await sent()
    assert [answer.json()["warnings"] for answer in again] == [answer.json()["warnings"] for answer in first]
    assert again[2].json()["status"] == "active", "the client itself is as it is now"
    dry = await service.api.post(
        f"/clients/{client_id}/services?dry_run=true", json={"add_lines": [{"number": number(), "office": "7"}]}
    )
    assert dry.json()["warnings"] == [], "nobody else is in that office now"


async def test_a_site_is_renamed_given_a_country_and_retired_and_it_is_written_down(service: Service) -> None:
    site, api = await service.site("Old House"), service.api
    answer = await api.patch(f"/sites/{site}", json={"name": "New House", "country": "gb", "timezone": "Asia/Tokyo"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["country"], answer.json()["timezone"]) == (
        ("New House", "GB", "Asia/Tokyo")
    )
    assert (await api.patch(f"/sites/{site}", json={"retired": True})).json()["retired"]
    new = {"name": "Acme", "type": "virtual", "site": site}
    refused = await api.post("/clients", json=new)
    assert (refused.status_code, refused.json()["field"]) == (422, "site")
    assert "retired" in refused.json()["detail"]
    assert (await api.patch(f"/sites/{site}", json={"retired": False, "country": None})).json()["country"] is None
    assert (await api.post("/clients", json=new)).status_code == 201
    history = (await api.get(f"/sites/{site}/history")).json()
    assert [(it["text"], it["by"]) for it in history["items"]] == [
        ("Country: none, before: GB; Opened again", "api"),
        ("Retired: it takes no new client", "api"),
        (
            "Name: New House, before: Old House; Time zone: Asia/Tokyo, before: Europe/London; "
            "Country: GB, before: none",
            "api",
        ),
        ("Added: Old House, Europe/London", "api"),
    ]


async def test_a_site_with_a_living_client_is_neither_retired_nor_given_another_zone(service: Service) -> None:
    site, api = await service.site(), service.api
    client = await service.create(site=site, type="virtual")
    for change in ({"retired": True}, {"timezone": "Asia/Tokyo"}, {"name": "Half", "timezone": "Asia/Tokyo"}):
        refused = await api.patch(f"/sites/{site}", json=change)
        assert refused.status_code == 409, refused.text
        assert refused.json()["field"] in change
        assert "1 living client" in refused.json()["detail"]
    assert (await api.patch(f"/sites/{site}", json={"country": "GB"})).status_code == 200
    assert [it["name"] for it in (await api.get("/sites")).json()["items"] if it["site_id"] == site] == [site]
    await service.post(client["client_id"], "decommission")
    assert (await api.patch(f"/sites/{site}", json={"retired": True, "timezone": "Asia/Tokyo"})).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"country": "XX"}, "country"),
        ({"country": "GBR"}, "country"),
        ({"country": ""}, "country"),
        ({"timezone": "London"}, "timezone"),
        ({"retired": "yes"}, "retired"),
        ({"name": " "}, "name"),
    ],
)
async def test_a_bad_change_of_a_site_names_the_field(service: Service, change: dict[str, Any], field: str) -> None:
    site = await service.site()
    refused = await service.api.patch(f"/sites/{site}", json=change)
    assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    assert (await service.api.get(f"/sites/{site}/history")).json()["total"] == 1


async def test_history_of_a_site_that_is_not_there(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/sites/nowhere-at-all/history")).status_code == 404
