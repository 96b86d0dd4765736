"""The routes that create, list and show clients."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from starter.api import examples
from starter.api.commanding import Options
from starter.contract.answers import ClientPage, Credentials, HistoryPage
from starter.contract.bodies import ClientFilter, ClientGiven, HistoryFilter
from starter.web import problems
from starter.web.dependencies import API, ClientId, Clients
from workflows.domain.errors import InvalidField
from workflows.wire.views import ClientView

router = APIRouter(tags=["clients"])


@router.get("/clients", summary="A page of the directory", responses=problems.described(422))
async def list_clients(clients: Clients, filters: Annotated[ClientFilter, Query()]) -> ClientPage:
    """The management client of a site comes first. `next` is the cursor of the next page, null on the last."""
    return await clients.clients(filters)


@router.post(
    "/clients",
    summary="Create a client",
    status_code=201,
    responses={
        201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "The new client"}}},
        **problems.described(409, 422),
    },
)
async def create_client(
    options: Options,
    client: Annotated[ClientGiven, Body(openapi_examples=examples.of_body(ClientGiven))],
    dry_run: Annotated[bool, Query(include_in_schema=False)] = False,
) -> ClientView:
    """Answers once the directory has the client: its billing reference and numbers are then its own."""
    if dry_run:  # better refused than taken for one
        raise InvalidField("A new client has no dry run", "Leave dry_run out to create it", field="dry_run")
    view = await options.waited(
        await options.clients.create(client, options.command_id, options.by, fresh=options.fresh)
    )
    options.response.headers["Location"] = f"{API}/clients/{view.client_id}"
    return view


@router.get("/clients/{client_id}", summary="One client", responses=problems.described(404, 422))
async def show_client(clients: Clients, client_id: ClientId) -> ClientView:
    """From its workflow while that runs, from the directory afterwards."""
    return await clients.client(client_id)


@router.get(
    "/clients/{client_id}/history",
    summary="A client's history",
    responses=problems.described(404, 422),
)
async def show_history(
    clients: Clients,
    client_id: ClientId,
    page: Annotated[HistoryFilter, Query()],
) -> HistoryPage:
    """Everything that was asked, refused, decided, tried and proven, newest first."""
    return await clients.history(client_id, page.limit, page.cursor)


@router.get(
    "/clients/{client_id}/credentials",
    summary="What a client's telephones and router are configured with",
    responses=problems.described(404, 422),
)
async def show_credentials(clients: Clients, response: Response, client_id: ClientId) -> Credentials:
    """Derived for this answer from the master key. Lines and accounts that keep a secret from before Connect have no
    password here, once a change, or `connect systems adopt`, has shown that they do."""
    response.headers["Cache-Control"] = "no-store"
    return await clients.credentials(client_id)
