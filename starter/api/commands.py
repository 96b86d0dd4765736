"""The routes that command a client: each is one message."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from starter.api import examples
from starter.api.commanding import COMMAND, Command, CommandGiven, CommandResponse, PlannableGiven
from starter.contract.bodies import CancelQuery, ConvertBody, EditBody, ServicesBody
from starter.web.dependencies import ClientId
from workflows.wire import messages

router = APIRouter(tags=["commands"])


@router.patch("/clients/{client_id}", summary="Edit details", **COMMAND)
async def edit_client(
    command: Command, client_id: ClientId, said: Annotated[EditBody, Body(openapi_examples=examples.EDITS)]
) -> CommandResponse:
    return await command.send(client_id, messages.Edit, said)


@router.post("/clients/{client_id}/activate", summary="Activate", **COMMAND)
async def activate_client(command: Command, client_id: ClientId, said: CommandGiven) -> CommandResponse:
    """Provide all contracted services, ahead of the start date if need be."""
    return await command.send(client_id, messages.Activate, said)


@router.post("/clients/{client_id}/suspend", summary="Suspend", **COMMAND)
async def suspend_client(command: Command, client_id: ClientId, said: PlannableGiven) -> CommandResponse:
    """Place a hold for `source`: every service is ceased while one stands."""
    return await command.send(client_id, messages.Suspend, said)


@router.post("/clients/{client_id}/unsuspend", summary="Unsuspend", **COMMAND)
async def unsuspend_client(command: Command, client_id: ClientId, said: PlannableGiven) -> CommandResponse:
    """Lift the hold of `source`, or every one with `all`. Services come back when the last one goes."""
    return await command.send(client_id, messages.Unsuspend, said)


@router.post("/clients/{client_id}/decommission", summary="Decommission", **COMMAND)
async def decommission_client(command: Command, client_id: ClientId, said: PlannableGiven) -> CommandResponse:
    """Close the contract and cease all services, for good."""
    return await command.send(client_id, messages.Decommission, said)


@router.post("/clients/{client_id}/cancel-scheduled-decommission", summary="Cancel the planned decommission", **COMMAND)
async def cancel_decommission(command: Command, client_id: ClientId, said: CommandGiven) -> CommandResponse:
    """Removes the plan only: a suspended client stays suspended."""
    return await command.send(client_id, messages.CancelScheduledDecommission, said)


@router.post("/clients/{client_id}/convert", summary="Convert", **COMMAND)
async def convert_client(
    command: Command, client_id: ClientId, said: Annotated[ConvertBody, Body(openapi_examples=examples.CONVERSIONS)]
) -> CommandResponse:
    """Become virtual (offices and internet end, numbers stay) or residential (every line gets an office)."""
    return await command.send(client_id, messages.Convert, said)


@router.post("/clients/{client_id}/services", summary="Change services", **COMMAND)
async def change_services(
    command: Command, client_id: ClientId, said: Annotated[ServicesBody, Body(openapi_examples=examples.SERVICES)]
) -> CommandResponse:
    """Add lines (or move them to another office), remove lines, set or end internet access."""
    return await command.send(client_id, messages.ChangeServices, said)


@router.post("/clients/{client_id}/rotate-credentials", summary="Rotate credentials", **COMMAND)
async def rotate_credentials(command: Command, client_id: ClientId, said: CommandGiven) -> CommandResponse:
    """New secrets for every line and the account. Telephones and the router are then configured anew, with what
    `GET /clients/{client_id}/credentials` tells."""
    return await command.send(client_id, messages.RotateCredentials, said)


@router.delete("/clients/{client_id}/planned/{change:path}", summary="Cancel a planned change", **COMMAND)
async def cancel_planned(
    command: Command,
    client_id: ClientId,
    change: Annotated[
        str, Path(min_length=1, max_length=200, description="Its kind or change_id", examples=["suspend"])
    ],
    asking: Annotated[CancelQuery, Query()],
    said: CommandGiven,
) -> CommandResponse:
    """Reason and source are given in the query, or in the body, which counts when both are."""
    query = {name: getattr(asking, name) for name in asking.model_fields_set - {"dry_run"}}
    return await command.send(client_id, messages.CancelPlanned, said, **query, change=change)
