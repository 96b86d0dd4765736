"""The routes that create, list and show clients."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Query, Request, Response

from starter.api import examples
from starter.api.assistants import TAG
from starter.api.commanding import Keyed, Options
from starter.contract.answers import ClientPage, Credentials, ErasedClient, HistoryPage, NotePage
from starter.contract.bodies import ClientFilter, ClientGiven, HistoryFilter
from starter.erasing import Eraser
from starter.web import problems
from starter.web.dependencies import API, ClientId, Clients
from starter.web.preconditions import is_known, tag_of
from starter.web.strict import StrictRoute
from workflows.wire.views import ClientView

router = APIRouter(tags=["clients"], route_class=StrictRoute)


@router.get("/clients", tags=[TAG], summary="A page of the directory", responses=problems.answers(422))
async def list_clients(clients: Clients, filters: Annotated[ClientFilter, Query()]) -> ClientPage:
    """The management client of a site comes first. `next` is the cursor of the next page, null on the last."""
    return await clients.clients(filters)


@router.post(
    "/clients",
    summary="Create a client",
    status_code=201,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "The new client"}}},
        **problems.answers(409, 422),
    },
)
async def create_client(
    options: Options,
    client: Annotated[ClientGiven, Body(openapi_examples=examples.of_body(ClientGiven))],
) -> ClientView:
    """Answers once the directory has the client: its billing reference and numbers are then its own."""
    view = await options.respond(
        await options.clients.create(client, options.command_id, options.by, fresh=options.fresh)
    )
    options.response.headers["Location"] = f"{API}/clients/{view.client_id}"
    return view


@router.get(
    "/clients/{client_id}",
    tags=[TAG],
    summary="One client",
    response_model=ClientView,
    responses={
        200: {"headers": {"ETag": {"schema": {"type": "string"}, "description": "Its revision, and a digest"}}},
        304: {"description": "It is as `If-None-Match` has it"},
        **problems.answers(404, 422),
    },
)
async def show_client(
    request: Request,
    clients: Clients,
    response: Response,
    client_id: ClientId,
    known: Annotated[str | None, Header(alias="If-None-Match", description="An `ETag` that you have of it")] = None,
) -> ClientView | Response:
    """From its workflow while that runs, from the directory afterwards."""
    view = await clients.client(client_id)
    response.headers["ETag"] = tag = tag_of(view)
    listed = request.headers.getlist("If-None-Match") if known is not None else []
    return Response(status_code=304, headers={"ETag": tag}) if is_known(tag, listed) else view


@router.post("/clients/{client_id}/erase", summary="Erase a client", responses=problems.answers(404, 409, 422))
async def erase_client(request: Request, options: Keyed, client_id: ClientId) -> ErasedClient:
    """For good: its name, notes, reasons, references, ids of other systems and tags, and the key with which Temporal's
    history of it is encrypted. Ids, times and proofs stay. For a client that was decommissioned and proven off at least
    CONNECT_ERASE_AFTER_DAYS ago; one that was erased stays so. Its own address answers 404 from then on, and says when
    it was erased; its history answers as before."""
    eraser: Eraser = request.app.state.eraser
    return await options.once_answered(ErasedClient, lambda: eraser.erase(client_id, options.by))


@router.get(
    "/clients/{client_id}/history",
    tags=[TAG],
    summary="A client's history",
    responses=problems.answers(404, 422),
)
async def show_history(
    clients: Clients,
    client_id: ClientId,
    page: Annotated[HistoryFilter, Query()],
) -> HistoryPage:
    """Everything that was asked, refused, decided, tried and proven, newest first."""
    return await clients.history(client_id, page.limit, page.cursor)


@router.get(
    "/clients/{client_id}/notes", tags=[TAG], summary="Notes about a client", responses=problems.answers(404, 422)
)
async def show_notes(clients: Clients, client_id: ClientId, page: Annotated[HistoryFilter, Query()]) -> NotePage:
    """What people had to say, newest first. They are never changed; each stands in the history, too."""
    return await clients.notes(client_id, page.limit, page.cursor)


@router.get(
    "/clients/{client_id}/credentials",
    summary="What a client's telephones and router are configured with",
    responses=problems.answers(404, 422),
)
async def show_credentials(request: Request, clients: Clients, response: Response, client_id: ClientId) -> Credentials:
    """Derived for this answer from the master key; the client's history says who looked. Lines and accounts that keep a
    secret from before Connect have no password here, once a change, or `connect systems adopt`, has shown that they
    do."""
    response.headers["Cache-Control"] = "no-store"
    return await clients.credentials(client_id, request.state.caller.name)
