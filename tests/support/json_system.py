"""A small system that speaks our JSON protocol, of any kind, in memory, with faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.support.service import serving

TOKEN = "the token of a JSON system"


@dataclass
class Thing:
    """A line, an account or a service that the system knows."""

    client_id: str | None
    in_service: bool = False
    secret: dict[str, str] | None = None
    secret_version: int | None = None
    alive: int | None = 0
    plan: dict[str, Any] = field(default_factory=dict)

    def has_secret_for(self, client_id: str, version: int) -> bool:
        if self.client_id is None:
            return True  # from before Connect: it keeps its own
        return self.client_id == client_id and (self.secret_version or version) >= version


@dataclass
class JsonSystem:
    """One system. ``answers`` replaces the next answers, ``refused`` names what it will not switch, and why.

    Services, which two clients may call the same, are known as "client/name". ``keyless``: they need no secrets.
    """

    url: str = ""
    keyless: bool = False
    things: dict[str, Thing] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    answers: list[Response] = field(default_factory=list)
    down: bool = False
    silent: asyncio.Event | None = None
    deaf: bool = False  # it says yes, and does nothing
    forgetful: bool = False  # it leaves half of what it is asked for out of its answers

    def change(self, client_id: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Have the things as they are wanted."""
        version, secrets, needs = body["secret_version"], body["secrets"], []
        for name, desired in body[kind].items():
            key = known_as(kind, client_id, name)
            known = self.things.get(key)
            if name in self.refused or self.deaf:
                continue
            if not desired["in_service"]:
                if known and known.client_id in (client_id, None):
                    known.in_service, known.alive = False, 0
                continue
            if not (self.keyless or name in secrets or (known and known.has_secret_for(client_id, version))):
                needs.append(name)
                continue
            thing = self.things.setdefault(key, Thing(client_id))
            thing.client_id, thing.in_service = client_id, True
            thing.plan = {key: desired[key] for key in ("down_mbps", "up_mbps", "vlan", "settings") if key in desired}
            if name in secrets:
                thing.secret, thing.secret_version = secrets[name], version
        return {"refused": {n: why for n, why in self.refused.items() if n in body[kind]}, "needs_secret": needs}

    def look(self, kind: str, client_id: str, names: list[str]) -> dict[str, Any]:
        """What it knows of these."""
        mentioned = names[::2] if self.forgetful else names
        return {"items": [self._item(name, known_as(kind, client_id, name)) for name in mentioned]}

    def _item(self, name: str, key: str) -> dict[str, Any]:
        thing = self.things.get(key)
        if thing is None:
            return {"name": name, "known": False}
        facts = {"client_id": thing.client_id, "alive": thing.alive, "secret_version": thing.secret_version}
        return {"name": name, "in_service": thing.in_service, **facts, **thing.plan}


def known_as(kind: str, client_id: str, name: str) -> str:
    """What the system knows a thing by."""
    return f"{client_id}/{name}" if kind == "services" else name


def app_of(system: JsonSystem) -> FastAPI:
    """The system as a web application."""
    app = FastAPI()

    async def trouble(request: Request) -> Response | None:
        system.requests.append(f"{request.method} {request.url.path}")
        await request.body()  # kept: whoever asked may be gone when the silence ends
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"why": "wrong token"}, 401)
        if system.silent:
            await system.silent.wait()
        if system.down:
            return JSONResponse({"why": "the exchange is being rebooted"}, 503)
        return system.answers.pop(0) if system.answers else None

    @app.put("/v1/clients/{client_id}/{kind}")
    async def change(client_id: str, kind: str, request: Request) -> Response:
        if fault := await trouble(request):
            return fault
        body = await request.json()
        system.bodies.append(body)
        if body["revision"] < system.newest.get(client_id, 0):
            return JSONResponse({"newest": system.newest[client_id]}, 409)
        system.newest[client_id] = body["revision"]
        return JSONResponse(system.change(client_id, kind, body))

    @app.get("/v1/{kind}")
    async def look(kind: str, request: Request) -> Response:
        query = request.query_params
        return await trouble(request) or JSONResponse(
            system.look(kind, query.get("client_id", ""), query.getlist("name"))
        )

    return app


@asynccontextmanager
async def json_system() -> AsyncIterator[JsonSystem]:
    """The system, on a port of its own."""
    system = JsonSystem()
    async with serving(app_of(system)) as url:
        system.url = f"{url}/v1"
        try:
            yield system
        finally:
            if system.silent:
                system.silent.set()
