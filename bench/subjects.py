"""What is measured: changes of our clients until they are settled, and the floor's."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

import asyncpg
import httpx2
from temporalio.client import Client, WorkflowHandle

from activities.secrets import sip_username
from bench.floor import ROWS, SLOTS, Floor, task_queue
from starter.clients import ClientService
from starter.contract.bodies import ClientGiven, LineGiven
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.services import ClientType
from workflows.domain.systems import BUILT_IN
from workflows.wire.messages import InternetGiven, Suspend, Unsuspend
from workflows.wire.start import workflow_id
from workflows.wire.views import ClientView, CommandAnswer

SITE = "bench"
PATIENCE = 30.0  # seconds that a change may take


class NotSettled(RuntimeError):
    """A change that was measured did not happen. The text says what was found instead."""


class Subject(Protocol):
    """Something with numbered workflows that can be changed, one after the other or side by side."""

    name: str

    async def change(self, number: int) -> None:
        """Have one change begun and done. NotSettled."""

    def workflow(self, number: int) -> str:
        """The workflow's id."""


class Ours:
    """Clients with two lines and internet access, suspended and unsuspended in turn, as the HTTP API does it."""

    name = "ours"

    def __init__(self, clients: ClientService) -> None:
        self._clients = clients
        self.changes: list[ClientView] = []
        self.now: dict[str, ClientView] = {}

    @staticmethod
    def client_id(number: int) -> str:
        return f"bench-{number:05}"

    def workflow(self, number: int) -> str:
        return workflow_id(self.client_id(number))

    async def create(self, number: int, *, starts_in: int = 0) -> None:
        """Have the client registered, starting so many days from today, and settled."""
        client = ClientGiven(
            client_id=self.client_id(number),
            name=f"Bench {number} Ltd",
            type=ClientType.RESIDENTIAL,
            site=SITE,
            start_date=(datetime.now(UTC) + timedelta(days=starts_in)).date(),
            lines=[LineGiven(number=f"+4420{70_000_000 + 2 * number + n}", office="3.12") for n in range(2)],
            internet=InternetGiven(down_mbps=100, up_mbps=20, vlan=110),
        )
        view = await self._clients.create(client, f"create-{number}")
        if not starts_in:
            active = await self._clients.wait_settled(view.model_copy(update={"revision": 2}), PATIENCE)
            self._check(active, Status.ACTIVE)
            self.now[active.client_id] = active

    async def change(self, number: int) -> None:
        client_id, command_id = self.client_id(number), uuid4().hex
        suspending = self.now[client_id].status is Status.ACTIVE
        kind, then = (Suspend, Status.SUSPENDED) if suspending else (Unsuspend, Status.ACTIVE)
        answer = await self._clients.command(client_id, kind(command_id=command_id, by="bench"))
        view = await self._clients.wait_settled(answer, PATIENCE)
        self.note(view, then)

    def note(self, view: ClientView, expected: Status) -> None:
        """Keep what a change left, to be verified. NotSettled, when that is not what was wanted."""
        self._check(view, expected)
        self.now[view.client_id] = view
        self.changes.append(view)

    def _check(self, view: ClientView, expected: Status) -> None:
        if (view.status, view.provisioning) != (expected, Provisioned.SETTLED):
            raise NotSettled(
                f"{view.client_id} is {view.status}, {view.provisioning}, and should be {expected}, settled"
            )


class OverHttp:
    """The same clients, changed as a program of somebody else does it: by a POST to the API that waits."""

    name = "http"

    def __init__(self, ours: Ours, http: httpx2.AsyncClient) -> None:
        self._ours, self._http = ours, http

    def workflow(self, number: int) -> str:
        return self._ours.workflow(number)

    async def change(self, number: int) -> None:
        client_id = self._ours.client_id(number)
        suspending = self._ours.now[client_id].status is Status.ACTIVE
        answer = await self._http.post(
            f"/api/v1/clients/{client_id}/{'suspend' if suspending else 'unsuspend'}",
            json={},
            headers={"Prefer": f"wait={PATIENCE:.0f}", "Idempotency-Key": uuid4().hex},
        )
        if not answer.is_success:
            raise NotSettled(f"{client_id}: the API answered {answer.status_code}, {answer.text[:300]}")
        self._ours.note(
            CommandAnswer.model_validate_json(answer.content), Status.SUSPENDED if suspending else Status.ACTIVE
        )


class Bare:
    """Workflows of a floor, whose name is that of its worker (bench/floor.py)."""

    def __init__(self, name: str, client: Client) -> None:
        self.name, self._client = name, client
        self._handles: dict[int, WorkflowHandle[Floor, None]] = {}

    def workflow(self, number: int) -> str:
        return f"bench-{self.name}-{number:05}"

    async def create(self, number: int) -> None:
        """Have the workflow running."""
        self._handles[number] = await self._client.start_workflow(
            Floor.run, id=self.workflow(number), task_queue=task_queue(self.name)
        )

    async def lay(self, dsn: str) -> None:
        """Have the rows that the activities write."""
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(ROWS, [handle.id for handle in self._handles.values()], SLOTS)
        finally:
            await connection.close()

    async def change(self, number: int) -> None:
        await self._handles[number].execute_update(Floor.change)


@dataclass
class Verified:
    """What was found, of all that was measured, where it counts: in the systems' tables and among the proofs."""

    changes: int = 0
    proofs: int = 0
    lines_on: int = 0
    lines_off: int = 0


async def check_lines(dsn: str, clients: Collection[ClientView], verified: Verified) -> None:
    """Kamailio's table has every line as its client stands now, or NotSettled."""
    expected = {
        sip_username(line.number): client.status is Status.ACTIVE for client in clients for line in client.lines
    }
    rows = await _fetch(dsn, "SELECT username, in_service FROM subscriber WHERE username = ANY($1)", list(expected))
    found = {row["username"]: row["in_service"] == 1 for row in rows}
    if wrong := [name for name, on in expected.items() if found.get(name) is not on]:
        raise NotSettled(f"Lines {', '.join(wrong[:5])} are not as their clients were settled")
    verified.lines_on += sum(found.values())
    verified.lines_off += len(found) - sum(found.values())


async def check_proofs(dsn: str, changes: Iterable[ClientView], verified: Verified) -> None:
    """The directory has a proof of each system for every change, of just what was wanted, or NotSettled."""
    rows = await _fetch(dsn, "SELECT client_id, revision, system, findings::text LIKE $1 AS off FROM proofs", "%false%")
    proofs = {(row["client_id"], row["revision"], row["system"]): row["off"] for row in rows}
    for view in changes:
        for system in BUILT_IN:
            off = proofs.get((view.client_id, view.revision, system))
            if off is not (view.status is Status.SUSPENDED):
                raise NotSettled(f"{view.client_id}, revision {view.revision}: no proof of it by {system}")
            verified.proofs += 1
        verified.changes += 1


async def _fetch(dsn: str, query: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(query, *values)
        return rows
    finally:
        await connection.close()
