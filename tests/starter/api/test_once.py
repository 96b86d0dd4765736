"""Claims about Idempotency-Key on every route that changes something: none is there that does not honour it.

tests/starter/api/test_keys.py has what is particular to commands.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from starter.app import create_app
from starter.erasing import Eraser
from starter.web.keys import LONGEST, OWNER, command_id_of, key_of
from tests.support.service import Service, unique

SAFE = ("get", "head", "options", "trace")
INSTANCE = "cannot_look:telephony:elsewhere"


@dataclass(frozen=True)
class Sent:
    """What is sent to a route, and what makes it another request: fields, or (None) another address."""

    body: dict[str, Any] = field(default_factory=dict)
    other: dict[str, Any] | None = field(default_factory=lambda: {"reason": "another request"})


SHOWN_ONCE = {
    "create_token": "token {token_id}, whose secret was shown",
    "add_webhook": "webhook {webhook_id} a secret, which was shown",
    "rotate_secret": "webhook {webhook_id} a secret, which was shown",
}
SITE = {"name": "Once House", "timezone": "Europe/London"}
ROUTES = {
    "add_site": Sent({**SITE, "site_id": "once"}, {"name": "Twice House"}),
    "edit_site": Sent({"name": "Once House"}, {"name": "Twice House"}),
    "create_token": Sent({"role": "service"}, {"role": "viewer"}),
    "revoke_token": Sent(other=None),
    "add_webhook": Sent({"url": "https://once.example/"}, {"url": "https://twice.example/"}),
    "edit_webhook": Sent({"enabled": False}, {"enabled": True}),
    "remove_webhook": Sent(other=None),
    "rotate_secret": Sent(other=None),
    "replay": Sent({"after": 0}, {"after": 1}),
    "create_client": Sent({"name": "Once", "type": "virtual", "site": "thames"}, {"name": "Twice"}),
    "edit_client": Sent({"name": "Once"}),
    "erase_client": Sent(),
    "activate_client": Sent(),
    "suspend_client": Sent({"source": "billing"}),
    "unsuspend_client": Sent({"source": "all"}),
    "decommission_client": Sent({"last_day": "2199-12-31"}),
    "cancel_decommission": Sent(),
    "convert_client": Sent({"to": "virtual"}),
    "change_services": Sent({"internet": {"down_mbps": 10, "up_mbps": 10}}),
    "add_note": Sent({"text": "rang"}),
    "rotate_credentials": Sent(),
    "cancel_planned": Sent(),
    "retry_system": Sent(),
    "skip_system": Sent({"reason": "later"}),
    "mark_system_done": Sent({"note": "by hand"}, {"note": "by another"}),
    "acknowledge_matter": Sent(),
    "assign_matter": Sent({"assigned_to": "olga"}),
    "snooze_matter": Sent({"snoozed_until": "2199-01-01"}),
    "assign_matter_of_instance": Sent({"assigned_to": "olga"}),
    "snooze_matter_of_instance": Sent({"snoozed_until": "2199-01-01"}),
}


def changing() -> list[tuple[str, str, str]]:
    """Every route of the API that changes something: its method, its path and its name."""
    clients = SimpleNamespace(directory=SimpleNamespace(database=None))
    paths = create_app(cast("Any", clients), "token").openapi()["paths"]
    return [
        (method.upper(), path.removeprefix("/api/v1"), operation["operationId"])
        for path, operations in paths.items()
        for method, operation in operations.items()
        if path.startswith("/api/v1") and method not in SAFE
    ]


async def _places(service: Service) -> dict[str, str]:
    """A client in trouble of every kind that a route is about, a site, and an instance that cannot be looked at."""
    client = await service.create(start_date="2026-01-01", end_date="2026-03-31")
    planned = await service.post(client["client_id"], "suspend", last_day="2199-01-01", source="security")
    assert planned.status_code == 200
    async with service.directory() as connection:
        await connection.execute(
            "INSERT INTO matters (client_id, matter, kind, system, since, text, remedies) "
            "VALUES ('', $1, 'cannot_look', 'telephony', now(), 'no answer', '[]') ON CONFLICT DO NOTHING",
            INSTANCE,
        )
    places = {"client_id": client["client_id"], "site_id": await service.site(), "system": "telephony"}
    token = (await service.api.post("/tokens", json={"name": unique("once"), "role": "viewer"})).json()
    webhook = (await service.api.post("/webhooks", json={"url": "https://once.example/"})).json()
    named = {"token_id": token["token_id"], "webhook_id": webhook["webhook_id"]}
    return places | {"change": "suspend", "matter": "end_date_passed"} | named


@pytest.mark.parametrize(("method", "path", "name"), changing(), ids=lambda it: str(it))
async def test_every_route_that_changes_something_answers_the_same_request_as_the_first_time(
    service: Service, method: str, path: str, name: str
) -> None:
    assert name in ROUTES, f"say here what is sent to {method} {path}: it must honour Idempotency-Key"
    places, sent = await _places(service), ROUTES[name]
    if name.endswith("_of_instance"):
        places["matter"] = INSTANCE
    if name == "erase_client":  # who was erased stays so
        places["client_id"] = (await service.closed())["client_id"]
        await Eraser(service.clients, timedelta(0)).erase(places["client_id"], "api")
    address = path.replace(":path}", "}").format(**places)
    named = {"add_site": "site_id", "create_token": "name"}.get(name)
    body = sent.body | ({named: unique("once")} if named else {})
    headers = {"Idempotency-Key": unique("once"), "Prefer": "wait=20"}

    async def send(address: str, body: dict[str, Any]) -> httpx2.Response:
        return await service.api.request(method, address, json=body, headers=headers)

    answers = await asyncio.gather(*(send(address, body) for _ in range(3)))  # as by who does not wait for the answer
    answers.append(await send(address, body))
    assert any(answer.status_code in (200, 201) for answer in answers), answers[0].text
    if name in SHOWN_ONCE:
        (done,) = [answer for answer in answers if answer.status_code in (200, 201)]
        answers.remove(done)
        assert all(SHOWN_ONCE[name].format(**done.json()) in it.text for it in answers)
        assert {answer.status_code for answer in answers} == {409}
    for answer in answers[1:]:
        assert (answer.status_code, _verdict(answer)) == (answers[0].status_code, _verdict(answers[0]))
    elsewhere = address if sent.other is not None else path.format(**await _places(service))
    if name != "erase_client":  # of one client there is no other one
        other = await send(elsewhere, body | (sent.other or {}))
        assert (other.status_code, other.json()["title"], other.json()["field"]) == (
            422,
            "Command id reused",
            "Idempotency-Key",
        ), other.text
    other_route = f"/clients/{places['client_id']}/notes" if "{client_id}" in path else "/matters/none/snooze"
    other = await service.api.post(other_route, json={"text": "no"} if "{client_id}" in path else {}, headers=headers)
    assert (other.status_code, other.json()["title"]) == (422, "Command id reused"), other.text
    for malformed in ("", "x" * (LONGEST + 1), "\u00e9"):
        refused = await service.api.request(
            method, address, json=body, headers=[(b"idempotency-key", malformed.encode("latin-1"))]
        )
        assert (refused.status_code, refused.json()["field"]) == (422, "Idempotency-Key"), refused.text
    twice = [*headers.items(), ("Idempotency-Key", "another")]
    assert (await service.api.request(method, address, json=body, headers=twice)).status_code == 422


def _verdict(answer: httpx2.Response) -> dict[str, Any]:
    """The body; of a client, which is shown as it is now, what does not move by itself."""
    body: dict[str, Any] = answer.json()
    if "systems" in body and "client_id" in body:
        return {name: body[name] for name in ("client_id", "name", "status", "changed", "message") if name in body}
    return body


async def test_a_refusal_is_the_answer_again_and_what_could_not_be_judged_is_judged_anew(service: Service) -> None:
    site, key = await service.site(), {"Idempotency-Key": unique("refused")}
    client_id = (await service.create(site=site))["client_id"]
    first = await service.api.patch(f"/sites/{site}", json={"retired": True}, headers=key)
    assert first.status_code == 409
    await service.post(client_id, "decommission")
    again = await service.api.patch(f"/sites/{site}", json={"retired": True}, headers=key)
    assert (again.status_code, again.json()) == (409, first.json())
    assert (await service.api.patch(f"/sites/{site}", json={"retired": True})).status_code == 200

    later, key = unique("site"), {"Idempotency-Key": unique("unknown")}
    assert (await service.api.patch(f"/sites/{later}", json={"name": "There"}, headers=key)).status_code == 404
    await service.site(site_id=later)
    assert (await service.api.patch(f"/sites/{later}", json={"name": "There"}, headers=key)).json()["name"] == "There"


async def test_an_answer_given_again_undoes_nothing_that_was_decided_since(service: Service) -> None:
    site, key = await service.site(), {"Idempotency-Key": unique("edit")}
    first = await service.api.patch(f"/sites/{site}", json={"name": "First"}, headers=key)
    await service.api.patch(f"/sites/{site}", json={"name": "Second"})
    again = await service.api.patch(f"/sites/{site}", json={"name": "First"}, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    names = {it["site_id"]: it["name"] for it in (await service.api.get("/sites")).json()["items"]}
    assert names[site] == "Second"
    texts = [line["text"] for line in (await service.api.get(f"/sites/{site}/history")).json()["items"]]
    assert [text for text in texts if text.startswith("Name: First")] == ["Name: First, before: " + site]


async def test_one_key_serves_each_client_once(service: Service) -> None:
    key = {"Idempotency-Key": unique("month-end")}
    for _ in range(2):
        client_id = (await service.create())["client_id"]
        answer = await service.api.post(f"/clients/{client_id}/suspend", json={}, headers=key)
        assert answer.json()["changed"] is True


FIRST_AND_SECOND = [
    ("suspend", "notes", {"text": "rang"}),
    ("suspend", "matters/end_date_passed/acknowledge", {}),
    ("matters/end_date_passed/snooze", "suspend", {}),
    ("matters/end_date_passed/snooze", "matters/end_date_passed/acknowledge", {}),
]


@pytest.mark.parametrize(("first", "second", "body"), FIRST_AND_SECOND)
async def test_one_key_is_one_request_about_a_client_whatever_its_route(
    service: Service, first: str, second: str, body: dict[str, Any]
) -> None:
    client = await service.create(start_date="2026-01-01", end_date="2026-03-31")
    address, key = f"/clients/{client['client_id']}", {"Idempotency-Key": unique("one")}
    assert (await service.api.post(f"{address}/{first}", json={}, headers=key)).json()["changed"] is True
    for _ in range(2):
        refused = await service.api.post(f"{address}/{second}", json=body, headers=key)
        assert (refused.status_code, refused.json()["title"]) == (422, "Command id reused")
        assert (await service.api.post(f"{address}/{first}", json={}, headers=key)).is_success
    assert (await service.api.post(f"{address}/{second}", json=body)).json()["changed"] is True


async def test_of_two_requests_at_once_under_one_key_one_is_done(service: Service) -> None:
    client = await service.create(start_date="2026-01-01", end_date="2026-03-31")
    address, key = f"/clients/{client['client_id']}", {"Idempotency-Key": unique("one")}
    paths = ("suspend", "decommission", "rotate-credentials", "matters/end_date_passed/snooze")
    answers = await asyncio.gather(*(service.api.post(f"{address}/{it}", json={}, headers=key) for it in paths))
    statuses = sorted(answer.status_code for answer in answers)
    assert (statuses[0] in (200, 202), statuses[1:]) == (True, [422] * 3), [answer.text for answer in answers]


async def test_a_key_that_ended_a_client_does_not_erase_it(service: Service) -> None:
    client_id, key = (await service.closed())["client_id"], {"Idempotency-Key": unique("end")}
    assert (await service.api.post(f"/clients/{client_id}/decommission", json={}, headers=key)).status_code == 200
    await Eraser(service.clients, timedelta(0)).check(client_id)  # it could be
    assert (await service.api.post(f"/clients/{client_id}/erase", headers=key)).status_code == 422
    assert (await service.api.get(f"/clients/{client_id}")).status_code == 200


async def test_one_key_is_one_request_about_no_client_whatever_its_route(service: Service) -> None:
    site, new = await service.site(), {"name": "One", "type": "virtual", "site": "thames"}
    key, other = {"Idempotency-Key": unique("one")}, {"Idempotency-Key": unique("one")}
    assert (await service.api.patch(f"/sites/{site}", json={"name": "First"}, headers=key)).status_code == 200
    assert (await service.api.post("/clients", json=new, headers=key)).status_code == 422
    assert (await service.api.post("/clients", json=new, headers=other)).status_code == 201
    assert (await service.api.patch(f"/sites/{site}", json={"name": "Second"}, headers=other)).status_code == 422


async def test_of_a_key_that_no_client_keeps_there_is_a_digest(service: Service) -> None:
    names = [unique("Jane-Doe") for _ in range(3)]
    site = {"site_id": unique("later"), "name": "Later", "timezone": "Europe/London"}
    new = {"name": "Late", "type": "virtual", "site": site["site_id"], "client_id": unique("late")}
    first = await service.api.post("/clients", json=new, headers={"Idempotency-Key": names[0]})
    assert (await service.api.post("/sites", json=site)).status_code == 201
    again = await service.api.post("/clients", json=new, headers={"Idempotency-Key": names[0]})
    assert [(answer.status_code, answer.json()["field"]) for answer in (first, again)] == [(422, "site")] * 2
    client_id = (await service.closed())["client_id"]
    await Eraser(service.clients, timedelta(0)).erase(client_id, "api")
    erased = await service.api.post(f"/clients/{client_id}/erase", headers={"Idempotency-Key": names[1]})
    assert erased.status_code == 200
    unknown = await service.api.post(
        f"/clients/{unique('none')}/suspend", json={}, headers={"Idempotency-Key": names[2]}
    )
    assert unknown.status_code == 404
    async with service.directory() as connection:
        for table in ("answers", "request_answers"):
            kept = await connection.fetchval(f"SELECT string_agg(t::text, '') FROM {table} t")  # noqa: S608
            assert not [name for name in names if name in kept]


async def test_clients_are_erased_at_once_in_any_number(service: Service) -> None:
    """None of them holds a connection while it waits for another."""
    client_ids = [(await service.closed())["client_id"] for _ in range(3)]
    eraser = Eraser(service.clients, timedelta(0))
    for client_id in client_ids:
        await eraser.erase(client_id, "api")

    async def erase(client_id: str) -> int:
        headers = {"Idempotency-Key": unique("erase")}
        return (await service.api.post(f"/clients/{client_id}/erase", headers=headers)).status_code

    assert await asyncio.gather(*(erase(client_id) for client_id in client_ids * 12)) == [200] * 36


def test_two_callers_never_meet_by_their_keys() -> None:
    callers, keys = ("api", "billing", "a", "a:b", "a%3Ab"), ("k", "b:k", "billing:k", "x" * LONGEST)
    ids = [command_id_of(caller, key) for caller in callers for key in keys]
    same = {command_id_of("billing", "k"), command_id_of(OWNER, "billing:k")}
    assert len(same) == 1, "the owner of the installation may name any command"
    assert len(set(ids)) == len(ids) - 1
    assert max(map(len, ids)) <= LONGEST
    named = key_of("billing", ["k"])
    assert (named.command_id, named.by_key("repeat it with billing:k")) == ("billing:k", "repeat it with k")
