"""The routes about the systems that Connect switches: how they are, who waits for a person, what a person may do."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from starter.api import examples
from starter.api.commanding import COMMAND, Command, CommandResponse
from starter.contract.answers import AttentionPage, SystemPage
from starter.contract.bodies import AttentionFilter, CommandBody, MarkDoneBody, SkipBody, Switched
from starter.web import problems
from starter.web.dependencies import ClientId, Clients
from workflows.wire import messages

router = APIRouter(tags=["systems"])

SystemName = Annotated[Switched, Path(description="Which system", examples=["telephony"])]


@router.get("/systems", summary="How each system is, and who waits for it", responses=problems.described())
async def list_systems(clients: Clients) -> SystemPage:
    """The workers report; the worst of what they say counts. A system that none has spoken of for a minute is
    `unknown`."""
    return await clients.directory.systems()


@router.get("/attention", summary="Every client that waits for a person", responses=problems.described(422))
async def list_attention(clients: Clients, wanted: Annotated[AttentionFilter, Query()]) -> AttentionPage:
    """Clients in attention or not proven, by system, the oldest first: as last published, which is at the first
    failure and at every other error. `GET /clients/{client_id}` has the attempts of this moment."""
    return await clients.directory.attention(wanted)


@router.post("/clients/{client_id}/systems/{system}/retry", summary="Retry a system", **COMMAND)
async def retry_system(
    command: Command,
    client_id: ClientId,
    system: SystemName,
    said: Annotated[CommandBody, Body(default_factory=CommandBody, openapi_examples=examples.RETRIES)],
) -> CommandResponse:
    """Attempt at once, without the rest of the pause. Nothing changes for a system that is as decided."""
    return await command.send(client_id, messages.Retry, said, system=system)


@router.post("/clients/{client_id}/systems/{system}/skip", summary="Skip a system", **COMMAND)
async def skip_system(
    command: Command,
    client_id: ClientId,
    system: SystemName,
    said: Annotated[SkipBody, Body(openapi_examples=examples.SKIPS)],
) -> CommandResponse:
    """Accept that the system is not as decided, until the next decision that concerns it. Nothing counts as proven."""
    return await command.send(client_id, messages.Skip, said, system=system)


@router.post("/clients/{client_id}/systems/{system}/mark-done", summary="Mark a system done by hand", **COMMAND)
async def mark_system_done(
    command: Command,
    client_id: ClientId,
    system: SystemName,
    said: Annotated[MarkDoneBody, Body(openapi_examples=examples.MARKS)],
) -> CommandResponse:
    """Count the system as done, because somebody saw to it: the note is the evidence, with who gave it."""
    return await command.send(client_id, messages.MarkDone, said, system=system)
