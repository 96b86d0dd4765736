"""Claims about Idempotency-Key: one key is one command, however late it comes again, and its first verdict stands."""

import asyncio
from typing import Any

import httpx2
import pytest

from activities.database import Database
from starter.clients import ClientService
from starter.directory.reads import DirectoryReads
from starter.errors import DirectoryAway
from tests.support.service import KEYRING, LIMITS, Service, number, unique
from tests.support.waiting import HANGING, eventually, free_port
from workflows.domain.errors import IllegalTransition
from workflows.wire.messages import Activate
from workflows.wire.start import workflow_id

MANY = 2000


async def test_a_key_used_again_after_two_thousand_commands_and_two_renewals_is_answered_as_the_first_time(
    service: Service,
) -> None:
    client_id = (await service.create())["client_id"]
    obeyed, refused = unique("obeyed"), unique("refused")
    first = await service.post(client_id, "suspend", key=obeyed, source="first", reason="kept")
    denied = await service.post(client_id, "activate", key=refused)
    assert (first.status_code, denied.status_code) == (200, 409)

    handle = service.temporal.get_workflow_handle(workflow_id(client_id))
    for start in range(0, MANY, 100):
        commands = [
            {"source": f"s-{n % 50}", "reason": f"{n}", "command_id": f"later-{n}"} for n in range(start, start + 100)
        ]
        await asyncio.gather(*(handle.signal("suspend", command) for command in commands))
        await _wait_remembered(service, client_id, start + 100)
        if start in (600, 1400):
            await _wait_renewed(service, client_id)
    assert (await service.post(client_id, "unsuspend", source="all")).json()["status"] == "active"

    again = await service.post(client_id, "suspend", key=obeyed, source="first", reason="kept")
    assert (again.status_code, again.json()["changed"]) == (200, True)
    assert (again.json()["message"], again.json()["status"]) == (first.json()["message"], "active")
    assert (await service.post(client_id, "activate", key=refused)).json() == denied.json()
    assert (await service.clients.client(client_id)).holds == []
    state = await _lines_under(service, client_id, obeyed)
    assert [line["event"] for line in state] == ["decided"]


async def test_the_workflow_itself_obeys_nothing_twice_that_it_answered_long_ago(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    handle = service.temporal.get_workflow_handle(workflow_id(client_id))
    await handle.signal("suspend", {"source": "first", "command_id": "first"})
    for start in range(0, 600, 100):
        await asyncio.gather(
            *(
                handle.signal("suspend", {"source": f"s-{n % 50}", "reason": f"{n}", "command_id": f"{n}"})
                for n in range(start, start + 100)
            )
        )
        await _wait_remembered(service, client_id, start + 100)
    await service.post(client_id, "unsuspend", source="all")
    await handle.signal("suspend", {"source": "first", "command_id": "first"})
    answer = await handle.execute_update(
        "command", {"kind": "suspend", "source": "first", "command_id": "first"}, id=unique("u")
    )
    assert (answer["changed"], answer["status"]) == (False, "active")
    assert "long ago" in answer["message"]


async def test_a_refused_key_stays_refused_when_the_command_would_be_allowed(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    await service.post(client_id, "suspend")
    first = await service.post(client_id, "activate", key=key)
    await service.post(client_id, "decommission", last_day="2199-01-01")
    await service.post(client_id, "unsuspend")
    again = await service.post(client_id, "activate", key=key)
    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == first.json()  # with the status and the plans of then
    assert [line["event"] for line in await _lines_under(service, client_id, key)] == ["refused"]
    assert (await service.post(client_id, "activate", key=unique("key"))).status_code == 200


async def test_an_answer_given_again_shows_the_client_as_it_is_now(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    first = (await service.post(client_id, "suspend", key=key, source="billing")).json()
    await service.post(client_id, "unsuspend", source="billing")
    again = (await service.post(client_id, "suspend", key=key, source="billing")).json()
    assert (first["status"], again["status"], again["holds"]) == ("suspended", "active", [])
    assert (again["changed"], again["message"]) == (True, first["message"])


async def test_a_key_is_answered_as_before_when_the_client_has_ended(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    first = (await service.post(client_id, "suspend", key=key)).json()
    await service.post(client_id, "decommission")
    await asyncio.wait_for(service.temporal.get_workflow_handle(workflow_id(client_id)).result(), HANGING)
    again = await service.post(client_id, "suspend", key=key)
    assert (again.status_code, again.json()["message"]) == (200, first["message"])
    assert again.json()["status"] == "decommissioned"


async def test_one_key_with_another_body_is_refused_and_changes_nothing(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    await service.post(client_id, "suspend", key=key, source="billing")
    await _wait_recorded(service, client_id, key)
    answer = await service.post(client_id, "suspend", key=key, source="security")
    assert (answer.status_code, answer.json()["title"]) == (422, "Command id reused")
    assert [hold.source for hold in (await service.clients.client(client_id)).holds] == ["billing"]


async def test_one_key_creates_one_client_whatever_id_the_second_request_names(api: httpx2.AsyncClient) -> None:
    headers, body = {"Idempotency-Key": unique("key")}, {"name": "One", "type": "virtual", "site": "thames"}
    first = await api.post("/clients", json={**body, "client_id": unique("one")}, headers=headers)
    second = await api.post("/clients", json={**body, "client_id": unique("two")}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 422)
    assert (second.json()["title"], second.json()["field"]) == ("Command id reused", "Idempotency-Key")
    assert first.json()["client_id"] in second.json()["detail"]


async def test_two_clients_asked_for_at_once_under_one_key_are_one_client(api: httpx2.AsyncClient) -> None:
    headers, body = {"Idempotency-Key": unique("key")}, {"name": "One", "type": "virtual", "site": "thames"}
    ids = [unique("one") for _ in range(4)]
    answers = await asyncio.gather(
        *(api.post("/clients", json={**body, "client_id": client_id}, headers=headers) for client_id in ids)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422], [a.text for a in answers]
    known = [(await api.get(f"/clients/{client_id}")).status_code for client_id in ids]
    assert sorted(known) == [200, 404, 404, 404]


async def test_a_new_client_that_was_refused_stays_refused_under_its_key(
    service: Service, api: httpx2.AsyncClient
) -> None:
    theirs = await service.create(billing_ref=unique("REF"))
    body: dict[str, Any] = {"name": "Late", "type": "virtual", "site": "thames", "billing_ref": theirs["billing_ref"]}
    headers = {"Idempotency-Key": unique("key")}
    first = await api.post("/clients", json=body, headers=headers)
    await api.patch(f"/clients/{theirs['client_id']}", json={"billing_ref": ""}, headers={"Prefer": "wait=20"})
    again = await api.post("/clients", json=body, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (409, 409, first.json())
    assert (await api.post("/clients", json=body, headers={"Idempotency-Key": unique("key")})).status_code == 201


async def test_a_client_made_long_ago_is_answered_again_under_its_key(
    service: Service, api: httpx2.AsyncClient
) -> None:
    body = {"name": "Once", "type": "virtual", "site": "thames", "lines": [{"number": number()}]}
    headers = {"Idempotency-Key": unique("key")}
    client_id = (await api.post("/clients", json=body, headers=headers)).json()["client_id"]
    await service.post(client_id, "decommission")
    await asyncio.wait_for(service.temporal.get_workflow_handle(workflow_id(client_id)).result(), HANGING)
    again = await api.post("/clients", json=body, headers=headers)
    assert (again.status_code, again.json()["client_id"]) == (201, client_id)
    assert again.json()["status"] == "decommissioned"


async def test_a_signal_that_was_refused_is_not_obeyed_later_nor_by_another_way_in(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    handle = service.temporal.get_workflow_handle(workflow_id(client_id))
    await service.post(client_id, "suspend")
    await handle.signal("activate", {"command_id": key})
    await _wait_recorded(service, client_id, key)
    await service.post(client_id, "unsuspend")
    await handle.signal("activate", {"command_id": key})
    answer = await service.post(client_id, "activate", key=key)
    assert answer.status_code == 422, answer.text
    assert [line["event"] for line in await _lines_under(service, client_id, key)] == ["refused"]


async def test_a_refusal_that_cannot_be_kept_is_not_given_to_who_may_ask_again(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend")
    settings = service.settings.model_copy(update={"connect_seconds": 1.0})
    dsn = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    async with Database("directory", dsn, settings) as away:
        clients = ClientService(service.clients.gateway, DirectoryReads(away), service.clients.watch, LIMITS, KEYRING)
        message = Activate(command_id=unique("key"), by="billing")
        with pytest.raises(DirectoryAway):
            await clients.command(client_id, message)
        with pytest.raises(IllegalTransition):  # a key that was made for this request alone
            await clients.command(client_id, message, fresh=True)


async def _wait_remembered(service: Service, client_id: str, commands: int) -> None:
    """Return when the directory has so many of the later commands: no more are remembered for it than it can take."""

    async def enough() -> bool:
        rows = await service.clients.directory.database.read(
            "SELECT count(*) FROM answers WHERE client_id = $1 AND command_id ~ '^(later-)?[0-9]+$'", client_id
        )
        return bool(rows[0]["count"] >= commands)

    await eventually(enough)


async def _wait_renewed(service: Service, client_id: str) -> None:
    handle = service.temporal.get_workflow_handle(workflow_id(client_id))
    run = (await handle.describe()).run_id
    await handle.signal("roll", {})

    async def another() -> bool:
        return (await handle.describe()).run_id != run

    await eventually(another)


async def _wait_recorded(service: Service, client_id: str, key: str) -> None:
    async def there() -> bool:
        rows = await service.clients.directory.database.read(
            "SELECT 1 FROM answers WHERE client_id = $1 AND command_id = $2", client_id, key
        )
        return bool(rows)

    await eventually(there)


async def _lines_under(service: Service, client_id: str, key: str) -> list[dict[str, Any]]:
    """The lines of the history under one key."""
    await service.still(client_id)
    lines: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await service.api.get(f"/clients/{client_id}/history?limit=200&cursor={cursor}")).json()
        lines += [line for line in page["items"] if line["command_id"] == key]
        cursor = page["next"]
        if not cursor:
            return lines
