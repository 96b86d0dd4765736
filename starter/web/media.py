"""What a body is sent as, and what an answer may be (RFC 9110 sections 12.5.1 and 15.5.16)."""

from starlette.datastructures import Headers
from starlette.types import Scope

from starter.contract.answers import Problem
from starter.web.problems import problem

JSON, EVENT_STREAM = "application/json", "text/event-stream"
ANSWERS = (JSON, "application/problem+json", EVENT_STREAM)
"""What the API answers; an event stream where it has one."""


def media_refused(scope: Scope) -> Problem | None:
    """Why a request cannot be read (415), or not be answered as its caller wants (406); None: it can."""
    headers = Headers(scope=scope)
    sends = headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers
    if sends and not _is_json(headers.getlist("Content-Type")):
        return problem(415, f"A body is sent as {JSON}, in UTF-8. Say so in Content-Type.")
    if sends and headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        return problem(415, "A body is sent as it is. Leave Content-Encoding, and the compression, out.")
    wanted = accepted(headers.getlist("Accept"))
    if wanted and not any(_covers(one, answer) for one in wanted for answer in ANSWERS):
        return problem(406, f"Answers are {JSON}, and problems {ANSWERS[1]}. Have Accept allow them.")
    return None


def _is_json(kinds: list[str]) -> bool:
    """Whether the headers say JSON, once, and no other character set than JSON's own (RFC 8259 section 8.1)."""
    kind, *parameters = (part.strip().lower() for part in ",".join(kinds).split(";"))
    sets = (value.strip('" ') for name, _, value in (it.partition("=") for it in parameters) if name == "charset")
    return kind == JSON and all(it in ("utf-8", "utf8") for it in sets)


def accepted(headers: list[str]) -> list[str]:
    """The kinds of answers that are wanted, but for those with a weight of nought."""
    found = []
    for one in ",".join(headers).split(","):
        kind, *parameters = (part.strip().lower() for part in one.split(";"))
        weights = [it[2:].strip() for it in parameters if it.startswith("q=")]
        if kind and not any(weight.strip("0.") == "" for weight in weights):
            found.append(kind)
    return found


def _covers(media_range: str, answer: str) -> bool:
    return media_range in ("*/*", "*", answer, f"{answer.partition('/')[0]}/*")
