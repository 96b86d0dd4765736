"""The headers of a changing request, and how a command is sent and answered (PRODUCT.md section 7.2)."""

import re
from typing import Annotated, TypeAlias, TypeVar
from uuid import uuid4

from fastapi import Depends, Header, Query, Request, Response
from pydantic import BaseModel

from starter.clients import refusal_in
from starter.contract.bodies import DryRun, message_of
from starter.web.dependencies import clients_of
from workflows.wire.messages import AnyMessage
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView, CommandAnswer

LONGEST_WAIT = 60

View = TypeVar("View", bound=ClientView)
Wait = Annotated[
    str | None,
    Header(alias="Prefer", description="`wait=N`: wait up to N seconds for the effect", examples=["wait=30"]),
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        pattern=r"^[\x20-\x7e]*$",
        description="The command_id: one command, however often it is sent; its first verdict stands",
        examples=["5f0c2f5e"],
    ),
]
CommandResponse: TypeAlias = CommandAnswer | PreviewView


class RequestOptions:
    """The headers of a changing request, and who sent it."""

    def __init__(self, request: Request, response: Response, key: Key = None, wait: Wait = None) -> None:
        self.clients = clients_of(request)
        self.by: str = request.state.caller.name
        self.command_id, self.fresh = key or uuid4().hex, not key
        self.response = response
        self.seconds = seconds_of(wait)

    async def waited(self, view: View) -> View:
        """The client, once it is settled or the time is over."""
        if self.seconds:
            self.response.headers["Preference-Applied"] = f"wait={self.seconds}"
            return await self.clients.settled(view, self.seconds)
        return view


class CommandOptions(RequestOptions):
    """The headers and the query of a command to a client."""

    def __init__(
        self,
        request: Request,
        response: Response,
        key: Key = None,
        wait: Wait = None,
        dry_run: Annotated[DryRun, Query()] = False,
    ) -> None:
        super().__init__(request, response, key, wait)
        self.dry_run = dry_run

    async def send(self, client_id: str, kind: type[AnyMessage], body: BaseModel, **more: object) -> CommandResponse:
        """The answer to one command, after the wait that was asked for: 200 when all is settled, 202 when accepted.

        ``more`` are the fields in its address. A dry run answers at once what the command would do. Raises the refusal
        that the command would meet.
        """
        message = message_of(kind, body, by=self.by, command_id=self.command_id, **more)
        if self.dry_run:
            preview = await self.clients.preview(client_id, message)
            if refusal := refusal_in(preview):
                raise refusal
            return preview
        answer = await self.waited(await self.clients.command(client_id, message, fresh=self.fresh))
        self.response.status_code = 200 if answer.provisioning.over else 202
        return answer


Options = Annotated[RequestOptions, Depends()]
Command = Annotated[CommandOptions, Depends()]


def seconds_of(prefer: str | None) -> int:
    """The ``wait`` of a Prefer header (RFC 7240), at most LONGEST_WAIT; what is not understood is ignored."""
    found = re.search(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\b", prefer or "", re.IGNORECASE)
    return min(int(found[1]), LONGEST_WAIT) if found else 0
