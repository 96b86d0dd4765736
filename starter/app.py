"""The app: the API's routes and the console's pages behind one door, with the middleware in front of both."""

from importlib.metadata import version
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan

from starter.api import codec, examples, health
from starter.api.reference import reference
from starter.api.routes import router as api
from starter.clients import ClientService
from starter.console import errors
from starter.console.auth.sessions import Sessions
from starter.console.calendar_feed import calendar_feed
from starter.console.guard import Guard
from starter.console.live import live
from starter.console.pages.attention import attention
from starter.console.pages.buildings import site_pages
from starter.console.pages.cancelling import cancelling
from starter.console.pages.client import client_pages
from starter.console.pages.clients import client_list
from starter.console.pages.credentials import credentials_pages
from starter.console.pages.edit import edit_pages
from starter.console.pages.erasing import erasing_pages
from starter.console.pages.long_lists import long_list_pages
from starter.console.pages.matters import matter_pages
from starter.console.pages.new import new_pages
from starter.console.pages.notes import note_pages
from starter.console.pages.openid import openid_pages
from starter.console.pages.selected import selected_clients
from starter.console.pages.sign_in import sign_in_pages
from starter.console.pages.status import status_pages
from starter.console.pages.system_actions import system_actions
from starter.console.pages.tokens import token_pages
from starter.console.pages.upcoming import upcoming
from starter.console.pages.webhooks import webhook_pages
from starter.contract.answers import Problem
from starter.directory.console import ConsoleReads
from starter.directory.tokens import Tokens
from starter.erasing import Eraser
from starter.web.access import AccessLog
from starter.web.admission import Admission, AdmissionLimits
from starter.web.callers import Callers
from starter.web.gate import Gate
from starter.web.guesses import Guesses, GuessLimit
from starter.web.names import Names
from starter.web.openid import OpenId
from starter.web.problems import answers
from starter.web.roles import authorize
from starter.web.security import GUARDED, BodyLimit, Security
from starter.web.stopping import Stopping

ABOUT = """The client lifecycle service of a serviced-office operator.

Send a token as `Authorization: Bearer …`; its role and its sites say what it may do and see (403, 404).
`Idempotency-Key` makes a request one command, however often and however late it is sent: its first verdict stands for
as long as the client's history is kept. What was obeyed is answered so again, with the client as it is now; what was
refused stays refused; another request under the key is refused (422). `If-Match` with the `ETag` of a client has a
command done only if the client has this revision still (412 otherwise). `Prefer: wait=N` waits up to N seconds (at most
60) for the effect: 200 when the systems are proven to do it, 202 when it is accepted. `?dry_run=true` on a command
answers what it would do, and does nothing. `X-Request-ID` names a request in its answer, in events and in the log: the
caller's own word, or one of ours. Errors are problem documents (RFC 9457) that say what is wrong, where, and
what to do instead."""


class Api(FastAPI):
    """FastAPI, with what it does not find by itself in the OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            schemas["Problem"] = Problem.model_json_schema()
            for path, operations in document["paths"].items():
                for operation in operations.values() if path.startswith(GUARDED) else ():
                    _describe_gates(operation)
            for name, example in examples.ANSWERS.items():
                schemas[name]["examples"] = [example]
        return super().openapi()


def _describe_gates(operation: dict[str, Any]) -> None:
    """Answers of the middleware, which no route knows of."""
    statuses = (406, 415, 429) if "requestBody" in operation else (406, 429)
    gates = {f"{status}": answer for status, answer in answers(*statuses).items()}
    operation["responses"] = dict(sorted({**gates, **operation["responses"]}.items()))


def _route_name(route: APIRoute) -> str:
    return route.name


def create_app(
    clients: ClientService,
    token: str,
    lifespan: Lifespan[FastAPI] | None = None,
    names: Names | None = None,
    limits: AdmissionLimits | None = None,
    eraser: Eraser | None = None,
    openid: OpenId | None = None,
) -> FastAPI:
    """The API and the console, for whoever holds this token, an API token or one of this OpenID provider. They answer
    to these names alone."""
    names = names or Names()
    app = Api(
        title="Connect",
        version=version("connect"),
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would repeat the Host header in Location
        lifespan=lifespan,
        dependencies=[Depends(authorize)],
        generate_unique_id_function=_route_name,
    )
    app.state.clients, app.state.eraser = clients, eraser or Eraser(clients)
    app.state.sessions = Sessions(clients.directory.database, token)
    app.state.tokens = Tokens(clients.directory.database)
    app.state.callers = callers = Callers(app.state.tokens, token, openid=openid)
    app.state.guesses, app.state.token, app.state.names = Guesses(), token, names
    app.state.openid, app.state.sign_ins = openid, Guesses(event="sign_ins_guessed")
    app.state.reads = ConsoleReads(clients.directory.database)
    for routes in (api, health.router, codec.router, reference):
        app.include_router(routes)
    for pages in (
        sign_in_pages,
        openid_pages,
        live,
        client_list,
        selected_clients,
        new_pages,
        edit_pages,
        client_pages,
        long_list_pages,
        status_pages,
        system_actions,
        cancelling,
        note_pages,
        site_pages,
        credentials_pages,
        erasing_pages,
        token_pages,
        webhook_pages,
        upcoming,
        calendar_feed,
        attention,
        matter_pages,
    ):
        app.include_router(pages)
    app.mount("/static", StaticFiles(packages=[("starter.console", "static")]))
    errors.install(app)
    app.add_middleware(Gate, admission=Admission(limits))
    app.add_middleware(Guard, sessions=app.state.sessions, callers=callers)
    app.add_middleware(BodyLimit)
    app.add_middleware(Stopping)
    app.add_middleware(Security, callers=callers, names=names)
    app.add_middleware(GuessLimit, guesses=app.state.guesses)
    app.add_middleware(AccessLog)
    return app
