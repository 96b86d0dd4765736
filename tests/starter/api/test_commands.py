"""Claims about commands over HTTP (PRODUCT.md sections 3 and 7.2)."""

import asyncio

import httpx2
import pytest

from starter.temporal.gateway import Gateway
from tests.support.service import Service, number, unique
from tests.support.waiting import eventually
from workflows.domain.dates import zone_rules

ACCESS = {"down_mbps": 100, "up_mbps": 20, "vlan": 110}


# -- what each command does -------------------------------------------------------------------------------------------


async def test_a_suspension_is_answered_when_it_is_proven(service: Service) -> None:
    client = await service.create(internet=ACCESS)
    answer = await service.post(client["client_id"], "suspend", source="billing", reason="unpaid")
    assert answer.status_code == 200, answer.text
    suspended = answer.json()
    assert (suspended["status"], suspended["provisioning"], suspended["changed"]) == ("suspended", "settled", True)
    assert suspended["holds"][0] | {"placed_at": ""} == {
        "source": "billing",
        "reason": "unpaid",
        "by": "api",
        "placed_at": "",
    }
    for system in suspended["systems"]:
        assert set(system["actual"].values()) == {"off"}
        assert system["proven_at"]
    assert service.telephony.lines[client["lines"][0]["number"]] is False
    assert service.internet.subjects[client["client_id"]].on is False


async def test_services_come_back_when_the_hold_is_lifted(service: Service) -> None:
    client = await service.create()
    await service.post(client["client_id"], "suspend", source="billing")
    answer = await service.post(client["client_id"], "unsuspend", source="billing")
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert service.telephony.lines[client["lines"][0]["number"]] is True


async def test_a_manual_client_stays_new_until_it_is_activated(service: Service, api: httpx2.AsyncClient) -> None:
    client = await service.create(activation="manual")
    assert client["status"] == "new"
    answer = await api.post(f"/clients/{client['client_id']}/activate", headers={"Prefer": "wait=20"})  # no body at all
    assert (answer.status_code, answer.json()["status"]) == (200, "active")


async def test_a_cancelled_activation_is_planned_again_by_an_edit(service: Service, api: httpx2.AsyncClient) -> None:
    client = await service.create(start_date="2199-01-01")
    path = f"/clients/{client['client_id']}"
    assert (await api.delete(f"{path}/planned/activate")).json()["activation"] == "manual"
    dry = (await api.patch(path, json={"activation": "automatic"}, params={"dry_run": True})).json()
    assert [plan["kind"] for plan in dry["comes"]] == ["activate"]
    answer = await api.patch(path, json={"activation": "automatic"}, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.json()["activation"]) == (200, "automatic"), answer.text
    (plan,) = answer.json()["planned"]
    assert (plan["kind"], plan["local_time"]) == ("activate", "2199-01-01 00:00 Europe/London")
    assert plan["status_after"] == "active"


async def test_the_activation_of_a_client_that_was_activated_is_refused(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client = await service.create()
    path = f"/clients/{client['client_id']}"
    refused = await api.patch(path, json={"activation": "manual"})
    assert (refused.status_code, refused.json()["field"]) == (409, "activation")
    for nonsense in (None, "perhaps", 7):
        answer = await api.patch(path, json={"activation": nonsense})
        assert (answer.status_code, answer.json()["field"]) == (422, "activation"), nonsense


async def test_the_history_begins_with_who_created_the_client(service: Service) -> None:
    client = await service.create()
    first = (await service.history(client["client_id"]))[-1]
    assert (first["kind"], first["by"]) == ("create", "api")


async def test_details_are_edited(service: Service, api: httpx2.AsyncClient) -> None:
    client = await service.create(end_date="2100-01-31")
    path = f"/clients/{client['client_id']}"
    ref = unique("REF")
    details = {"name": "New name", "billing_ref": ref, "end_date": None}
    answer = await api.patch(path, json=details, headers={"Prefer": "wait=20"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["billing_ref"], answer.json()["end_date"]) == ("New name", ref, None)
    generated = (await api.patch(path, json={"billing_ref": ""}, headers={"Prefer": "wait=20"})).json()["billing_ref"]
    assert generated not in ("", ref)


async def test_services_are_changed(service: Service) -> None:
    client = await service.create()
    old, new = client["lines"][0]["number"], number()
    answer = await service.post(
        client["client_id"],
        "services",
        add_lines=[{"number": new, "office": "3.14"}],
        remove_lines=[old],
        internet=ACCESS,
    )
    assert answer.status_code == 200, answer.text
    assert [line["number"] for line in answer.json()["lines"]] == [new]
    assert answer.json()["offices"] == ["3.14"]
    assert service.telephony.lines[old] is False
    assert service.telephony.lines[new] is True
    ended = await service.post(client["client_id"], "services", internet="none")
    assert (ended.status_code, ended.json()["internet"]) == (200, None)


async def test_a_client_becomes_virtual_and_residential_again(service: Service) -> None:
    client = await service.create(internet=ACCESS)
    virtual = (await service.post(client["client_id"], "convert", to="virtual")).json()
    assert (virtual["type"], virtual["offices"], virtual["internet"]) == ("virtual", [], None)
    line = {"number": client["lines"][0]["number"], "office": "4.1"}
    back = await service.post(client["client_id"], "convert", to="residential", lines=[line], internet=ACCESS)
    assert (back.status_code, back.json()["offices"], back.json()["provisioning"]) == (200, ["4.1"], "settled")


async def test_a_planned_decommission_is_shown_replaced_and_cancelled(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id = (await service.create())["client_id"]
    planned = await service.post(client_id, "decommission", last_day="2100-02-28", reason="moving out")
    assert planned.status_code == 200, planned.text
    change = planned.json()["planned"][0]
    assert (change["local_time"], change["reason"]) == ("2100-03-01 00:00 Europe/London", "moving out")
    assert (change["day"], change["zone"], change["zone_rules"]) == ("2100-02-28", "Europe/London", zone_rules())
    again = await service.post(client_id, "decommission", last_day="2100-02-28", reason="moving out")
    assert not again.json()["changed"]
    assert "resolve_days" not in await service.activity_types(client_id), "the API resolved the day"
    replaced = (await service.post(client_id, "decommission", at="2100-04-01T09:00:00+01:00")).json()["planned"]
    assert [c["at"] for c in replaced] == ["2100-04-01T09:00:00+01:00"]
    assert (replaced[0]["day"], replaced[0]["zone"], replaced[0]["zone_rules"]) == (None, "", "")
    cancelled = (await service.post(client_id, "cancel-scheduled-decommission")).json()
    assert (cancelled["planned"], cancelled["status"], cancelled["changed"]) == ([], "active", True)
    again = (await service.post(client_id, "cancel-scheduled-decommission")).json()
    assert again["changed"] is False


@pytest.mark.parametrize("by", ["kind", "change_id"])
async def test_a_planned_change_is_cancelled_by_kind_or_id(service: Service, api: httpx2.AsyncClient, by: str) -> None:
    client_id = (await service.create())["client_id"]
    planned = (await service.post(client_id, "suspend", last_day="2100-01-31")).json()["planned"][0]
    answer = await api.delete(f"/clients/{client_id}/planned/{planned[by]}?reason=not+needed")
    assert answer.status_code in (200, 202), answer.text
    assert answer.json()["planned"] == []
    cancelled = await eventually(lambda: service.line_with(client_id, "Cancelled"))
    assert cancelled is not None
    assert cancelled["reason"] == "not needed"


async def test_why_a_planned_change_is_cancelled_may_be_said_in_a_body(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend", last_day="2100-01-31")
    path = f"/clients/{client_id}/planned/suspend"
    wrong = {"colour": "blue"}
    for refused in (await api.request("DELETE", path, json=wrong), await api.delete(path, params=wrong)):
        assert (refused.status_code, refused.json()["field"]) == (422, "colour"), refused.text
    answer = await api.request("DELETE", path, json={"reason": "paid", "source": "billing"})
    assert answer.json()["planned"] == [], answer.text
    cancelled = await eventually(lambda: service.line_with(client_id, "Cancelled"))
    assert cancelled is not None
    assert (cancelled["reason"], cancelled["source"]) == ("paid", "billing")


async def test_a_planned_change_that_is_not_there_is_unknown(service: Service, api: httpx2.AsyncClient) -> None:
    client_id = (await service.create())["client_id"]
    answer = await api.delete(f"/clients/{client_id}/planned/no-such-thing")
    assert (answer.status_code, answer.json()["title"]) == (404, "Nothing planned")


# -- waiting ----------------------------------------------------------------------------------------------------------


async def test_what_is_not_waited_for_is_accepted(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    service.telephony.faults.hold = asyncio.Event()
    try:
        answer = await service.post(client_id, "suspend", wait=0)
        assert (answer.status_code, answer.json()["provisioning"]) == (202, "changing")
        assert "Preference-Applied" not in answer.headers
        late = await service.post(client_id, "suspend", wait=1)
        assert (late.status_code, late.json()["changed"]) == (202, False)
        assert late.json()["systems"][0]["actual"] != late.json()["systems"][0]["desired"]
    finally:
        service.telephony.faults.hold.set()
        service.telephony.faults.hold = None
    settled = await service.post(client_id, "suspend")
    assert (settled.status_code, settled.json()["changed"]) == (200, False)


async def test_a_system_that_fails_is_shown_with_its_error(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    service.telephony.faults.down = True
    try:
        answer = await service.post(client_id, "suspend", wait=0)
        tried = await service.tried(client_id)
        assert (answer.status_code, tried["provisioning"]) == (202, "attention")
        assert "does not answer" in tried["systems"][0]["last_error"]
    finally:
        service.telephony.faults.down = False
    assert (await service.post(client_id, "suspend")).status_code == 200


# -- decided elsewhere ------------------------------------------------------------------------------------------------


async def test_a_claim_not_decided_in_time_is_accepted_and_answered_when_it_is_asked_again(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id, key, ref = (await service.create())["client_id"], unique("key"), unique("REF")
    patient, service.clients.gateway = service.clients.gateway, Gateway(service.temporal, patience=1)
    headers = {"Idempotency-Key": key}
    try:
        async with service.directory() as connection, connection.transaction():
            await connection.execute("LOCK TABLE clients IN SHARE MODE")

            async def accepted() -> httpx2.Response:
                """Not at once, if its worker is slow."""
                answer = await api.patch(f"/clients/{client_id}", json={"billing_ref": ref}, headers=headers)
                assert (answer.status_code, answer.json()["title"]) == (503, "Not decided"), answer.text
                return answer

            answer = await eventually(accepted)
            assert answer.headers["Retry-After"] == "5"
            assert (answer.json()["client_id"], answer.json()["command_id"]) == (client_id, key)
    finally:
        service.clients.gateway = patient
    again = await api.patch(
        f"/clients/{client_id}", json={"billing_ref": ref}, headers={**headers, "Prefer": "wait=20"}
    )
    assert (again.status_code, again.json()["billing_ref"], again.json()["changed"]) == (200, ref, True), again.text


async def test_a_command_survives_the_renewal_of_its_client(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    key = unique("key")
    first = await service.post(client_id, "suspend", key=key)
    await handle.signal("roll", {})
    again = await service.post(client_id, "suspend", key=key)
    assert (again.status_code, again.json()["message"]) == (200, first.json()["message"])
