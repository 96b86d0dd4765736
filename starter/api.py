"""The HTTP API under ``/api/v1`` (PRODUCT.md section 7.2): parse, ask the desk, render. No SQL, no Temporal."""

import asyncio
from collections.abc import Awaitable
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Path, Query, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.types import Lifespan

from starter import api_systems, examples, problems
from starter.access import AccessLog
from starter.asking import COMMAND, Asked, AtDesk, ClientId, Commanded, CommandGiven, PlannableGiven, Told
from starter.console import mishaps
from starter.console.attention import attention
from starter.console.calendar_feed import calendar_feed
from starter.console.client import client_pages
from starter.console.clients import clients
from starter.console.door import door, static
from starter.console.edit import edit_pages
from starter.console.guard import Guard
from starter.console.live import live
from starter.console.new import new_pages
from starter.console.reads import Reads
from starter.console.sessions import Sessions, Throttle
from starter.console.status import status_pages
from starter.console.upcoming import upcoming
from starter.console.ways import ways
from starter.desk import Desk
from starter.errors import Away, NotReady
from starter.reference import reference
from starter.schemas import (
    CancelQuery,
    ClientFilter,
    ClientGiven,
    ClientPage,
    ConvertBody,
    Credentials,
    EditBody,
    HistoryFilter,
    HistoryPage,
    Problem,
    Readiness,
    ServicesBody,
    Site,
    SiteGiven,
    SitePage,
)
from starter.security import BodyLimit, Security
from workflows import messages
from workflows.domain.errors import InvalidField
from workflows.views import ClientView

ABOUT = """The client lifecycle service of a serviced-office operator.

Send the token as `Authorization: Bearer …`. `Idempotency-Key` makes a request one command, however often and however
late it is sent: its first verdict stands for as long as the client's history is kept. What was obeyed is answered so
again, with the client as it is now; what was refused stays refused; another request under the key is refused (409).
`Prefer: wait=N` waits up to N seconds (at most 60) for the effect: 200 when the systems are proven to do it, 202 when
it is accepted. `?dry_run=true` on a command answers what it would do, and does nothing. Errors are problem documents
(RFC 9457) that say what is wrong, where, and what to do instead."""

router = APIRouter(prefix="/api/v1", dependencies=[Depends(HTTPBearer(auto_error=False))])
checks = APIRouter(tags=["health"])


# -- sites ------------------------------------------------------------------------------------------------------------


@router.get("/sites", tags=["sites"], summary="Every site", responses=problems.described())
async def list_sites(desk: AtDesk) -> SitePage:
    return await desk.directory.sites()


@router.post("/sites", tags=["sites"], summary="Add a site", status_code=201, responses=problems.described(409, 422))
async def add_site(desk: AtDesk, site: SiteGiven) -> Site:
    """The same site twice is one site."""
    return await desk.directory.add_site(site)


# -- clients ----------------------------------------------------------------------------------------------------------


@router.get("/clients", tags=["clients"], summary="A page of the directory", responses=problems.described(422))
async def list_clients(desk: AtDesk, wanted: Annotated[ClientFilter, Query()]) -> ClientPage:
    """The management client of a site comes first. `next` is the cursor of the next page, null on the last."""
    return await desk.clients(wanted)


@router.post(
    "/clients",
    tags=["clients"],
    summary="Create a client",
    status_code=201,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "The new client"}}},
        **problems.described(409, 422),
    },
)
async def create_client(
    asked: Asked,
    client: Annotated[ClientGiven, Body(openapi_examples=examples.NEW_CLIENTS)],
    dry_run: Annotated[bool, Query(include_in_schema=False)] = False,
) -> ClientView:
    """Answers once the directory has the client: its billing reference and numbers are then its own."""
    if dry_run:  # better refused than taken for one
        raise InvalidField("A new client has no dry run", "Leave dry_run out to create it", field="dry_run")
    view = await asked.waited(await asked.desk.create(client, asked.command_id, asked.by, fresh=asked.fresh))
    asked.response.headers["Location"] = f"{router.prefix}/clients/{view.client_id}"
    return view


@router.get("/clients/{client_id}", tags=["clients"], summary="One client", responses=problems.described(404, 422))
async def show_client(desk: AtDesk, client_id: ClientId) -> ClientView:
    """From its workflow while that runs, from the directory afterwards."""
    return await desk.client(client_id)


@router.get(
    "/clients/{client_id}/history",
    tags=["clients"],
    summary="A client's history",
    responses=problems.described(404, 422),
)
async def show_history(
    desk: AtDesk,
    client_id: ClientId,
    wanted: Annotated[HistoryFilter, Query()],
) -> HistoryPage:
    """Everything that was asked, refused, decided, tried and proven, newest first."""
    return await desk.history(client_id, wanted.limit, wanted.cursor)


@router.get(
    "/clients/{client_id}/credentials",
    tags=["clients"],
    summary="What a client's telephones and router are configured with",
    responses=problems.described(404, 422),
)
async def show_credentials(desk: AtDesk, response: Response, client_id: ClientId) -> Credentials:
    """Derived for this answer from the master key. Lines and accounts that keep a secret from before Connect have no
    password here, once a change has shown that they do."""
    response.headers["Cache-Control"] = "no-store"
    return await desk.credentials(client_id)


# -- commands ---------------------------------------------------------------------------------------------------------

_COMMAND: dict[str, Any] = {"tags": ["commands"], **COMMAND}


@router.patch("/clients/{client_id}", summary="Edit details", **_COMMAND)
async def edit_client(
    asked: Commanded, client_id: ClientId, said: Annotated[EditBody, Body(openapi_examples=examples.EDITS)]
) -> Told:
    return await asked.tell(client_id, messages.Edit, said.model_dump(exclude_unset=True))


@router.post("/clients/{client_id}/activate", summary="Activate", **_COMMAND)
async def activate_client(asked: Commanded, client_id: ClientId, said: CommandGiven) -> Told:
    """Provide all contracted services, ahead of the start date if need be."""
    return await asked.tell(client_id, messages.Activate, said.model_dump(exclude_unset=True))


@router.post("/clients/{client_id}/suspend", summary="Suspend", **_COMMAND)
async def suspend_client(asked: Commanded, client_id: ClientId, said: PlannableGiven) -> Told:
    """Place a hold for `source`: every service is ceased while one stands."""
    return await asked.tell(client_id, messages.Suspend, said.model_dump(exclude_unset=True))


@router.post("/clients/{client_id}/unsuspend", summary="Unsuspend", **_COMMAND)
async def unsuspend_client(asked: Commanded, client_id: ClientId, said: PlannableGiven) -> Told:
    """Lift the hold of `source`, or every one with `all`. Services come back when the last one goes."""
    return await asked.tell(client_id, messages.Unsuspend, said.model_dump(exclude_unset=True))


@router.post("/clients/{client_id}/decommission", summary="Decommission", **_COMMAND)
async def decommission_client(asked: Commanded, client_id: ClientId, said: PlannableGiven) -> Told:
    """Close the contract and cease all services, for good."""
    return await asked.tell(client_id, messages.Decommission, said.model_dump(exclude_unset=True))


@router.post(
    "/clients/{client_id}/cancel-scheduled-decommission", summary="Cancel the planned decommission", **_COMMAND
)
async def cancel_decommission(asked: Commanded, client_id: ClientId, said: CommandGiven) -> Told:
    """Removes the plan only: a suspended client stays suspended."""
    said_now = said.model_dump(exclude_unset=True)
    return await asked.tell(client_id, messages.CancelScheduledDecommission, said_now)


@router.post("/clients/{client_id}/convert", summary="Convert", **_COMMAND)
async def convert_client(
    asked: Commanded, client_id: ClientId, said: Annotated[ConvertBody, Body(openapi_examples=examples.CONVERSIONS)]
) -> Told:
    """Become virtual (offices and internet end, numbers stay) or residential (every line gets an office)."""
    return await asked.tell(client_id, messages.Convert, said.model_dump(exclude_unset=True))


@router.post("/clients/{client_id}/services", summary="Change services", **_COMMAND)
async def change_services(
    asked: Commanded, client_id: ClientId, said: Annotated[ServicesBody, Body(openapi_examples=examples.SERVICES)]
) -> Told:
    """Add lines (or move them to another office), remove lines, set or end internet access."""
    return await asked.tell(client_id, messages.ChangeServices, said.model_dump(exclude_unset=True))


@router.post("/clients/{client_id}/rotate-credentials", summary="Rotate credentials", **_COMMAND)
async def rotate_credentials(asked: Commanded, client_id: ClientId, said: CommandGiven) -> Told:
    """New secrets for every line and the account. Telephones and the router are then configured anew, with what
    `GET /clients/{client_id}/credentials` tells."""
    return await asked.tell(client_id, messages.RotateCredentials, said.model_dump(exclude_unset=True))


@router.delete("/clients/{client_id}/planned/{change:path}", summary="Cancel a planned change", **_COMMAND)
async def cancel_planned(
    asked: Commanded,
    client_id: ClientId,
    change: Annotated[
        str, Path(min_length=1, max_length=200, description="Its kind or change_id", examples=["suspend"])
    ],
    asking: Annotated[CancelQuery, Query()],
    said: CommandGiven,
) -> Told:
    """Reason and source are given in the query, or in the body, which counts when both are."""
    details = {**asking.model_dump(exclude_unset=True, exclude={"dry_run"}), **said.model_dump(exclude_unset=True)}
    return await asked.tell(client_id, messages.CancelPlanned, {**details, "change": change})


router.include_router(api_systems.router)


# -- health -----------------------------------------------------------------------------------------------------------


@checks.get("/healthz", summary="Alive")
async def healthz() -> dict[str, bool]:
    return {"alive": True}


@checks.get("/readyz", summary="Able to work", responses={503: problems.described()[503]})
async def readyz(desk: AtDesk) -> Readiness:
    """Temporal and the directory's database answer. The problem document says which does not."""
    away = [
        part for part in await asyncio.gather(_absence(desk.gateway.ready()), _absence(desk.directory.ready())) if part
    ]
    if away:
        raise NotReady(away)
    return Readiness(ready=True)


async def _absence(ready: Awaitable[None]) -> Away | None:
    try:
        await ready
    except Away as away:
        return away
    return None


class Api(FastAPI):
    """FastAPI, with what it does not find by itself in the OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            for name, example in examples.ANSWERS.items():
                schemas[name]["examples"] = [example]
        return super().openapi()


def _route_name(route: APIRoute) -> str:
    return route.name


def create_app(desk: Desk, token: str, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """The API, in front of a desk, for whoever holds the token."""
    app = Api(
        title="Connect",
        version=version("connect"),
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=_route_name,
    )
    app.state.desk = desk
    app.state.sessions = Sessions(desk.directory.database, token)
    app.state.throttle, app.state.token = Throttle(), token
    app.state.reads = Reads(desk.directory.database)
    app.include_router(router)
    app.include_router(checks)
    app.include_router(reference)
    for pages in (
        door,
        live,
        clients,
        new_pages,
        edit_pages,
        client_pages,
        status_pages,
        ways,
        upcoming,
        calendar_feed,
        attention,
    ):
        app.include_router(pages)
    app.mount("/static", static)
    problems.install(app)
    mishaps.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Guard, sessions=app.state.sessions, token=token)
    app.add_middleware(Security, token=token)
    app.add_middleware(AccessLog)
    return app
