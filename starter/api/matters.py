"""The routes about everything that a person should see to, and what people do about it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request

from starter.api import examples
from starter.api.assistants import TAG
from starter.api.commanding import Options
from starter.contract.answers import MatterAnswer, MatterPage
from starter.contract.bodies import AcknowledgeBody, AssignBody, CommandBody, MatterFilter, SnoozeBody
from starter.matters import MatterActions, open_matters
from starter.web import problems
from starter.web.dependencies import ClientId, Clients
from starter.web.strict import StrictRoute

router = APIRouter(tags=["matters"], route_class=StrictRoute)

Name = Annotated[str, Path(min_length=1, max_length=300, description="Its `matter`", examples=["end_date_passed"])]

FOUND = problems.answers(404, 409, 422)


@router.get("/matters", tags=[TAG], summary="Every open matter", responses=problems.answers(422))
async def list_matters(request: Request, clients: Clients, filters: Annotated[MatterFilter, Query()]) -> MatterPage:
    """What a person should see to, the oldest first. A matter closes by itself when it is resolved. `remedies` say what
    to do, with the commands that do it.

    - `attention`, `not_proven`: a system that refuses, does not answer, or could not be seen for ten minutes
    - `skipped`: a system that somebody has left as it is
    - `plan_blocked`, `plan_refused`: a plan that cannot happen, or was refused when it was due
    - `end_date_passed`: of a client that is not decommissioned, by the day at its site
    - `start_reached`: a New client that waits for a person to activate it
    - `workflow_…`: its workflow cannot run
    - `alive_again`, `cannot_look`, `unserved`: what was switched off is found in use again and again, cannot be looked
      at, or no worker serves the instance"""
    return await open_matters(clients, filters, request.state.caller.name)


@router.post("/clients/{client_id}/matters/{matter:path}/acknowledge", summary="Acknowledge a matter", responses=FOUND)
async def acknowledge_matter(
    options: Options,
    client_id: ClientId,
    matter: Name,
    body: Annotated[AcknowledgeBody, Body(default_factory=AcknowledgeBody)],
) -> MatterAnswer:
    """Hide it until it is another one: another end date or start date, another skip, another plan. Only `skipped`,
    `end_date_passed`, `start_reached` and plans can be acknowledged: the others close when they are resolved."""
    answer = await _act(options, client_id, matter, body, lambda it: it.hide())
    return await _actions(options, client_id, matter, body).acknowledge_at_client(answer)


@router.post("/clients/{client_id}/matters/{matter:path}/assign", summary="Assign a matter", responses=FOUND)
async def assign_matter(
    options: Options,
    client_id: ClientId,
    matter: Name,
    body: Annotated[AssignBody, Body(openapi_examples=examples.of_body(AssignBody))],
) -> MatterAnswer:
    """Assign it to somebody, or to nobody. It stays in the list."""
    return await _act(options, client_id, matter, body, lambda it: it.assign(body.assigned_to))


@router.post("/clients/{client_id}/matters/{matter:path}/snooze", summary="Snooze a matter", responses=FOUND)
async def snooze_matter(
    options: Options,
    client_id: ClientId,
    matter: Name,
    body: Annotated[SnoozeBody, Body(default_factory=SnoozeBody, openapi_examples=examples.of_body(SnoozeBody))],
) -> MatterAnswer:
    """Snooze it until a day or a moment, or until its text changes (by a new error), whichever comes first."""
    return await _act(options, client_id, matter, body, lambda it: it.snooze(body.snoozed_until, end=body.end))


@router.post("/matters/{matter:path}/assign", summary="Assign a matter of an instance", responses=FOUND)
async def assign_matter_of_instance(
    options: Options, matter: Name, body: Annotated[AssignBody, Body(openapi_examples=examples.of_body(AssignBody))]
) -> MatterAnswer:
    """As that of a client: for a matter whose `client_id` is empty."""
    return await _act(options, "", matter, body, lambda it: it.assign(body.assigned_to))


@router.post("/matters/{matter:path}/snooze", summary="Snooze a matter of an instance", responses=FOUND)
async def snooze_matter_of_instance(
    options: Options,
    matter: Name,
    body: Annotated[SnoozeBody, Body(default_factory=SnoozeBody, openapi_examples=examples.of_body(SnoozeBody))],
) -> MatterAnswer:
    """As that of a client: for a matter whose `client_id` is empty."""
    return await _act(options, "", matter, body, lambda it: it.snooze(body.snoozed_until, end=body.end))


async def _act(
    options: Options,
    client_id: str,
    matter: str,
    body: CommandBody,
    work: Callable[[MatterActions], Awaitable[MatterAnswer]],
) -> MatterAnswer:
    actions = _actions(options, client_id, matter, body)
    return await options.once(body, MatterAnswer, lambda directory: work(replace(actions, directory=directory)))


def _actions(options: Options, client_id: str, matter: str, body: CommandBody) -> MatterActions:
    return MatterActions(options.clients, client_id, matter, options.by, options.command_id, body.reason)
