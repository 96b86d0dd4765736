"""The dependencies of routes and pages, from the app that they belong to."""

from typing import Annotated

from fastapi import Depends, Path, Request

from starter.clients import ClientService

API = "/api/v1"

ClientId = Annotated[str, Path(description="The client's id", examples=["acme"])]


def clients_of(request: Request) -> ClientService:
    """The service that the app was made with."""
    clients: ClientService = request.app.state.clients
    return clients


Clients = Annotated[ClientService, Depends(clients_of)]
