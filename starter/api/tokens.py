"""The routes about API tokens: for admins alone."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response

from starter.api import examples
from starter.api.commanding import Keyed
from starter.contract.tokens import NewToken, Token, TokenGiven, TokenPage
from starter.directory.tokens import Tokens
from starter.errors import ShownOnce
from starter.web import problems
from starter.web.dependencies import callers_of, longest_token, tokens_of
from starter.web.strict import StrictRoute

TokenId = Annotated[str, Path(max_length=100, examples=["k3vbq2m7ae"])]

router = APIRouter(tags=["tokens"], route_class=StrictRoute)


@router.get("/tokens", summary="Every API token", responses=problems.answers())
async def list_tokens(request: Request) -> TokenPage:
    """Those that are not revoked, by name, with their last use; without their secrets, which nobody has."""
    return await tokens_of(request).every()


@router.post("/tokens", summary="Create an API token", status_code=201, responses=problems.answers(409, 422))
async def create_token(
    options: Keyed,
    request: Request,
    response: Response,
    token: Annotated[TokenGiven, Body(openapi_examples=examples.of_body(TokenGiven))],
) -> NewToken:
    """The answer has the whole token, which is shown this once. If the answer is lost, revoke it and create another.

    - `viewer` reads
    - `service` reads; it suspends and unsuspends in the name of its own `sources`, and cancels what it planned so
    - `operator` does all to clients and their sites, but for reading credentials
    - `admin` does everything

    Who comes by an OpenID provider must say when it ends (`CONNECT_OIDC_TOKEN_DAYS`)."""
    response.headers["Cache-Control"] = "no-store"
    by, longest = options.by, longest_token(request)
    return await options.once(
        token, NewToken, lambda directory: Tokens(directory.database).create(token, by, longest), _shown_once
    )


@router.delete("/tokens/{token_id}", summary="Revoke an API token", responses=problems.answers(404, 422))
async def revoke_token(options: Keyed, request: Request, token_id: TokenId) -> Token:
    """It is no longer valid: here at once, in other processes within five seconds. Sessions begun with it end, too.
    It can never be used again; its name may be given anew."""
    revoked = await options.once(None, Token, lambda directory: Tokens(directory.database).revoke(token_id, options.by))
    callers_of(request).forget(token_id)
    return revoked


def _shown_once(token: NewToken) -> ShownOnce:
    return ShownOnce(
        f"This request has created token {token.token_id}, whose secret was shown then and is kept nowhere",
        "If the answer was lost, revoke that token, and create another under a new key",
    )
