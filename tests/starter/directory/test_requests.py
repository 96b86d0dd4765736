"""What the API has written down is done or withdrawn, whoever died on the way (ARCHITECTURE.md, "The fast path")."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from activities.database import speak_json
from activities.requests.sweep import Sweep
from tests.support.service import Service
from tests.support.waiting import eventually
from workflows.wire.messages import Message

OLD = 3600.0


@pytest_asyncio.fixture
async def directory(service: Service) -> AsyncIterator[asyncpg.Connection]:
    """A connection of somebody else."""
    connection = await asyncpg.connect(service.settings.directory_dsn.get_secret_value())
    await speak_json(connection)
    yield connection
    await connection.close()


def sweep_of(service: Service, limit: float = OLD) -> Sweep:
    """A sweep that leaves no request time to arrive by itself."""
    return Sweep(service.temporal, service.settings.directory_dsn.get_secret_value(), young=0, limit=limit)


async def written_down(directory: asyncpg.Connection, client_id: str, kind: str, **fields: Any) -> str:
    """A command that the API wrote down, and then died."""
    command_id = uuid.uuid4().hex
    message = Message.model_validate({"kind": kind, "command_id": command_id, "recorded": True, "by": "api", **fields})
    row = client_id, command_id, message.model_dump(mode="json")
    await directory.execute("INSERT INTO requests (client_id, command_id, message) VALUES ($1, $2, $3)", *row)
    return command_id


async def is_open(directory: asyncpg.Connection, command_id: str) -> bool:
    """Whether nobody has answered it yet."""
    found = "SELECT EXISTS (SELECT FROM requests WHERE command_id = $1)"
    return bool(await directory.fetchval(found, command_id))


async def test_a_command_that_was_written_down_and_never_sent_is_done(
    service: Service, directory: asyncpg.Connection
) -> None:
    client = await service.create()
    command_id = await written_down(directory, client["client_id"], "suspend", source="billing")
    await sweep_of(service).sweep(directory)

    async def answered() -> bool:
        return not await is_open(directory, command_id)

    await eventually(answered)
    shown = (await service.api.get(f"/clients/{client['client_id']}")).json()
    assert shown["status"] == "suspended"


async def test_commands_of_one_client_are_sent_in_their_order(service: Service, directory: asyncpg.Connection) -> None:
    client_id = (await service.create())["client_id"]
    await written_down(directory, client_id, "suspend")
    last = await written_down(directory, client_id, "unsuspend", source="all")
    await sweep_of(service).sweep(directory)

    async def answered() -> bool:
        return not await is_open(directory, last)

    await eventually(answered)
    lines = [line["text"] for line in await service.history(client_id) if line["by"] == "api"][:2]
    assert lines == ["Hold of operator lifted: the client is active again", "Suspended by operator"]


async def test_what_is_refused_is_kept_as_the_verdict_and_told(service: Service, directory: asyncpg.Connection) -> None:
    client_id = (await service.create())["client_id"]
    command_id = await written_down(directory, client_id, "change_services", remove_lines=["+442079469999"])
    await sweep_of(service).sweep(directory)
    assert not await is_open(directory, command_id)
    again = await service.post(client_id, "services", key=command_id, remove_lines=["+442079469999"])
    assert again.status_code == 422
    assert any(line["event"] == "refused" for line in await service.history(client_id))


async def test_an_old_one_that_nobody_knows_is_withdrawn_and_every_system_is_brought_back(
    service: Service, directory: asyncpg.Connection
) -> None:
    client = await service.create()
    client_id, orders = client["client_id"], len(service.telephony.orders)
    command_id = await written_down(directory, client_id, "suspend", source="billing")
    await sweep_of(service, limit=0).sweep(directory)
    assert not await is_open(directory, command_id)
    again = await service.post(client_id, "suspend", key=command_id, source="billing")
    assert again.status_code == 409
    assert "withdrawn" in again.json()["detail"]

    async def brought_back() -> bool:
        return any(order.client_id == client_id for order in service.telephony.orders[orders:])

    await eventually(brought_back)
    await service.known(client_id)
    history = [line["text"] for line in await service.history(client_id)]
    assert any("withdrawn" in text for text in history)
    assert any("Drift of telephony reported" in text for text in history)


async def test_an_old_one_that_the_client_knows_is_not_withdrawn(
    service: Service, directory: asyncpg.Connection
) -> None:
    client_id = (await service.create())["client_id"]
    command_id = await written_down(directory, client_id, "suspend", source="billing")
    await sweep_of(service).sweep(directory)
    await service.known(client_id)
    row = "INSERT INTO requests (client_id, command_id, message) VALUES ($1, $2, '{}')"
    await directory.execute(row, client_id, command_id)  # written once more after the answer was published
    await sweep_of(service, limit=0).sweep(directory)
    assert not await is_open(directory, command_id)
    assert (await service.api.get(f"/clients/{client_id}")).json()["status"] == "suspended"
