"""What is planned as a calendar to subscribe to (iCalendar, RFC 5545), at an address that is its own secret."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Annotated
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, UUID, uuid5

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from icalendar import Calendar, Event, Timezone, vText
from starlette.exceptions import HTTPException

from starter.console.labels import moment_word
from starter.console.plans import FOREVER, subjects_text
from starter.console.rendering import reads_of
from starter.contract.callers import Caller
from starter.directory.console import Plan
from starter.web.callers import ADMIN
from starter.web.dependencies import clients_of, tokens_of
from starter.wording import plan_word
from workflows.domain.systems import spoken

FEED = "/upcoming.ics"
_ALL = ""

calendar_feed = APIRouter(include_in_schema=False)


def calendar_key(token: str, site: str = _ALL, token_id: str = "") -> str:
    """What opens the calendar of a site, or of all that a caller sees; as long as the token of the settings stays the
    same. ``token_id``: for whom an API token's it is; it is valid as long as that one is."""
    text = json.dumps(["calendar", site, token_id]) if token_id else f"calendar\0{site}"  # no two have the same
    digest = hmac.digest(token.encode(), text.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:18]).decode()


def feed_path(token: str, site: str = _ALL, token_id: str = "") -> str:
    """Where the calendar of a site lies, below the address of the service."""
    named = {"site": site, "token": token_id, "key": calendar_key(token, site, token_id)}
    return f"{FEED}?{urlencode({name: value for name, value in named.items() if value})}"


@calendar_feed.api_route(FEED, methods=["GET", "HEAD"])
async def show_feed(
    request: Request, key: str = "", site: str = _ALL, token_id: Annotated[str, Query(alias="token")] = ""
) -> Response:
    """Everything planned. Whoever has the address may read it; whoever has not learns nothing."""
    token: str = request.app.state.token
    if not hmac.compare_digest(key.encode(), calendar_key(token, site, token_id).encode()):
        raise HTTPException(404)
    caller = await tokens_of(request).living(token_id) if token_id else Caller(ADMIN)
    if caller is None:
        raise HTTPException(404)
    request.state.caller = caller
    clients = clients_of(request)
    known = await clients.directory.site(site) if site else None
    if site and known is None:
        raise HTTPException(404)
    name = f"Connect: {known.name}" if known else "Connect"
    plans = await reads_of(request).plans(site or None, datetime.now(UTC), FOREVER)
    ours = uuid5(NAMESPACE_URL, calendar_key(token))
    file = calendar(name, plans, request.app.state.names.public_url, ours, clients.catalogue.phrase).encode()
    tag = f'"{hashlib.sha256(file).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _meets(request.headers.get("If-None-Match", ""), tag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = 'inline; filename="upcoming.ics"'
    return Response(file, media_type="text/calendar; charset=utf-8", headers=headers)


def calendar(
    name: str, plans: Iterable[Plan], home: str, namespace: UUID, phrase: Callable[[str], str] = spoken
) -> str:
    """The calendar as a file. ``home`` is the address of the service, the events' ids are of this ``namespace``.
    ``phrase`` names a kind of service.

    The same plans make the same file, octet for octet.
    """
    file = Calendar()
    file.add("version", "2.0")
    file.add("prodid", f"-//Connect//Upcoming {version('connect')}//EN")
    file.add("calscale", "GREGORIAN")
    file.add("name", _text(name))
    file.add("x-wr-calname", _text(name))
    file.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    file.add("x-published-ttl", "PT1H")
    for plan in plans:
        file.add_component(_event(plan, home, namespace, phrase))
    if not file.subcomponents:  # a calendar must hold something (RFC 5545, section 3.6): here, the time it is in
        file.add_component(Timezone.from_tzid("Etc/UTC"))
    written: bytes = file.to_ical(sorted=False)
    return written.decode()


def _event(plan: Plan, home: str, namespace: UUID, phrase: Callable[[str], str]) -> Event:
    """One planned change, or an end date, which lasts all day. A client has at most one of a kind: planned anew, it is
    the same event at another time."""
    moment = f"{moment_word(plan.at, plan.timezone)} {plan.timezone}"
    when = "Due to move out: nothing is switched" if plan.day else moment
    reason, by = plan.reason and f"Reason: {plan.reason}", plan.by and f"By: {plan.by}"
    event = Event()
    event.add("uid", str(uuid5(namespace, f"{plan.client_id}/{plan.kind}")))
    event.add("dtstamp", plan.updated_at.astimezone(UTC))
    event.add("last-modified", plan.updated_at.astimezone(UTC))
    event.add("sequence", plan.revision)
    event.add("dtstart", plan.day or plan.at.astimezone(UTC))
    event.add("summary", _text(f"{plan_word(plan.kind, plan.details).capitalize()}: {plan.name}"))
    event.add("description", _text("\n".join(filter(None, (when, subjects_text(plan, phrase), reason, by)))))
    event.add("location", _text(plan.site_name))
    event.add("url", f"{home}/clients/{plan.client_id}")
    event.add("transp", "TRANSPARENT")
    return event


def _text(text: str) -> vText:
    """A text without control characters, which have no place in a calendar (RFC 5545, section 3.3.11)."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return vText("".join(letter for letter in lines if letter == "\n" or (letter >= " " and letter != "\x7f")))


def _meets(condition: str, tag: str) -> bool:
    """Whether If-None-Match names this version (RFC 9110, section 13.1.2)."""
    return condition.strip() == "*" or tag in [name.strip().removeprefix("W/") for name in condition.split(",")]
