"""Claims about refusals over HTTP: one key is one command, and a refusal is history (PRODUCT.md sections 3 and 7.2)."""

import pytest
from temporalio.client import WorkflowUpdateFailedError

from starter.temporal.gateway import Gateway, refusal_from
from tests.support.service import Service, unique
from tests.support.waiting import eventually
from workflows.client_lifecycle import as_failure
from workflows.domain.errors import IllegalTransition
from workflows.wire.messages import AnyMessage
from workflows.wire.views import CommandAnswer


async def test_the_same_command_twice_gives_the_same_answer_and_one_line_of_history(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    first = await service.post(client_id, "suspend", key=key, reason="unpaid")
    second = await service.post(client_id, "suspend", key=key, reason="unpaid")
    assert first.json()["changed"] is second.json()["changed"] is True
    assert first.json()["message"] == second.json()["message"]
    lines = [line for line in await service.history(client_id) if line["command_id"] == key]
    assert [line["event"] for line in lines] == ["decided"]


async def test_one_key_for_two_different_commands_is_refused(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    await service.post(client_id, "suspend", key=key, reason="unpaid")
    answer = await service.post(client_id, "suspend", key=key, reason="something else")
    assert (answer.status_code, answer.json()["title"]) == (422, "Command id reused")


async def test_a_refusal_names_the_status_the_plans_and_the_way_out(service: Service) -> None:
    client_id = (await service.create())["client_id"]
    await service.post(client_id, "suspend", source="billing")
    await service.post(client_id, "decommission", last_day="2100-02-28")
    answer = await service.post(client_id, "activate", reason="please")
    problem = answer.json()
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (problem["type"], problem["title"]) == ("/docs#illegal-transition", "Illegal transition")
    assert problem["client_status"] == "suspended"
    assert "unsuspend" in problem["allowed"]
    assert "2100-03-01 00:00 Europe/London" in problem["planned"][0]
    assert "Unsuspend it instead" in problem["detail"]


async def test_a_refusal_is_history_too_and_only_once(service: Service) -> None:
    client_id, key = (await service.create())["client_id"], unique("key")
    await service.post(client_id, "suspend")
    for _ in range(2):
        assert (await service.post(client_id, "activate", key=key, reason="please")).status_code == 409
    refused = [line for line in await service.history(client_id) if line["event"] == "refused"]
    assert len(refused) == 1
    assert refused[0] | {"history_id": 0, "at": ""} == {
        "history_id": 0,
        "at": "",
        "event": "refused",
        "kind": "activate",
        "text": refused[0]["text"],
        "by": "api",
        "source": "operator",
        "reason": "please",
        "command_id": key,
        "revision": refused[0]["revision"],
        "facts": refused[0]["facts"],
    }
    assert "Unsuspend it instead" in refused[0]["text"]


async def test_a_lost_claim_is_one_refusal_in_the_history(service: Service) -> None:
    theirs, mine = await service.create(), await service.create()
    line = {"number": theirs["lines"][0]["number"], "office": "1"}
    answer = await service.post(mine["client_id"], "services", add_lines=[line])
    assert (answer.status_code, answer.json()["title"]) == (409, "Number taken")
    await eventually(lambda: service.line_with(mine["client_id"], theirs["lines"][0]["number"]))
    refused = [entry for entry in await service.history(mine["client_id"]) if entry["event"] == "refused"]
    assert len(refused) == 1


class Refusing(Gateway):
    """A gateway to a client that refuses, and says whether its history tells so already."""

    recorded = True

    async def command(self, client_id: str, message: AnyMessage) -> CommandAnswer:
        failure = as_failure(IllegalTransition("It became illegal meanwhile"), recorded=self.recorded)
        raise refusal_from(failure) from WorkflowUpdateFailedError(failure)


@pytest.mark.parametrize("recorded", [True, False])
async def test_what_the_workflow_has_recorded_is_not_noted_again(service: Service, recorded: bool) -> None:
    client_id = (await service.create())["client_id"]
    real, service.clients.gateway = service.clients.gateway, (refusing := Refusing(service.temporal))
    refusing.recorded = recorded
    try:
        assert (await service.post(client_id, "suspend")).status_code == 409
    finally:
        service.clients.gateway = real
    texts = [line["text"] for line in await service.history(client_id) if line["event"] == "refused"]
    assert texts == ([] if recorded else ["It became illegal meanwhile."])


async def test_the_management_client_is_neither_suspended_nor_decommissioned(service: Service) -> None:
    client_id = (await service.create(management=True))["client_id"]
    for command in ("suspend", "decommission"):
        assert (await service.post(client_id, command)).status_code == 409
