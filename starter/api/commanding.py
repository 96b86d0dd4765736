"""The headers of a changing request, and how a command is sent and answered (PRODUCT.md section 7.2)."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias, TypeVar

from fastapi import Depends, Header, Query, Request, Response
from pydantic import BaseModel

from starter.clients import refusal_in
from starter.contract.bodies import DryRun, message_of
from starter.directory.once import KeyedRequest, once, once_answered
from starter.directory.reads import DirectoryReads
from starter.web.admission import Place
from starter.web.dependencies import clients_of
from starter.web.keys import HEADER, LONGEST, key_of
from starter.web.preconditions import expected_revision, tag_of_revision
from starter.web.preferences import preferences, seconds_of
from workflows.domain.errors import InvalidField, Refusal
from workflows.wire.grammar import PRINTABLE
from workflows.wire.messages import AnyMessage
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView, CommandAnswer

A = TypeVar("A", bound=BaseModel)
View = TypeVar("View", bound=ClientView)
Wait = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`wait=N`: wait up to N seconds for the effect (30 without a number). `respond-async`: do not wait",
        examples=["wait=30"],
    ),
]
Revision = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="An `ETag` of the client: only while it has this revision. Otherwise 412, and nothing is done",
        examples=['"7"'],
    ),
]
Key = Annotated[
    str | None,
    Header(
        alias=HEADER,
        max_length=LONGEST,
        pattern=PRINTABLE,
        description="The command_id: one command, however often it is sent; its first verdict stands",
        examples=["5f0c2f5e"],
    ),
]
CommandResponse: TypeAlias = CommandAnswer | PreviewView


class KeyOptions:
    """The key of a changing request, and who sent it."""

    conditional = False
    """Whether such a request can depend on the client's revision."""

    def __init__(self, request: Request, key: Key = None) -> None:
        if "If-Match" in request.headers and not self.conditional:
            raise InvalidField("Only a command to a client may have If-Match", "Leave it out", field="If-Match")
        if "If-None-Match" in request.headers:
            raise InvalidField("Only what reads may have If-None-Match", "Leave it out", field="If-None-Match")
        self.clients = clients_of(request)
        self.by: str = request.state.caller.name
        self.key = request.state.key = key_of(self.by, request.headers.getlist(HEADER))
        self.command_id, self.fresh = self.key.command_id, self.key.fresh
        self._route, self._client_id = f"{request.method} {request.url.path}", request.path_params.get("client_id", "")

    async def once(
        self,
        body: BaseModel | None,
        answer: type[A],
        work: Callable[[DirectoryReads], Awaitable[A]],
        again: Callable[[A], Refusal] | None = None,
    ) -> A:
        """The answer of ``work``, or to the same request again its first answer. Raises what ``once`` raises."""
        return await once(self.clients.directory, self._keyed(body), answer, work, again)

    async def once_answered(self, answer: type[A], work: Callable[[], Awaitable[A]]) -> A:
        """As ``once``, for work that may be done again, without a body. Raises what ``once_answered`` raises."""
        return await once_answered(self.clients.directory, self._keyed(None), answer, work)

    def _keyed(self, body: BaseModel | None) -> KeyedRequest:
        text = f"{self._route} {body.model_dump_json(exclude_unset=True) if body else ''}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return KeyedRequest(self.by, self._client_id, self.key.key, self.command_id, digest, self.fresh)


class RequestOptions(KeyOptions):
    """The headers of a changing request that may be waited for, and who sent it."""

    def __init__(self, request: Request, response: Response, key: Key = None, wait: Wait = None) -> None:
        super().__init__(request, key)
        self.response = response
        self._place: Place = request.state.place
        self.preferred = preferences(request.headers.getlist("Prefer") if wait else [])
        self.seconds = seconds_of(self.preferred)

    async def respond(self, view: View) -> View:
        """The client, once it is settled or the time is over. The answer says which preferences were followed, and
        which revision the client has."""
        applied = ["respond-async"] if "respond-async" in self.preferred else []
        if self.seconds:
            with self._place.waiting() as may_wait:
                if may_wait:
                    applied.append(f"wait={self.seconds}")
                    view = await self.clients.wait_settled(view, self.seconds)
        if applied:
            self.response.headers["Preference-Applied"] = ", ".join(applied)
        self.response.headers["ETag"] = tag_of_revision(view)
        return view


class CommandOptions(RequestOptions):
    """The headers and the query of a command to a client."""

    conditional = True

    def __init__(
        self,
        request: Request,
        response: Response,
        key: Key = None,
        wait: Wait = None,
        if_match: Revision = None,
        dry_run: Annotated[DryRun, Query()] = False,
    ) -> None:
        super().__init__(request, response, key, wait)
        self.expected_revision = expected_revision(request.headers.getlist("If-Match") if if_match is not None else [])
        self.dry_run = dry_run

    async def send(self, client_id: str, kind: type[AnyMessage], body: BaseModel, **more: object) -> CommandResponse:
        """The answer to one command, after the wait that was asked for: 200 when all is settled, 202 when accepted.

        ``more`` are the fields in its address. A dry run answers at once what the command would do. Raises the refusal
        that the command would meet.
        """
        if self.expected_revision is not None:
            more["expected_revision"] = self.expected_revision
        message = message_of(kind, body, by=self.by, command_id=self.command_id, **more)
        if self.dry_run:
            preview = await self.clients.preview(client_id, message)
            if refusal := refusal_in(preview):
                raise refusal
            return preview
        answer = await self.respond(await self.clients.command(client_id, message, fresh=self.fresh))
        self.response.status_code = 200 if answer.provisioning.over else 202
        return answer


Keyed = Annotated[KeyOptions, Depends()]
Options = Annotated[RequestOptions, Depends()]
Command = Annotated[CommandOptions, Depends()]
