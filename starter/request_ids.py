"""What the request that is being answered is called: in its answer, in the log, and by all that it has done."""

import re
from contextvars import ContextVar
from uuid import uuid4

from workflows.wire.messages import AnyMessage

HEADER = "X-Request-ID"

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered; empty: it came by none."""

_GOOD = re.compile(r"[A-Za-z0-9._:/+=-]{1,100}")


def id_of(header: str) -> str:
    """The id that a caller gave its request, or a new one where that is none: a word of at most 100 characters."""
    return header if _GOOD.fullmatch(header) else uuid4().hex


def with_request_id(message: AnyMessage) -> AnyMessage:
    """The message, with the id of the request that it comes by."""
    return message.model_copy(update={"request_id": REQUEST_ID.get()})
