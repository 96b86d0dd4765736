"""The app: the API's routes and the console's pages behind one door, with the middleware in front of both."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Lifespan

from starter.api import examples, health
from starter.api.reference import reference
from starter.api.routes import router as api
from starter.clients import ClientService
from starter.console import errors
from starter.console.auth.sessions import Sessions
from starter.console.auth.throttle import Throttle
from starter.console.calendar_feed import calendar_feed
from starter.console.guard import Guard
from starter.console.live import live
from starter.console.pages.attention import attention
from starter.console.pages.client import client_pages
from starter.console.pages.clients import client_list
from starter.console.pages.edit import edit_pages
from starter.console.pages.new import new_pages
from starter.console.pages.sign_in import sign_in_pages
from starter.console.pages.status import status_pages
from starter.console.pages.system_actions import system_actions
from starter.console.pages.upcoming import upcoming
from starter.contract.answers import Problem
from starter.directory.console import ConsoleReads
from starter.web.access import AccessLog
from starter.web.names import Names
from starter.web.security import BodyLimit, Security

ABOUT = """The client lifecycle service of a serviced-office operator.

Send the token as `Authorization: Bearer …`. `Idempotency-Key` makes a request one command, however often and however
late it is sent: its first verdict stands for as long as the client's history is kept. What was obeyed is answered so
again, with the client as it is now; what was refused stays refused; another request under the key is refused (409).
`Prefer: wait=N` waits up to N seconds (at most 60) for the effect: 200 when the systems are proven to do it, 202 when
it is accepted. `?dry_run=true` on a command answers what it would do, and does nothing. Errors are problem documents
(RFC 9457) that say what is wrong, where, and what to do instead."""


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


def create_app(
    clients: ClientService, token: str, lifespan: Lifespan[FastAPI] | None = None, names: Names | None = None
) -> FastAPI:
    """The API and the console, for whoever holds the token. They answer to these names alone."""
    names = names or Names()
    app = Api(
        title="Connect",
        version=version("connect"),
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would repeat the Host header in Location
        lifespan=lifespan,
        generate_unique_id_function=_route_name,
    )
    app.state.clients = clients
    app.state.sessions = Sessions(clients.directory.database, token)
    app.state.throttle, app.state.token, app.state.names = Throttle(), token, names
    app.state.reads = ConsoleReads(clients.directory.database)
    for routes in (api, health.router, reference):
        app.include_router(routes)
    for pages in (
        sign_in_pages,
        live,
        client_list,
        new_pages,
        edit_pages,
        client_pages,
        status_pages,
        system_actions,
        upcoming,
        calendar_feed,
        attention,
    ):
        app.include_router(pages)
    app.mount("/static", StaticFiles(packages=[("starter.console", "static")]))
    errors.install(app)
    app.add_middleware(Guard, sessions=app.state.sessions, token=token)
    app.add_middleware(BodyLimit)
    app.add_middleware(Security, token=token, names=names)
    app.add_middleware(AccessLog)
    return app
