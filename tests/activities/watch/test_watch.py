"""Clients whose workflow cannot run are found, shown everywhere, and mended by what the remedies say."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from activities.background import background
from activities.watch.executions import Described, Executions, Run
from activities.watch.watch import WorkflowWatch
from tests.support.remedies import carry_out
from tests.support.service import Service, unique
from tests.support.waiting import eventually
from workflows.domain.state import ClientState

POISON = "poison"


class CountingExecutions(Executions):
    """Counts what Temporal is asked."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.requests: list[str] = []

    async def count(self, query: str) -> int:
        self.requests.append("count")
        return await super().count(query)

    async def matching(self, query: str) -> AsyncIterator[Run]:
        self.requests.append("failing" if "TemporalReportedProblems" in query else "list")
        async for run in super().matching(query):
            yield run

    async def describe(self, workflow_id: str, run_id: str = "") -> Described | None:
        self.requests.append("describe")
        return await super().describe(workflow_id, run_id)


def watching(service: Service, executions: Executions | None = None, **options: Any) -> WorkflowWatch:
    dsn = service.settings.directory_dsn.get_secret_value()
    return WorkflowWatch(executions or Executions(service.temporal), dsn, **options)


async def matters_of(service: Service, client_id: str) -> list[dict[str, Any]]:
    """The client's open matters in the list of all."""
    page = (await service.api.get("/matters", params={"limit": 500})).json()
    return [matter for matter in page["items"] if matter["client_id"] == client_id]


@dataclass(frozen=True)
class Look:
    """What a watch finds, and what is then listed."""

    service: Service
    watch: WorkflowWatch
    directory: asyncpg.Connection

    async def found(self, client_id: str) -> bool:
        return client_id in await self.watch.look(self.directory)

    async def matter(self, client_id: str, every: float = 0.05) -> dict[str, Any]:
        """The client's one open matter, as soon as the watch finds it. What takes its time is looked for every second:
        the server answers few lists a second."""
        await eventually(lambda: self.found(client_id), every=every)
        [matter] = await matters_of(self.service, client_id)
        return matter

    async def mended(self, client_id: str) -> None:
        """Until the watch finds nothing wrong with the client any more."""
        await eventually(lambda: self.found(client_id), every=1, equal=False)


@pytest.fixture
def look(service: Service, directory: asyncpg.Connection) -> Look:
    return Look(service, watching(service), directory)


async def test_a_terminated_client_is_found_shown_everywhere_and_revived_by_its_remedy(
    service: Service, look: Look
) -> None:
    client_id = (await service.create())["client_id"]
    assert not await look.found(client_id)
    await service.temporal.get_workflow_handle(f"client-{client_id}").terminate("by mistake")
    matter = await look.matter(client_id)
    assert (matter["matter"], matter["kind"], matter["site"]) == ("workflow", "workflow_ended", "thames")
    assert "was terminated" in matter["text"]
    listed = (await service.api.get("/clients", params={"open": True, "limit": 500})).json()["items"]
    assert [c["matters"][0]["kind"] for c in listed if c["client_id"] == client_id] == ["workflow_ended"]
    waiting = (await service.api.get("/attention", params={"system": "workflow"})).json()["items"]
    assert [(c["state"], c["remedies"]) for c in waiting if c["client_id"] == client_id] == [
        ("cannot_run", matter["remedies"])
    ]
    answer = await service.api.get(f"/clients/{client_id}")
    assert (answer.status_code, answer.json()["provisioning"]) == (200, "attention")
    assert answer.json()["matters"][0]["remedies"] == matter["remedies"]
    refused = await service.post(client_id, "suspend")
    assert (refused.status_code, refused.json()["title"]) == (409, "Workflow missing")
    [remedy] = matter["remedies"]
    assert remedy["command"] in refused.json()["detail"]

    carry_out(service.temporal, remedy["command"])
    await look.mended(client_id)
    assert await matters_of(service, client_id) == []
    suspended = await service.post(client_id, "suspend")
    assert (suspended.status_code, suspended.json()["status"]) == (200, "suspended"), suspended.text
    assert (await service.client(client_id))["matters"] == []


async def test_an_id_that_the_directory_knows_is_refused_before_a_workflow_is_started(
    service: Service, look: Look
) -> None:
    client_id = (await service.create(client_id=unique("taken")))["client_id"]
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    await handle.terminate("by mistake")
    for wait in (0, 20):
        answer = await service.api.post(
            "/clients",
            json={"client_id": client_id, "name": "Another", "type": "virtual", "site": "thames"},
            headers={"Prefer": f"wait={wait}"} if wait else {},
        )
        assert (answer.status_code, answer.json()["field"]) == (409, "client_id")
    runs = [run async for run in service.temporal.list_workflows(f"WorkflowId = 'client-{client_id}'")]
    assert [run.run_id for run in runs] == [handle.first_execution_run_id or runs[0].run_id]
    refused = await service.post(client_id, "suspend")
    carry_out(service.temporal, "temporal" + refused.json()["detail"].rpartition("temporal")[2].removesuffix("."))
    assert (await service.post(client_id, "suspend")).json()["status"] == "suspended"


async def test_a_run_that_is_not_the_clients_is_never_what_a_remedy_revives(service: Service, look: Look) -> None:
    """Somebody terminates the client, and then starts another workflow under its id, past Connect."""
    client_id = (await service.create())["client_id"]
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    good = (await handle.describe()).run_id
    await handle.terminate("by mistake")
    await service.temporal.start_workflow("ClientLifecycle", {"nothing": 1}, id=handle.id, task_queue="nobody")
    stranger = (await handle.describe()).run_id
    await handle.terminate("ours was better")
    matter = await look.matter(client_id)
    assert f"run {stranger}" in matter["text"]
    [remedy] = matter["remedies"]
    assert f"--run-id {good}" in remedy["command"]
    carry_out(service.temporal, remedy["command"])
    assert (await service.post(client_id, "suspend")).json()["status"] == "suspended"


@dataclass(frozen=True)
class Poisoned:
    """Clients with a hold that their code cannot bear: their tasks fail, until they are healed."""

    clients: tuple[str, ...]
    sick: set[str]

    def heal(self, client_id: str) -> None:
        self.sick.discard(client_id)


@pytest_asyncio.fixture(scope="module")
async def poisoned(service: Service) -> AsyncIterator[Poisoned]:
    """Three at once, one for a test: the server takes ten seconds to say that a task fails."""
    clients = tuple([(await service.create())["client_id"] for _ in range(3)])
    poisoned, sound = Poisoned(clients, {*clients}), ClientState.next_moment

    def next_moment(state: ClientState) -> Any:
        if state.client.client_id in poisoned.sick and POISON in state.client.holds:
            raise RuntimeError("a bug")
        return sound(state)

    with pytest.MonkeyPatch.context() as bug:
        bug.setattr(ClientState, "next_moment", next_moment)
        for client_id in clients:
            await service.known(client_id)
            await service.temporal.get_workflow_handle(f"client-{client_id}").signal("suspend", {"source": POISON})
        yield poisoned


async def test_a_client_whose_task_fails_is_answered_from_the_directory_and_goes_on_when_mended(
    service: Service, look: Look, poisoned: Poisoned
) -> None:
    client_id = poisoned.clients[0]
    matter = await look.matter(client_id, every=1)
    assert matter["kind"] == "workflow_fails"
    assert "WorkflowWorkerUnhandledFailure" in matter["text"]
    await shows_its_matter_and_refuses(service, client_id, matter)
    poisoned.heal(client_id)
    await look.mended(client_id)
    await service.known(client_id)
    assert (await service.client(client_id))["status"] == "suspended"


async def test_a_client_whose_newest_message_stops_it_goes_on_without_that(
    service: Service, look: Look, poisoned: Poisoned
) -> None:
    client_id = poisoned.clients[1]
    matter = await look.matter(client_id, every=1)
    for remedy in matter["remedies"]:
        carry_out(service.temporal, remedy["command"])
    answer = await service.post(client_id, "suspend", source="billing")
    assert (answer.status_code, answer.json()["status"]) == (200, "suspended"), answer.text
    assert [hold["source"] for hold in answer.json()["holds"]] == ["billing"]
    await look.mended(client_id)


async def test_a_client_is_begun_anew_with_the_messages_that_it_has_not_obeyed(
    service: Service, look: Look, poisoned: Poisoned
) -> None:
    client_id = poisoned.clients[2]
    matter = await look.matter(client_id, every=1)
    poisoned.heal(client_id)
    carry_out(service.temporal, matter["remedies"][1]["command"])
    await look.mended(client_id)
    await service.known(client_id)
    client = await service.client(client_id)
    assert (client["status"], [hold["source"] for hold in client["holds"]]) == ("suspended", [POISON])


async def shows_its_matter_and_refuses(service: Service, client_id: str, matter: dict[str, Any]) -> None:
    answer = await service.api.get(f"/clients/{client_id}")
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    assert answer.json()["matters"][0]["kind"] == matter["kind"]
    assert not any(action["possible"] for action in answer.json()["actions"])
    for command in ("suspend", "suspend?dry_run=true"):
        refused = await service.post(client_id, command)
        assert (refused.status_code, refused.json()["title"]) == (503, "Workflow stuck"), refused.text
        assert all(remedy["command"] in refused.json()["detail"] for remedy in matter["remedies"])


async def test_a_workflow_started_past_connect_is_found_and_ended(service: Service, look: Look) -> None:
    name = unique("client-o'Neil <b>&")
    await service.temporal.start_workflow("ClientLifecycle", {"nothing": 1}, id=name, task_queue="nobody")
    stranger = name.removeprefix("client-")
    matter = await look.matter(stranger)
    assert (matter["kind"], matter["site"], matter["name"]) == ("workflow_unknown", "", "")
    for remedy in matter["remedies"]:
        carry_out(service.temporal, remedy["command"])
    await look.mended(stranger)


async def test_a_client_that_temporal_does_not_know_is_found(service: Service, look: Look) -> None:
    client_id = (await service.create())["client_id"]
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    await service.temporal.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=WorkflowExecution(workflow_id=handle.id))
    )
    matter = await look.matter(client_id)
    assert matter["kind"] == "workflow_missing"
    answer = await service.api.get(f"/clients/{client_id}")
    assert (answer.status_code, answer.json()["matters"][0]["kind"]) == (200, "workflow_missing")
    assert (await service.post(client_id, "suspend")).status_code == 409


async def test_a_client_that_stands_still_is_found_and_its_remedies_wake_it(
    service: Service, directory: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_id = (await service.create())["client_id"]
    await service.known(client_id)
    look, sound = Look(service, watching(service, overdue=timedelta(0)), directory), ClientState.advance
    with monkeypatch.context() as fault:

        def advance(state: ClientState, now: datetime) -> None:
            if state.client.client_id == client_id and now >= due:
                raise RuntimeError("as if the task were never completed")
            sound(state, now)

        due = datetime.now(UTC) + timedelta(days=1)
        fault.setattr(ClientState, "advance", advance)

        async def planned() -> bool:
            """On a busy machine the moment may be past before it is planned."""
            nonlocal due
            due = datetime.now(UTC) + timedelta(seconds=3)
            return (await service.post(client_id, "suspend", wait=0, at=due.isoformat())).status_code == 202

        await eventually(planned)
        matter = await look.matter(client_id)
        assert matter["kind"] == "workflow_stands_still"
        assert f"due at {due:%Y-%m-%d %H:%M} UTC" in matter["text"]
    for remedy in matter["remedies"]:
        carry_out(service.temporal, remedy["command"])
    await look.mended(client_id)

    async def status() -> Any:
        return (await service.client(client_id))["status"]

    await eventually(status, equal="suspended")


async def test_a_matter_stays_as_old_as_it_is_when_another_worker_takes_over(service: Service, look: Look) -> None:
    stranger = unique("stranger")
    await service.temporal.start_workflow("ClientLifecycle", id=f"client-{stranger}", task_queue="nobody")
    before = await look.matter(stranger)
    assert await replace(look, watch=watching(service)).found(stranger)
    assert await matters_of(service, stranger) == [before]
    await service.temporal.get_workflow_handle(f"client-{stranger}").terminate()


async def test_while_nothing_changes_nothing_is_listed_and_nobody_looked_at(
    service: Service, directory: asyncpg.Connection
) -> None:
    """However many clients there are: two numbers and the failing ones."""
    for _ in range(3):
        await service.create()
    executions = CountingExecutions(service.temporal)
    watch = watching(service, executions)

    async def requests() -> list[str]:
        executions.requests.clear()
        await watch.look(directory)
        return sorted(executions.requests)

    await eventually(requests, equal=["count", "count", "failing"])


async def test_one_worker_at_a_time_looks(service: Service, directory: asyncpg.Connection) -> None:
    await eventually(lambda: directory.fetchval("SELECT pg_try_advisory_lock(hashtextextended('watch', 0))"))
    executions = CountingExecutions(service.temporal)
    waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'connect watch' AND query LIKE '%lock%'"
    async with background(watching(service, executions, every=0.01).run):
        await eventually(lambda: directory.fetch(waiting))
        assert executions.requests == []
        await directory.execute("SELECT pg_advisory_unlock_all()")
        await eventually(lambda: bool(executions.requests))
