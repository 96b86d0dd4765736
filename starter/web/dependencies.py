"""The dependencies of routes and pages, from the app that they belong to."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Path, Request

from starter.clients import ClientService
from starter.contract.callers import Caller, Role
from starter.directory.tokens import Tokens
from starter.permitted import CallerService
from starter.web.callers import Callers
from starter.web.openid import OpenId

API = "/api/v1"

ClientId = Annotated[str, Path(description="The client's id", examples=["acme"])]


def caller_of(request: Request) -> Caller:
    """Who calls, as the middleware in front of every route found out."""
    caller: Caller = request.state.caller
    return caller


def callers_of(request: Request) -> Callers:
    """Who finds out whose a token is."""
    callers: Callers = request.app.state.callers
    return callers


def tokens_of(request: Request) -> Tokens:
    """The API tokens."""
    tokens: Tokens = request.app.state.tokens
    return tokens


def longest_token(request: Request) -> timedelta | None:
    """How long a token may be valid that the caller makes; None: for ever. Whom an OpenID provider vouches for may have
    no role there tomorrow."""
    openid: OpenId | None = request.app.state.openid
    return timedelta(days=openid.settings.oidc_token_days) if openid and caller_of(request).openid else None


def clients_of(request: Request) -> ClientService:
    """The service that the app was made with, as far as the caller may use it. Where anybody is answered there is no
    caller, and nothing of a client is said."""
    clients: ClientService = request.app.state.clients
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None or (caller.role is Role.ADMIN and caller.sees_all):
        return clients
    return CallerService(clients, caller)


Clients = Annotated[ClientService, Depends(clients_of)]
