"""What is planned as a calendar to subscribe to (iCalendar, RFC 5545), at an address that is its own secret."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, UUID, uuid5

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from starter.console.plans import plan_word, touched
from starter.console.rendering import reads_of
from starter.directory.console import Plan
from starter.web.dependencies import Clients
from workflows.domain.dates import LAST_DAY, first_instant

FEED = "/upcoming.ics"
LONGEST_LINE = 75  # octets, the line's end not counted (RFC 5545, section 3.1)
FOREVER = first_instant(LAST_DAY, "UTC")
_ALL = ""

# A calendar must hold something (RFC 5545, section 3.6): with nothing planned, the definition of its own time.
_NOTHING = (
    "BEGIN:VTIMEZONE",
    "TZID:Etc/UTC",
    "BEGIN:STANDARD",
    "DTSTART:19700101T000000",
    "TZOFFSETFROM:+0000",
    "TZOFFSETTO:+0000",
    "END:STANDARD",
    "END:VTIMEZONE",
)

calendar_feed = APIRouter(include_in_schema=False)


def calendar_key(token: str, site: str = _ALL) -> str:
    """What opens the calendar of a site, or of all; as long as the token stays the same."""
    digest = hmac.digest(token.encode(), f"calendar\0{site}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:18]).decode()


def feed_path(token: str, site: str = _ALL) -> str:
    """Where the calendar of a site lies, below the address of the service."""
    said = {"site": site, "key": calendar_key(token, site)} if site else {"key": calendar_key(token)}
    return f"{FEED}?{urlencode(said)}"


@calendar_feed.api_route(FEED, methods=["GET", "HEAD"])
async def show_feed(request: Request, clients: Clients, key: str = "", site: str = _ALL) -> Response:
    """Everything planned. Whoever has the address may read it; whoever has not learns nothing."""
    token: str = request.app.state.token
    if not hmac.compare_digest(key.encode(), calendar_key(token, site).encode()):
        raise HTTPException(404)
    name = "Connect"
    if site:
        known = await clients.directory.site(site)
        if known is None:
            raise HTTPException(404)
        name = f"Connect: {known.name}"
    plans = await reads_of(request).plans(site or None, datetime.now(UTC), FOREVER)
    written = calendar(
        name, plans, request.app.state.names.public_url, uuid5(NAMESPACE_URL, calendar_key(token))
    ).encode()
    tag = f'"{hashlib.sha256(written).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _has(request.headers.get("If-None-Match", ""), tag):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = 'inline; filename="upcoming.ics"'
    return Response(written, media_type="text/calendar; charset=utf-8", headers=headers)


def calendar(name: str, plans: Iterable[Plan], home: str, house: UUID) -> str:
    """The calendar as a file. ``home`` is the address of the service, ``house`` tells its events from others'.

    The same plans make the same file, octet for octet.
    """
    events = [line for plan in plans for line in _event(plan, home, house)]
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//Connect//Upcoming {version('connect')}//EN",
        "CALSCALE:GREGORIAN",
        f"NAME:{escaped(name)}",
        f"X-WR-CALNAME:{escaped(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
        *(events or _NOTHING),
        "END:VCALENDAR",
    ]
    return "".join(f"{part}\r\n" for line in lines for part in folded(line))


def escaped(text: str) -> str:
    """A value of type TEXT (RFC 5545, section 3.3.11). Control characters have no place in one."""
    marked = "".join(f"\\{character}" if character in "\\;," else character for character in text)
    lines = marked.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return "".join(character for character in lines if character >= " " and character != "\x7f")


def folded(line: str) -> Iterator[str]:
    """A line in pieces of at most 75 octets, no character cut; all but the first begin with a space."""
    piece, size = "", 0
    for character in line:
        octets = len(character.encode())
        if size + octets > LONGEST_LINE:
            yield piece
            piece, size = " ", 1
        piece, size = piece + character, size + octets
    yield piece


def _event(plan: Plan, home: str, house: UUID) -> Iterator[str]:
    """One planned change. A client has at most one of a kind: planned anew, it is the same event at another time."""
    changed = _utc(plan.updated_at)
    told = [
        plan.local_time,
        touched(plan),
        f"Reason: {plan.reason}" if plan.reason else "",
        f"By: {plan.by}" if plan.by else "",
    ]
    yield "BEGIN:VEVENT"
    yield f"UID:{uuid5(house, f'{plan.client_id}/{plan.kind}')}"
    yield f"DTSTAMP:{changed}"
    yield f"LAST-MODIFIED:{changed}"
    yield f"SEQUENCE:{plan.revision}"
    yield f"DTSTART:{_utc(plan.at)}"
    yield f"SUMMARY:{escaped(f'{plan_word(plan).capitalize()}: {plan.name}')}"
    yield f"DESCRIPTION:{escaped(chr(10).join(line for line in told if line))}"
    yield f"LOCATION:{escaped(plan.site_name)}"
    yield f"URL:{home}/clients/{plan.client_id}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _has(asked: str, tag: str) -> bool:
    """Whether If-None-Match names this version (RFC 9110, section 13.1.2)."""
    return asked.strip() == "*" or tag in [given.strip().removeprefix("W/") for given in asked.split(",")]
