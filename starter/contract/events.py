"""Events as HTTP shows them, and which of them a request asks for."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from activities.directory.events import ClientEvent, EventKind
from starter.contract.bodies import Limit, SiteOfList, Text
from workflows.wire.grammar import QueryWhole
from workflows.wire.messages import Model, Strict

FARTHEST = 2**53
"""No number is as high: JSON must not lose count."""

LONGEST_WAIT = 60


class EventPage(Model):
    """Events in their order. Ask again with ``after``: ``next``; at once while that is below ``last``, the newest
    number there is, since a filter may leave nothing of a page."""

    items: list[ClientEvent]
    next: int
    last: int


def _wait(seconds: int) -> int:
    return min(seconds, LONGEST_WAIT)


class EventFilter(Strict):
    """Which events are asked for, after which one, and how long to wait for one."""

    after: Annotated[QueryWhole, Field(ge=0, le=FARTHEST)] | None = Field(
        None, description="A `seq`, or `next` of the last page; left out: from the oldest that is kept", examples=[4711]
    )
    kind: EventKind | None = None
    client: Text | None = Field(None, max_length=200, description="A client's id", examples=["acme"])
    site: SiteOfList = None
    limit: Limit = 100
    wait: Annotated[QueryWhole, Field(ge=0), AfterValidator(_wait)] = Field(
        0, description=f"Seconds to wait for an event where there is none yet, at most {LONGEST_WAIT}"
    )


def as_server_sent(event: ClientEvent) -> str:
    """The event in a stream of server-sent events (HTML, section 9.2)."""
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"


STREAM: dict[str, Any] = {
    "text/event-stream": {
        "schema": {
            "type": "string",
            "description": "`id` is the seq, `event` the kind, `data` a ClientEvent; an `id` alone: read up to there",
        }
    }
}
