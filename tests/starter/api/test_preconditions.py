"""Claims about ETag, If-Match and If-None-Match (RFC 9110), and about Prefer (RFC 7240)."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from starter.web.keys import OWNER, command_id_of
from tests.support.service import Service, calling, unique

MANY = 50


async def test_of_many_commands_for_one_revision_exactly_one_is_done_and_the_history_explains_each(
    service: Service,
) -> None:
    client, dunning = await service.create(), unique("dunning")
    path, tag = f"/clients/{client['client_id']}", f'"{client["revision"]}"'
    commands: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/suspend", {"source": "billing"}),
        ("POST", "/suspend", {"source": "security"}),
        ("POST", "/decommission", {"last_day": "2199-01-01"}),
        ("POST", "/convert", {"to": "virtual"}),
        ("PATCH", "", {"name": "Acme Two"}),
        ("PATCH", "", {"billing_ref": unique("REF")}),
        ("POST", "/services", {"internet": {"down_mbps": 10, "up_mbps": 10}}),
    ]

    async def send(number: int) -> httpx2.Response:
        name, caller = callers[number % len(callers)]
        method, command, body = ("POST", "/suspend", {}) if name == dunning else commands[number % len(commands)]
        headers = {"If-Match": tag, "Idempotency-Key": f"c-{number // len(callers)}"}
        return await caller.request(method, path + command, json=body, headers=headers)

    async with AsyncExitStack() as stack:
        callers = [(OWNER, service.api)]
        for name, role in ((unique("crm"), "operator"), (dunning, "service")):
            made = (await service.api.post("/tokens", json={"name": name, "role": role})).json()
            callers.append((name, await stack.enter_async_context(calling(service.url, made["token"]))))
        answers = await asyncio.gather(*map(send, range(MANY)))
    assert Counter(answer.status_code // 100 for answer in answers) == {2: 1, 4: MANY - 1}
    assert {answer.status_code for answer in answers if answer.is_error} == {412}
    history = {line["command_id"]: line for line in await _history(service, client["client_id"])}
    for number, answer in enumerate(answers):
        name = callers[number % len(callers)][0]  # whose keys are its own: another's of the same name is another
        line, body = history[command_id_of(name, f"c-{number // len(callers)}")], answer.json()
        assert line["by"] == name
        if answer.is_error:
            assert (line["event"], body["title"], body["field"]) == ("refused", "Changed meanwhile", "If-Match")
            assert f"this is for revision {client['revision']}" in line["text"]
        else:
            assert line["event"] in ("decided", "asked")
            assert answer.headers["ETag"] == f'"{body["revision"]}"'


async def test_a_tag_stands_for_all_that_is_shown_and_one_read_serves_the_next_command(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    path = f"/clients/{client_id}"
    await service.known(client_id)
    first = await service.api.get(path)
    tag = first.headers["ETag"]
    assert tag.startswith(f'"{first.json()["revision"]}-')
    for known in (tag, f'"other", W/{tag}', "*"):
        same = await service.api.get(path, headers={"If-None-Match": known})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    other = await service.api.get(path, headers={"If-None-Match": f'"{first.json()["revision"]}"'})
    assert (other.status_code, other.json()) == (200, first.json())

    async with service.without(service.telephony):
        changed = await service.api.post(path + "/suspend", json={}, headers={"If-Match": tag})
        assert changed.status_code == 202
        changing = await service.api.get(path, headers={"If-None-Match": tag})
        assert changing.status_code == 200
    await service.known(client_id)
    proven = await service.api.get(path, headers={"If-None-Match": changing.headers["ETag"]})
    assert (proven.status_code, proven.json()["provisioning"]) == (200, "settled"), "what is proven is news"


@pytest.mark.parametrize(
    ("header", "status"),
    [("*", 200), ('"1"', 412), ('"1-0123456789ab"', 412), ('W/"1"', 412), ('"of-another-service"', 412)]
    + [('W/"1", "of-another-service"', 412), ('"1","1-0123456789ab"', 412), (',"1", ,"of-another-service",', 412)]
    + [(header, 422) for header in ("1", "", ",", '"1", "2"', '"1" "1"', '"1"-"2"', '"1", *', '"1', "'1'")],
)
async def test_what_if_match_may_hold(service: Service, header: str, status: int) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "notes", text="so that it has had revision 1")
    path = f"/clients/{client_id}/suspend"
    answer = await service.api.post(path, headers={"If-Match": header, "Prefer": "wait=20"})
    assert (answer.status_code, answer.json().get("field")) == (status, None if status == 200 else "If-Match")
    assert (await service.client(client_id))["status"] == ("suspended" if status == 200 else "active")


async def test_tags_may_be_a_list_or_several_headers_and_a_command_is_for_one_revision(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "notes", text="so that it has had revision 1")
    path = f"/clients/{client_id}"
    await service.known(client_id)
    now = (await service.api.get(path)).headers["ETag"]
    several = await service.api.post(f"{path}/suspend", headers=[("If-Match", now), ("If-Match", '"1"')])
    assert (several.status_code, several.json()["field"]) == (422, "If-Match")
    assert "several revisions" in several.json()["detail"]
    assert (await service.client(client_id))["status"] == "active"
    foreign = [("If-Match", '"of-another-service"'), ("If-Match", f'{now}, W/"1"')]
    assert (await service.api.post(f"{path}/suspend", headers=foreign)).is_success
    await service.known(client_id)
    now = (await service.api.get(path)).headers["ETag"]
    known = [("If-None-Match", '"of-another-service"'), ("If-None-Match", now)]
    assert (await service.api.get(path, headers=known)).status_code == 304


async def test_a_dry_run_and_a_client_that_has_ended_hold_to_it_too(service: Service) -> None:
    client = await service.create()
    path, late = f"/clients/{client['client_id']}", {"If-Match": f'"{client["revision"] + 1}"'}
    trial = await service.api.post(f"{path}/suspend?dry_run=true", headers=late)
    assert (trial.status_code, trial.json()["title"]) == (412, "Changed meanwhile")
    closed = await service.closed()
    path = f"/clients/{closed['client_id']}/decommission"
    view = await service.api.get(f"/clients/{closed['client_id']}")
    assert (await service.api.post(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await service.api.post(path, headers={"If-Match": view.headers["ETag"]})).status_code == 200


async def test_a_condition_that_would_not_be_looked_at_is_refused(api: httpx2.AsyncClient) -> None:
    body = {"name": "Acme", "type": "virtual", "site": "thames", "client_id": unique("conditional")}
    answer = await api.post("/clients", json=body, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.json()["field"]) == (422, "If-Match")
    unless_there = await api.post("/clients", json=body, headers={"If-None-Match": "*"})
    assert (unless_there.status_code, unless_there.json()["field"]) == (422, "If-None-Match")
    assert (await api.get(f"/clients/{body['client_id']}")).status_code == 404
    command = await api.post(f"/clients/{body['client_id']}/suspend", headers={"If-None-Match": "*"})
    assert (command.status_code, command.json()["field"]) == (422, "If-None-Match")


@pytest.mark.parametrize(
    ("preferred", "applied", "status"),
    [
        (["wait"], "wait=30", 200),
        (["wait=20"], "wait=20", 200),
        (["wait=0000000000020"], "wait=20", 200),
        ([f"wait={'9' * 5000}"], "wait=60", 200),
        (["respond-async, wait=20"], "respond-async, wait=20", 200),
        (["handling=lenient", "wait=20"], "wait=20", 200),
        (["respond-async"], "respond-async", 202),
        (["handling=lenient"], None, 202),
    ],
)
async def test_an_answer_says_which_preferences_it_follows(
    service: Service, preferred: list[str], applied: str | None, status: int
) -> None:
    client_id = (await service.create())["client_id"]
    headers = [(b"Prefer", one.encode()) for one in preferred]
    service.telephony.faults.down = status == 202
    try:
        answer = await service.api.post(f"/clients/{client_id}/suspend", headers=headers)
    finally:
        service.telephony.faults.down = False
    assert (answer.status_code, answer.headers.get("Preference-Applied")) == (status, applied)


async def _history(service: Service, client_id: str) -> list[dict[str, Any]]:
    """Every line that the directory has, once it has all that the client's workflow decided."""
    await service.known(client_id)
    page: dict[str, Any] = (await service.api.get(f"/clients/{client_id}/history?limit=200")).json()
    return list(page["items"])
