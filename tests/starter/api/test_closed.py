"""Claims about clients whose workflow is over, or never was: the directory answers for them (PRODUCT.md 7.2)."""

from typing import Any

import httpx2
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from tests.support.service import Service, unique


async def test_a_closed_client_is_shown_from_the_directory(service: Service, api: httpx2.AsyncClient) -> None:
    client = await service.closed(end_date="2001-01-01")
    view = (await api.get(f"/clients/{client['client_id']}")).json()
    assert (view["status"], view["provisioning"], view["end_date_passed"]) == ("decommissioned", "settled", True)
    assert set(view["systems"][0]["actual"].values()) <= {"off"}
    assert view["decommissioned_at"]
    assert [action["kind"] for action in view["actions"] if action["possible"]] == []
    assert all("lready decommissioned at" in action["why"] for action in view["actions"])


async def test_a_closed_client_is_decommissioned_again_without_change_and_refuses_all_else(service: Service) -> None:
    client_id = (await service.closed())["client_id"]
    for _ in range(2):
        again = await service.post(client_id, "decommission", key="once more", reason="to be sure")
        assert (again.status_code, again.json()["changed"]) == (200, False)
        assert "Already decommissioned at" in again.json()["message"]
    lines = [line for line in await service.history(client_id) if line["command_id"] == "once more"]
    assert [(line["event"], line["kind"], line["reason"]) for line in lines] == [
        ("asked", "decommission", "to be sure")
    ]
    assert lines[0]["text"].endswith("; nothing changed")
    assert (await service.post(client_id, "suspend", key="once more")).status_code == 422, "another request"
    refusals: dict[str, dict[str, Any]] = {
        "suspend": {},
        "decommission": {"last_day": "2100-01-01"},
        "convert": {"to": "virtual"},
    }
    for command, words in refusals.items():
        answer = await service.post(client_id, command, **words)
        problem = answer.json()
        assert (answer.status_code, problem["client_status"], problem["allowed"]) == (409, "decommissioned", [])
    refused = [line["kind"] for line in await service.history(client_id) if line["event"] == "refused"]
    assert sorted(refused) == ["convert", "decommission", "suspend"]


async def test_a_client_that_temporal_has_forgotten_is_still_listed_and_shown(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id = (await service.closed())["client_id"]
    forgotten = unique("forgotten")
    async with service.directory() as connection:
        await connection.execute(  # what the directory keeps of a client whose workflow is past its retention
            "INSERT INTO clients (client_id, incarnation, revision, site_id, name, type, status, billing_ref, "
            "start_date, management, offices, numbers, document, search, sort_name, created_at)"
            " SELECT $2, incarnation, revision, site_id, name, type, status, $2, start_date, "
            "management, offices, numbers, jsonb_set(document, '{client_id}', to_jsonb($2::text)), $2, $2, created_at "
            "FROM clients WHERE client_id = $1",
            client_id,
            forgotten,
        )
    assert (await api.get(f"/clients/{forgotten}")).json()["status"] == "decommissioned"
    page = (await api.get("/clients", params={"inactive": True, "q": forgotten})).json()
    assert [client["client_id"] for client in page["items"]] == [forgotten]
    assert (await service.post(forgotten, "decommission")).json()["changed"] is False


async def test_an_unknown_client_is_unknown_to_every_route(service: Service, api: httpx2.AsyncClient) -> None:
    for client_id in ("nobody-here", "NOT-AN-ID", "%00", "a" * 100):
        for answer in (
            await api.get(f"/clients/{client_id}"),
            await api.get(f"/clients/{client_id}/history"),
            await api.patch(f"/clients/{client_id}", json={"name": "x"}),
            await api.delete(f"/clients/{client_id}/planned/suspend"),
            await service.post(client_id, "suspend"),
            await service.post(client_id, "decommission"),
        ):
            assert (answer.status_code, answer.json()["title"]) == (404, "No such client"), answer.text


async def test_a_living_client_whose_workflow_was_terminated_asks_for_attention_until_it_is_revived(
    service: Service, api: httpx2.AsyncClient
) -> None:
    client_id = (await service.create())["client_id"]
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    await handle.terminate("by mistake")
    view = (await api.get(f"/clients/{client_id}")).json()
    assert (view["status"], view["provisioning"]) == ("active", "attention")
    assert {(a["possible"], a["why"]) for a in view["actions"]} == {
        (False, "Temporal does not run the client's workflow.")
    }
    answer = await service.post(client_id, "suspend")
    assert (answer.status_code, answer.json()["title"]) == (409, "Workflow missing")
    assert f"temporal workflow reset --workflow-id client-{client_id} " in answer.json()["detail"]
    assert "cannot be reached" not in answer.json()["detail"]

    history = await handle.fetch_history()
    last = max(e.event_id for e in history.events if e.HasField("workflow_task_completed_event_attributes"))
    await service.temporal.workflow_service.reset_workflow_execution(  # what the remedy does
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="revived",
            workflow_task_finish_event_id=last,
            request_id=unique("reset"),
        )
    )
    revived = await service.post(client_id, "suspend")
    assert (revived.status_code, revived.json()["status"]) == (200, "suspended"), revived.text
