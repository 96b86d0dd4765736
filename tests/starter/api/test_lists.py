"""Claims about lists: the directory page by page, and histories (PRODUCT.md sections 2 and 7.2)."""

from typing import Any

import httpx2
import pytest
import pytest_asyncio

from tests.support.service import Service, number, unique


@pytest_asyncio.fixture(scope="session")
async def tower(service: Service) -> str:
    """A site of its own with seven clients, one of them the operator's own and one decommissioned."""
    site = await service.site(timezone="Asia/Tokyo")
    for name, record in (
        ("Delta", {"end_date": "2001-01-01"}),
        ("Alpha 100%", {"end_date": "2100-01-01"}),
        ("Charlie", {"activation": "manual"}),
        ("Bravo", {"lines": [{"number": "+442079465001", "office": "12.7"}]}),
        ("Zulu", {"management": True}),
        ("Echo", {"type": "virtual", "billing_ref": f"{site}-ECHO", "start_date": "2100-05-01"}),
        ("Foxtrot", {}),
    ):
        client = await service.create(site=site, name=name, **record)
        if name == "Foxtrot":
            await service.post(client["client_id"], "decommission")
    return site


async def _names(api: httpx2.AsyncClient, **query: Any) -> list[str]:
    answer = await api.get("/clients", params=query)
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert page["total"] == len(page["items"])
    return [client["name"] for client in page["items"]]


async def test_the_management_client_comes_first_and_inactive_ones_are_hidden(
    api: httpx2.AsyncClient, tower: str
) -> None:
    assert await _names(api, site=tower) == ["Zulu", "Alpha 100%", "Bravo", "Charlie", "Delta", "Echo"]
    assert await _names(api, site=tower, inactive=True) == [
        "Zulu",
        "Alpha 100%",
        "Bravo",
        "Charlie",
        "Delta",
        "Echo",
        "Foxtrot",
    ]
    assert await _names(api, site=tower, status="decommissioned") == ["Foxtrot"]


async def test_clients_are_found_by_status_type_and_words(api: httpx2.AsyncClient, tower: str) -> None:
    assert await _names(api, site=tower, status="new") == ["Charlie", "Echo"]
    assert await _names(api, site=tower, type="virtual") == ["Echo"]
    assert await _names(api, site=tower, q="bra 12.7") == ["Bravo"]
    assert await _names(api, site=tower, q="5001") == ["Bravo"]
    assert await _names(api, site=tower, q="ECHO") == ["Echo"]
    assert await _names(api, site=tower, q="100%") == ["Alpha 100%"]
    assert await _names(api, site=tower, q="_") == []
    assert await _names(api, site=tower, q="\\") == []
    assert await _names(api, site="nowhere") == []


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("-name", ["Zulu", "Echo", "Delta", "Charlie", "Bravo", "Alpha 100%"]),
        ("end_date", ["Zulu", "Delta", "Alpha 100%"]),
        ("-end_date", ["Zulu", "Alpha 100%", "Delta"]),
        ("-start_date", ["Zulu", "Echo"]),
        ("next_change", ["Zulu", "Echo"]),
        ("status", ["Zulu"]),
        ("-billing_ref", ["Zulu", "Echo"]),
    ],
)
async def test_a_list_is_sorted_and_its_pages_join_without_gap(
    api: httpx2.AsyncClient, tower: str, sort: str, names: list[str]
) -> None:
    whole = await _names(api, site=tower, sort=sort)
    assert whole[: len(names)] == names
    found: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, str | int] = {"site": tower, "sort": sort, "limit": 1}
        if cursor:
            query["cursor"] = cursor
        page = (await api.get("/clients", params=query)).json()
        assert page["total"] == 6
        found += [client["name"] for client in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == whole


async def test_times_carry_the_offset_of_the_site(api: httpx2.AsyncClient, tower: str) -> None:
    echo = (await api.get("/clients", params={"site": tower, "q": "echo"})).json()["items"][0]
    assert echo["planned"][0]["at"] == "2100-05-01T00:00:00+09:00"
    assert echo["created_at"].endswith("+09:00")
    assert (await api.get("/clients", params={"site": tower, "q": "delta"})).json()["items"][0]["end_date_passed"]
    entry = (await api.get(f"/clients/{echo['client_id']}/history")).json()["items"][0]
    assert entry["at"].endswith("+09:00")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "bnVsbA",
        "WyJuYW1lIiwgdHJ1ZSwgIngiXQ",  # too short
        "WyItbmFtZSIsIHRydWUsICJ4IiwgInkiXQ",  # of another order
        "WyJuYW1lIiwgdHJ1ZSwgIlx1MDAwMCIsICJ5Il0",  # with a NUL
    ],
)
async def test_a_cursor_that_was_not_given_out_is_refused(api: httpx2.AsyncClient, cursor: str) -> None:
    answer = await api.get("/clients", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["title"]) == (422, "No such page"), answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("limit", 0),
        ("limit", 501),
        ("sort", "colour"),
        ("status", "gone"),
        ("q", "a\0"),
        ("q", "x" * 201),
        ("type", "x"),
    ],
)
async def test_a_malformed_question_names_its_field(api: httpx2.AsyncClient, field: str, value: Any) -> None:
    answer = await api.get("/clients", params={field: value})
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


async def test_a_history_is_newest_first_and_its_pages_join_without_gap(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id = (await service.create())["client_id"]
    for reason in "abc":
        await service.post(client_id, "suspend", source=reason, reason=reason)
    await service.still(client_id)
    path = f"/clients/{client_id}/history"
    whole = (await api.get(path)).json()
    assert whole["next"] is None
    assert whole["total"] == len(whole["items"])
    decided = [entry for entry in whole["items"] if entry["event"] == "decided"]
    assert [entry["reason"] for entry in decided[:3]] == ["c", "b", "a"]
    assert decided[-1]["kind"] == "create"
    assert {entry["event"] for entry in whole["items"]} == {"decided", "proven"}
    assert [entry["at"] for entry in whole["items"]] == sorted((e["at"] for e in whole["items"]), reverse=True)
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = (await api.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == whole["items"]
    assert (await api.get(path, params={"cursor": "x"})).status_code == 422


async def test_sites_are_listed_and_the_same_site_twice_is_one(api: httpx2.AsyncClient) -> None:
    site = {"site_id": unique("site"), "name": "Station", "timezone": "America/New_York"}
    first, second = [await api.post("/sites", json=site) for _ in range(2)]
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    page = (await api.get("/sites")).json()
    assert first.json() in page["items"]
    assert page["total"] == len(page["items"])


async def test_a_number_may_be_searched_as_it_is_written(service: Service, api: httpx2.AsyncClient) -> None:
    taken = number()
    client = await service.create(lines=[{"number": taken, "office": "1"}])
    found = await api.get("/clients", params={"q": f"{taken[:3]} {taken[3:5]} {taken[5:9]} {taken[9:]}"})
    assert client["client_id"] in [item["client_id"] for item in found.json()["items"]]


async def test_names_are_listed_as_in_a_dictionary_page_by_page(service: Service, api: httpx2.AsyncClient) -> None:
    site = await service.site()
    for name in ("Zeta", "Ärger", "alpha ltd", "Acme"):
        await service.create(site=site, name=name, type="virtual", lines=[], wait=0)
    names = ["Acme", "alpha ltd", "Ärger", "Zeta"]
    for sort, expected in (("name", names), ("-name", names[::-1])):
        assert await _names(api, site=site, sort=sort) == expected
        found: list[str] = []
        cursor: dict[str, str] = {}
        for _ in expected:
            page = (await api.get("/clients", params={"site": site, "sort": sort, "limit": 1, **cursor})).json()
            found.append(page["items"][0]["name"])
            cursor = {"cursor": page["next"]}
        assert (found, page["next"]) == (expected, None)


async def test_sites_are_listed_as_in_a_dictionary(service: Service, api: httpx2.AsyncClient) -> None:
    key = unique("Street")
    for name in (f"{key} Ärger", f"{key} Zeta", f"{key} alpha", f"{key} Acme"):
        await service.site(name)
    listed = [site["name"].split()[-1] for site in (await api.get("/sites")).json()["items"] if key in site["name"]]
    assert listed == ["Acme", "alpha", "Ärger", "Zeta"]


async def test_an_unknown_parameter_of_a_question_is_named(service: Service, api: httpx2.AsyncClient) -> None:
    client_id = (await service.create(type="virtual", lines=[], wait=0))["client_id"]
    for path in ("/clients", f"/clients/{client_id}/history"):
        answer = await api.get(path, params={"limit": 1, "colour": "blue"})
        assert (answer.status_code, answer.json()["field"]) == (422, "colour"), answer.text
        assert answer.json()["detail"] == "There is no parameter colour. Leave it out, or correct its name."
