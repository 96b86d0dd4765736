"""Claims about commands over HTTP (PRODUCT.md sections 3 and 7.2)."""

from datetime import UTC, datetime, timedelta

import httpx

from tests.starter.house import House, number, unique


async def test_a_new_client_is_answered_with_its_place_and_becomes_active(house: House, api: httpx.AsyncClient) -> None:
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


async def test_a_suspension_is_answered_when_it_is_proven(house: House) -> None:
    client = await house.create(internet={"down_mbps": 100, "up_mbps": 20})
    answer = await house.post(client["client_id"], "suspend", source="billing", reason="unpaid")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["status"], told["provisioning"], told["changed"]) == ("suspended", "settled", True)
    for system in told["systems"]:
        assert set(system["actual"].values()) == {"off"}
        assert system["proven_at"]
