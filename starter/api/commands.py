"""The routes that command a client: each is one message, and a row of ``ROUTES``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query

from starter.api import examples
from starter.api.assistants import TAG
from starter.api.commanding import Command, CommandResponse
from starter.contract import bodies
from starter.contract.bodies import CancelQuery, CommandBody, PlannableBody
from starter.web import problems
from starter.web.dependencies import ClientId
from starter.web.strict import StrictRoute
from workflows.domain.lifecycle import Kind
from workflows.wire.fields import KindName
from workflows.wire.messages import BY_NAME, COMMANDS
from workflows.wire.messages import Body as AnyBody
from workflows.wire.views import CommandAnswer

router = APIRouter(route_class=StrictRoute)


def no_more() -> dict[str, object]:  # its text would stand in the OpenAPI document, as those below do
    return {}


def one_system(
    system: Annotated[KindName, Path(description="Which system", examples=["telephony"])],
) -> dict[str, object]:
    return {"system": system}


def one_plan(
    change: Annotated[
        str, Path(min_length=1, max_length=200, description="Its kind or change_id", examples=["suspend"])
    ],
    query: Annotated[CancelQuery, Query()],
) -> dict[str, object]:
    """Its reason and source may stand in the query or in the body, which counts when both have them."""
    return {name: getattr(query, name) for name in query.model_fields_set - {"dry_run"}} | {"change": change}


@dataclass(frozen=True)
class Route:
    """A route below ``/clients/{client_id}``. ``address`` is the dependency that reads the rest of its path."""

    path: str
    name: str
    summary: str
    kind: Kind
    body: type[AnyBody] = CommandBody
    method: str = "POST"
    address: Callable[..., dict[str, object]] = no_more

    def endpoint(self) -> Callable[..., Awaitable[CommandResponse]]:
        async def send(command: Command, client_id: ClientId, address: Any, body: Any) -> CommandResponse:
            return await command.send(client_id, BY_NAME[self.kind], body, **address)

        bare = self.body in (CommandBody, PlannableBody)  # no field is required, so no body is
        default: Any = {"default_factory": self.body} if bare else {}
        send.__annotations__ |= {
            "address": Annotated[dict[str, object], Depends(self.address)],
            "body": Annotated[self.body, Body(**default, openapi_examples=examples.of_body(self.body))],
        }
        return send


ROUTES = (
    Route("", "edit_client", "Edit details", Kind.EDIT, bodies.EditBody, "PATCH"),
    Route("/activate", "activate_client", "Activate", Kind.ACTIVATE),
    Route("/suspend", "suspend_client", "Suspend", Kind.SUSPEND, PlannableBody),
    Route("/unsuspend", "unsuspend_client", "Unsuspend", Kind.UNSUSPEND, PlannableBody),
    Route("/decommission", "decommission_client", "Decommission", Kind.DECOMMISSION, PlannableBody),
    Route(
        "/cancel-scheduled-decommission", "cancel_decommission", "Cancel the planned decommission",
        Kind.CANCEL_SCHEDULED_DECOMMISSION,
    ),
    Route("/convert", "convert_client", "Convert", Kind.CONVERT, bodies.ConvertBody),
    Route("/services", "change_services", "Change services", Kind.CHANGE_SERVICES, bodies.ServicesBody),
    Route("/notes", "add_note", "Add a note", Kind.NOTE, bodies.NoteBody),
    Route("/rotate-credentials", "rotate_credentials", "Rotate credentials", Kind.ROTATE_CREDENTIALS),
    Route(
        "/planned/{change:path}", "cancel_planned", "Cancel a planned change",
        Kind.CANCEL_PLANNED, CommandBody, "DELETE", one_plan,
    ),
    Route("/systems/{system}/retry", "retry_system", "Retry a system", Kind.RETRY, address=one_system),
    Route("/systems/{system}/skip", "skip_system", "Skip a system", Kind.SKIP, bodies.SkipBody, address=one_system),
    Route(
        "/systems/{system}/mark-done", "mark_system_done", "Mark a system done by hand",
        Kind.MARK_DONE, bodies.MarkDoneBody, address=one_system,
    ),
)  # fmt: skip

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Done: the systems are proven to do it. With `dry_run=true`: what it would do; nothing was done",
    },
    202: {"model": CommandAnswer, "description": "Accepted: what it takes is under way"},
    **problems.answers(404, 409, 412, 422),
}

for route in ROUTES:
    router.add_api_route(
        f"/clients/{{client_id}}{route.path}",
        route.endpoint(),
        methods=[route.method],
        name=route.name,
        summary=route.summary,
        description=" ".join(
            text.replace("``", "`") for it in (COMMANDS[route.kind], route.address) if (text := getdoc(it))
        ),
        tags=["systems" if route.address is one_system else "commands", TAG],
        response_model=CommandResponse,
        responses=ANSWERS,
    )
