"""The app without anything behind it: whoever needs a database or Temporal is told at once that it is away."""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

import httpx2
from fastapi import FastAPI

from activities.database import Database
from starter.app import create_app
from starter.clients import ClientService
from starter.contract.callers import Caller
from starter.contract.tokens import new_token
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.errors import TemporalAway
from starter.temporal.gateway import Gateway
from starter.web.admission import AdmissionLimits
from workflows.domain.provisioning.standing import Limits

TOKEN = "the-token-of-the-settings"


class AwayDatabase:
    """A database that does not answer, and counts who asked."""

    tls = False

    def __init__(self) -> None:
        self.queries: list[str] = []

    async def read(self, query: str, *_: object) -> NoReturn:
        self.queries.append(query)
        raise ConnectionRefusedError

    write = read


class AwayGateway:
    """A Temporal that does not answer."""

    def ui_link(self, _: str) -> str:
        return ""

    def __getattr__(self, _: str) -> Any:
        async def away(*_: object) -> NoReturn:
            raise TemporalAway

        return away


class AppOf:
    """The app for these callers, each with a token of its own, and the token of the settings."""

    def __init__(self, callers: Mapping[str, Caller], limits: AdmissionLimits | None = None) -> None:
        self.database = AwayDatabase()
        directory = DirectoryReads(cast(Database, self.database))
        clients = ClientService(cast(Gateway, AwayGateway()), directory, Watch(""), Limits())
        clients.watch.end()  # no stream goes on
        self.app: FastAPI = create_app(clients, TOKEN, limits=limits)
        self.tokens = {name: new_token()[1] for name in callers}
        self.app.state.callers._tokens = self
        self._callers = {self.tokens[name]: caller for name, caller in callers.items()}

    async def caller(self, text: str) -> tuple[Caller, None] | None:
        return (self._callers[text], None) if text in self._callers else None

    async def note_use(self, _: str) -> None: ...

    def calling(self, name: str = "") -> httpx2.AsyncClient:
        """A caller with its token; without a name, with the token of the settings."""
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
            headers={"Authorization": f"Bearer {self.tokens[name] if name else TOKEN}", "Accept": "text/html, */*"},
        )
