"""Claims about creating clients over HTTP (PRODUCT.md sections 2 and 7.2)."""

import asyncio

import httpx2

from tests.support.service import Service, number, unique
from workflows.domain.dates import zone_rules


async def test_a_new_client_is_answered_with_its_place_and_becomes_active(api: httpx2.AsyncClient) -> None:
    client_id = unique("acme")
    body = {
        "client_id": client_id,
        "name": "Acme",
        "type": "virtual",
        "site": "thames",
        "lines": [{"number": number()}],
    }
    answer = await api.post("/clients", json=body, headers={"Prefer": "wait=20"})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/clients/{client_id}"
    assert answer.headers["Preference-Applied"] == "wait=20"
    client = answer.json()
    assert (client["status"], client["provisioning"], client["office_label"]) == ("active", "settled", "Virtual Client")
    assert client["billing_ref"].startswith("C")
    assert client["temporal_ui_url"] == f"http://ui/namespaces/default/workflows/client-{client_id}"
    assert (await api.get(f"/clients/{client_id}")).json() == client


async def test_an_id_that_is_made_says_nothing_of_the_client(service: Service) -> None:
    client = await service.create(name="Dr Jane Doe Psychiatry", wait=0)
    words = client["client_id"].split("-")
    assert [len(word) for word in words] == [5, 5]
    assert not set(client["client_id"]) & set("aeiou"), "a search for a part of a name finds it by its name alone"


async def test_a_number_written_with_spaces_is_kept_in_e164(service: Service) -> None:
    written = number()
    spaced = f"{written[:3]} (0){written[3:5]} {written[5:9]}-{written[9:]}"
    client = await service.create(lines=[{"number": spaced, "office": "3.12"}])
    assert client["lines"][0]["number"] == written


async def test_a_client_of_the_future_is_new_and_shows_when_it_starts(service: Service) -> None:
    client = await service.create(start_date="2199-07-01")
    assert (client["status"], client["provisioning"]) == ("new", "settled")
    assert client["planned"][0]["kind"] == "activate"
    plan = client["planned"][0]
    assert plan["local_time"] == "2199-07-01 00:00 Europe/London"
    assert (plan["day"], plan["zone"], plan["zone_rules"]) == ("2199-07-01", "Europe/London", zone_rules())
    assert client["planned"][0]["at"] == "2199-07-01T00:00:00+01:00"


async def test_the_same_request_twice_makes_one_client(api: httpx2.AsyncClient) -> None:
    body = {"name": unique("Twice"), "type": "virtual", "site": "thames", "lines": [{"number": number()}]}
    headers = {"Idempotency-Key": unique("key")}
    first, second = await asyncio.gather(*(api.post("/clients", json=body, headers=headers) for _ in range(2)))
    assert first.status_code == second.status_code == 201
    assert first.json()["client_id"] == second.json()["client_id"]
    assert first.json()["billing_ref"] == second.json()["billing_ref"]


async def test_one_key_for_two_different_clients_is_refused(api: httpx2.AsyncClient) -> None:
    body = {"client_id": unique("one"), "name": "One", "type": "virtual", "site": "thames"}
    headers = {"Idempotency-Key": unique("key")}
    assert (await api.post("/clients", json=body, headers=headers)).status_code == 201
    answer = await api.post("/clients", json={**body, "name": "Other"}, headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (422, "Command id reused")


async def test_an_id_is_never_used_twice(service: Service, api: httpx2.AsyncClient) -> None:
    for client in (await service.create(), await service.closed()):
        body = {"client_id": client["client_id"], "name": "Another", "type": "virtual", "site": "thames"}
        answer = await api.post("/clients", json=body)
        assert (answer.status_code, answer.json()["field"]) == (409, "client_id"), answer.text
        assert answer.json()["type"] == "/docs#client-id-taken"


async def test_what_another_client_has_is_refused_and_the_id_stays_free(
    service: Service, api: httpx2.AsyncClient
) -> None:
    theirs = await service.create(billing_ref=unique("REF"))
    body = {"client_id": unique("late"), "name": "Late", "type": "virtual", "site": "thames"}
    for field, taken in (
        ("billing_ref", {"billing_ref": theirs["billing_ref"]}),
        ("lines", {"lines": [{"number": theirs["lines"][0]["number"]}]}),
    ):
        answer = await api.post("/clients", json={**body, **taken})
        assert answer.status_code == 409, answer.text
        assert answer.json()["field"].startswith(field)
        assert (await api.get(f"/clients/{body['client_id']}")).status_code == 404
    assert (await api.post("/clients", json={**body, "lines": [{"number": number()}]})).status_code == 201
