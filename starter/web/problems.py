"""Every error as a problem document (RFC 9457): the table of HTTP codes, and sentences for malformed requests."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from starter.contract.answers import Problem
from starter.errors import (
    EventsForgotten,
    InvalidToken,
    Malfunction,
    NoSuchClient,
    NoSuchMatter,
    NoSuchPage,
    NoSuchSite,
    NoSuchToken,
    NoSuchWebhook,
    NotAllowed,
    NotDecided,
    StarterError,
    TemporalRefused,
    WorkflowMissing,
)
from starter.web.keys import RequestKey
from workflows.domain.errors import (
    ChangedMeanwhile,
    CommandIdReused,
    InvalidField,
    NothingPlanned,
    PlanOfAnother,
    Refusal,
    TooManyWaiting,
)
from workflows.wire.grammar import sentence

# An error that is not here has the code of its nearest base class.
CODES: dict[type[BaseException], int] = {
    Refusal: 409,
    NothingPlanned: 404,
    PlanOfAnother: 403,
    ChangedMeanwhile: 412,
    CommandIdReused: 422,  # as draft-ietf-httpapi-idempotency-key-header-07 has it, section 2.7
    TooManyWaiting: 503,
    InvalidField: 422,
    StarterError: 503,
    EventsForgotten: 410,
    InvalidToken: 401,
    NoSuchClient: 404,
    NoSuchMatter: 404,
    NoSuchPage: 422,
    NoSuchSite: 404,
    NoSuchToken: 404,
    NotAllowed: 403,
    NoSuchWebhook: 404,
    WorkflowMissing: 409,
    TemporalRefused: 500,
    Malfunction: 500,
    BaseException: 500,
}
TITLES = {
    401: "Not signed in",
    403: "Not allowed",
    404: "No such thing",
    405: "Wrong method",
    406: "Not such an answer",
    409: "Not allowed now",
    410: "No longer kept",
    412: "Changed meanwhile",
    415: "Not such a body",
    421: "Not our name",
    422: "Malformed request",
    429: "Too many requests",
    500: "Connect made a mistake",
    503: "Not available",
}
HEADERS = {"command_id": "Idempotency-Key", "expected_revision": "If-Match"}
"""What fields of a message are over HTTP."""
MALFORMED = {400, 413}  # codes of frameworks; ours is 422 (PRODUCT.md section 7.2)
RETRY_AFTER = 5
MOST_ERRORS = 20
OWN_WORDS = ("number_not_valid", "text_not_storable", "never_null", "said_twice")
"""The kinds of errors of starter/contract, whose message is the whole sentence."""
LONGEST_NAME, LONGEST_SENTENCE = 100, 400  # characters of a field and of what is wrong with it


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = "application/problem+json"

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        waiting = {"Retry-After": str(RETRY_AFTER)} if problem.status == 503 else {}
        super().__init__(problem.model_dump(exclude_none=True), problem.status, {**waiting, **(headers or {})})


def problem(status: int, detail: str, kind: str = "", **facts: Any) -> Problem:
    """A problem document. Without a kind, its title is that of the status."""
    title = kind or TITLES.get(status, "Error")
    return Problem(type=f"/docs#{_anchor(title)}", title=title, status=status, detail=_encodable(detail), **facts)


def code_of(kind: type[BaseException]) -> int:
    """The HTTP code of an error: that of its nearest base class in the table."""
    return next(CODES[ancestor] for ancestor in kind.__mro__ if ancestor in CODES)


def problem_of(error: Exception) -> Problem:
    """The problem document of an error. That of a refusal has what is allowed instead."""
    facts: dict[str, Any] = {}
    match error:
        case Refusal(situation=situation):
            facts = {"field": HEADERS.get(error.field or "", error.field)}
            if situation.status:
                facts |= {"client_status": situation.status, "planned": [*situation.planned]}
                facts |= {"allowed": [*situation.allowed]}
        case NotDecided():
            facts = {"client_id": error.client_id, "command_id": error.command_id}
        case StarterError():
            pass
        case RequestValidationError():
            return _of_invalid(list(error.errors()))
        case HTTPException(status_code=404):
            return problem(404, "There is nothing at this address. /openapi.json lists what there is.")
        case HTTPException(status_code=405, headers=headers):
            takes = (headers or {}).get("Allow", "GET")
            return problem(405, f"This address takes another method. Send one of these: {takes}.")
        case HTTPException():
            return problem(422 if error.status_code in MALFORMED else error.status_code, f"{error.detail}.")
        case _:
            return problem(500, "This is Connect's mistake, not yours. Its log says more.")
    return problem(code_of(type(error)), str(error), _title(type(error)), **facts)


def _of_invalid(errors: list[Any]) -> Problem:
    """A malformed request: the first wrong field in the detail, and the first ones in ``errors``, with how many more.

    Input that it quotes is shortened, so that an answer is never much longer than its request.
    """
    fields = [
        {"field": _field(error), "detail": _shortened(_encodable(_sentence(error)), LONGEST_SENTENCE)}
        for error in errors[:MOST_ERRORS]
    ]
    first = fields[0]
    if (more := len(errors) - MOST_ERRORS) > 0:
        fields.append({"field": "", "detail": f"There are {more:,} more errors. Correct these first"})
    return problem(
        422,
        f"{first['detail']}.",
        "Invalid field" if first["field"] else "",
        field=first["field"] or None,
        errors=fields if len(fields) > 1 else None,
    )


def response_to(error: Exception, key: RequestKey | None = None) -> ProblemResponse:
    """The answer to a request that met an error, which its caller knows by this key."""
    found = problem_of(error)
    if key and found.detail:
        in_its_words = {
            "detail": key.by_key(found.detail),
            "command_id": found.command_id and key.by_key(found.command_id),
        }
        found = found.model_copy(update=in_its_words)
    return ProblemResponse(found, getattr(error, "headers", None))


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers with these codes, for the OpenAPI document."""
    return {status: _answer(status) for status in sorted({*statuses, 401, 403, 422, 503})}


def _answer(status: int) -> dict[str, Any]:
    example = problem(status, _EXAMPLES[status]).model_dump(exclude_none=True)
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {ProblemResponse.media_type: {"schema": schema, "example": example}}
    return {"description": TITLES[status], "content": content}


_EXAMPLES = {
    410: "Not every event after 17 is kept any more: those up to 4710 are gone. Read every client anew, and go on with "
    "the oldest that is kept: leave after out.",
    401: "Send the token: Authorization: Bearer …",
    403: "Nothing was done: crm has the role viewer. To edit a site takes the role operator or admin.",
    404: "There is no client acme. Look for it in the list of clients.",
    409: "A suspended client cannot be asked to activate. The client is suspended. Unsuspend it instead.",
    406: "Answers are application/json, and problems application/problem+json. Have Accept allow them.",
    415: "A body is sent as application/json. Say so in Content-Type.",
    429: "There are too many requests now, or of this token. Nothing was done. Send it again after Retry-After.",
    412: "The client has revision 8, and this is for revision 7. Look at the client as it is now.",
    422: "end_date is not a date. Write it as 2027-02-28.",
    503: "Temporal cannot be reached: no connection. Try again shortly.",
}


def kinds() -> list[dict[str, Any]]:
    """Every kind of problem that a request can meet, for the reference."""
    named = [(code_of(kind), _title(kind), inspect.getdoc(kind) or "") for kind in _below(Refusal, StarterError)]
    by_status = [(status, title, "") for status, title in TITLES.items()]
    return [
        {"status": status, "title": title, "anchor": _anchor(title), "meaning": meaning}
        for status, title, meaning in sorted({*named, *by_status})
    ]


def _below(*kinds: type[BaseException]) -> list[type[BaseException]]:
    return [found for kind in kinds for below in kind.__subclasses__() for found in (below, *_below(below))]


def _title(kind: type[BaseException]) -> str:
    """``BillingRefTaken`` as words: Billing ref taken."""
    return re.sub(r"(?<=.)([A-Z])", r" \1", kind.__name__).capitalize()


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _encodable(text: str) -> str:
    """The text without characters that cannot be encoded."""
    return text.encode(errors="replace").decode()


def _field(error: Mapping[str, Any]) -> str:
    """The path of a wrong field: ``lines.0.number``. pydantic's names of alternatives are left out."""
    where = [str(part) for part in error["loc"][1:]]
    if error["type"] == "json_invalid":
        return ""
    inside = [part for part in where[:-1] if re.fullmatch(r"[a-z0-9_]+", part)]
    own = where[-1:] if where and ("'" not in where[-1] and where[-1] != "InternetGiven") else []
    return _shortened(_encodable(".".join([*inside, *own])), LONGEST_NAME)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _sentence(error: Mapping[str, Any]) -> str:
    field = _field(error) or "The body"
    if error["type"] in OWN_WORDS:
        return str(error["msg"])
    if error["type"] == "extra_forbidden" and error["loc"][0] == "query":
        return f"There is no parameter {field}. Leave it out, or correct its name"
    if error["type"] == "too_long" and isinstance(error["input"], str):
        error = {**error, "type": "string_too_long"}
    return sentence(field, error)
