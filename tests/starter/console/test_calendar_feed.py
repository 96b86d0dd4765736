"""Claims about the calendar that one subscribes to: what RFC 5545 asks of the file, and who may have it."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from starter.console.calendar_feed import FEED, calendar, calendar_key, feed_path
from starter.directory.console import END_DATE, Plan
from starter.web.names import Names
from tests.support.service import TOKEN, Service, unique
from tests.support.waiting import http_client

NAME = "Bar, Baz; \\ <b>Søns</b>"
HOUSE = UUID(int=7)
AT = datetime(2027, 3, 31, 23, 0, tzinfo=UTC)
PLAN = Plan(
    *("acme", "Acme Ltd", "thames", "Thames House", "Europe/London", "c-1", "decommission"),
    *(AT, "2027-04-01 00:00 Europe/London", "contract\nnot renewed; see 7", "ann"),
    *({}, 4, AT),
)

# RFC 5545, section 3.1: name *(";" param "=" value) ":" value
_LINE = re.compile(r'^([A-Z-]+)((?:;[A-Z-]+=(?:"[^"]*"|[^";:,]*))*):(.*)$')
_UTC = re.compile(r"^\d{8}T\d{6}Z$")
_DAY = re.compile(r"^\d{8}$")
ONCE = {"UID", "DTSTAMP", "DTSTART", "SUMMARY", "DESCRIPTION", "URL", "SEQUENCE", "LAST-MODIFIED", "LOCATION"}

Properties = dict[str, str]


def parse(text: str) -> tuple[Properties, list[Properties]]:
    """The calendar's own properties and those of its events, of a file that keeps every rule that we know of."""
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", ""), "lines end with CRLF, and nothing else does"
    pieces = text.removesuffix("\r\n").split("\r\n")
    lines: list[str] = []
    for piece in pieces:
        assert 0 < len(piece.encode()) <= 75, piece
        if piece.startswith(" "):
            lines[-1] += piece[1:]
        else:
            lines.append(piece)
    own: Properties = {}
    events: list[Properties] = []
    inside: list[str] = []
    for line in lines:
        found = _LINE.match(line)
        assert found, line
        name, _, value = found.groups()
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value), line
        if name == "BEGIN":
            inside.append(value)
            if value == "VEVENT":
                events.append({})
        elif name == "END":
            assert inside.pop() == value
        elif inside == ["VCALENDAR"]:
            assert name not in own, line
            own[name] = value
        elif inside[-1] == "VEVENT":
            assert name not in events[-1], line
            events[-1][name] = value
    assert (inside, lines[0], lines[-1]) == ([], "BEGIN:VCALENDAR", "END:VCALENDAR")
    starts = [line for line in lines if line.startswith("DTSTART")]
    assert own["VERSION"] == "2.0"
    assert own["PRODID"]
    assert len([line for line in lines if line.startswith("BEGIN:")]) > 1, "a calendar holds at least one thing"
    for event in events:
        assert set(event) >= ONCE
        for name in ("DTSTAMP", "LAST-MODIFIED"):
            assert _UTC.match(event[name])
        assert (_DAY if ";VALUE=DATE:" in starts.pop(0) else _UTC).match(event["DTSTART"])
        for name in ("SUMMARY", "DESCRIPTION", "LOCATION"):
            assert not re.search(r"(?<!\\)(?:\\\\)*[;,]", event[name]), event[name]
        assert event["SEQUENCE"].isdigit()
    assert len({event["UID"] for event in events}) == len(events)
    return own, events


def read(text: str) -> str:
    """What a value of type TEXT says."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], text)


# -- the file -----------------------------------------------------------------------------------------------------


def test_an_event_says_what_happens_to_whom_and_when() -> None:
    own, [event] = parse(calendar("Connect: Thames House", [PLAN], "https://connect.test", HOUSE))
    assert read(own["X-WR-CALNAME"]) == "Connect: Thames House"
    assert event["DTSTART"] == "20270331T230000Z"
    assert read(event["SUMMARY"]) == "Decommission: Acme Ltd"
    assert read(event["DESCRIPTION"]) == (
        "1 Apr 2027, 00:00 Europe/London\nReason: contract\nnot renewed; see 7\nBy: ann"
    )
    assert event["URL"] == "https://connect.test/clients/acme"


def test_an_end_date_is_a_day_and_switches_nothing() -> None:
    ends = replace(PLAN, change_id=END_DATE, kind=END_DATE, day=date(2027, 3, 31), reason="", by="")
    [event] = parse(calendar("Connect", [ends], "http://x/", HOUSE))[1]
    assert event["DTSTART"] == "20270331"
    assert read(event["SUMMARY"]) == "End date: Acme Ltd"
    assert "nothing is switched" in read(event["DESCRIPTION"])


def test_an_event_that_is_planned_anew_is_the_same_one_later() -> None:
    moved = replace(PLAN, change_id="c-2", at=AT.replace(year=2028), revision=9)
    [before] = parse(calendar("Connect", [PLAN], "http://x/", HOUSE))[1]
    [after] = parse(calendar("Connect", [moved], "http://x/", HOUSE))[1]
    assert before["UID"] == after["UID"]
    assert int(before["SEQUENCE"]) < int(after["SEQUENCE"])
    assert after["DTSTART"] == "20280331T230000Z"


def test_an_empty_calendar_is_one_too() -> None:
    assert parse(calendar("Connect", [], "http://x/", HOUSE))[1] == []


@pytest.mark.parametrize("name", [NAME, "a" * 300, "é" * 200, "😀" * 100, "a\r\nEND:VCALENDAR\r\n", "tab\tbell\a"])
def test_no_name_breaks_the_file(name: str) -> None:
    [event] = parse(calendar(name, [replace(PLAN, name=name, reason=name)], "http://x/", HOUSE))[1]
    summary = read(event["SUMMARY"]).removeprefix("Decommission: ")
    assert summary == "".join(x for x in name.replace("\r\n", "\n") if x >= " " or x == "\n")


def test_lines_are_folded_between_characters() -> None:
    for length in range(1, 90):
        name = "x" * length + "€uro" * 40
        _, [event] = parse(calendar("Connect", [replace(PLAN, name=name)], "http://x/", HOUSE))
        assert event["SUMMARY"] == f"Decommission: {name}"


def test_text_is_escaped_and_nothing_else_is() -> None:
    name = 'a\\b;c,d:e"f\ng\r\nh\x00'
    _, [event] = parse(calendar("Connect", [replace(PLAN, name=name)], "http://x/", HOUSE))
    assert event["SUMMARY"] == 'Decommission: a\\\\b\\;c\\,d:e"f\\ng\\nh'


def test_the_same_plans_make_the_same_octets() -> None:
    plans = [PLAN, replace(PLAN, kind="suspend", details={"source": "billing"})]
    assert calendar(NAME, plans, "http://x/", HOUSE) == calendar(NAME, plans, "http://x/", HOUSE)


# -- who may have it ----------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def mews(service: Service) -> str:
    """A site with two planned changes, which no test adds to."""
    site = await service.site("Mews, Old", "Asia/Tokyo")
    leaving = await service.create(NAME, site=site)
    answer = await service.post(leaving["client_id"], "decommission", last_day="2199-03-31")
    assert answer.status_code == 200, answer.text
    await service.create("Starting", site=site, start_date="2199-01-01", wait=0)
    return site


async def fetch_feed(service: Service, path: str, **headers: Any) -> httpx2.Response:
    """What somebody gets who has not signed in."""
    async with http_client(base_url=service.url) as stranger:
        return await stranger.get(path, headers=headers)


async def test_whoever_has_the_address_reads_what_is_planned_at_its_site(service: Service, mews: str) -> None:
    answer = await fetch_feed(service, feed_path(TOKEN, mews))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    own, events = parse(answer.content.decode())
    assert read(own["X-WR-CALNAME"]) == "Connect: Mews, Old"
    assert [(read(event["SUMMARY"]), event["DTSTART"]) for event in events] == [
        ("Activate: Starting", "21981231T150000Z"),
        (f"Decommission: {NAME}", "21990331T150000Z"),
    ]
    assert events[1]["URL"].startswith(f"{Names().public_url}/clients/")


async def test_the_calendar_of_all_sites_has_those_of_each(service: Service, mews: str) -> None:
    _, events = parse((await fetch_feed(service, feed_path(TOKEN))).content.decode())
    assert f"Decommission: {NAME}" in [read(event["SUMMARY"]) for event in events]


async def test_nobody_else_learns_that_there_is_one(service: Service, mews: str) -> None:
    for query in (
        {"site": mews},
        {"key": "", "site": mews},
        {"key": calendar_key(TOKEN), "site": mews},
        {"key": calendar_key(TOKEN, mews)},
        {"key": calendar_key("another token", mews), "site": mews},
        {"key": "é", "site": mews},
        {"key": calendar_key(TOKEN, "nowhere"), "site": "nowhere"},
    ):
        answer = await fetch_feed(service, f"/upcoming.ics?{httpx2.QueryParams(query)}")
        assert answer.status_code == 404, query
        assert mews not in answer.text


async def test_an_unchanged_calendar_is_not_sent_again(service: Service) -> None:
    site = await service.site("Mews, Old", "Asia/Tokyo")
    leaving = (await service.create(NAME, site=site))["client_id"]
    await service.post(leaving, "decommission", last_day="2199-03-31")
    await service.known(leaving)
    path = feed_path(TOKEN, site)
    tag = (await fetch_feed(service, path)).headers["etag"]
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await fetch_feed(service, path, **{"If-None-Match": condition})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), condition
    assert (await fetch_feed(service, path, **{"If-None-Match": '"other"'})).status_code == 200
    starting = await service.create("Another", site=site, start_date="2199-02-01", wait=0)
    assert starting["planned"]
    answer = await fetch_feed(service, path, **{"If-None-Match": tag})
    assert (answer.status_code, answer.headers["etag"] != tag) == (200, True)


async def test_a_calendar_can_be_asked_for_without_its_body(service: Service, mews: str) -> None:
    async with http_client(base_url=service.url) as stranger:
        answer = await stranger.head(feed_path(TOKEN, mews))
    assert (answer.status_code, answer.content) == (200, b"")


async def test_the_address_of_one_calendar_opens_no_other(service: Service) -> None:
    """Whoever has that of a token's, of all that it sees, cannot have it read as that of a site."""
    token = (await service.api.post("/tokens", json={"name": unique("reader"), "role": "viewer"})).json()["token_id"]
    key = calendar_key(TOKEN, "", token)
    assert (await fetch_feed(service, feed_path(TOKEN, "", token))).status_code == 200
    assert calendar_key(TOKEN, f"\0{token}") != key
    for site in ("", f"%00{token}", f"%00%00{token}"):
        assert (await fetch_feed(service, f"{FEED}?site={site}&key={key}")).status_code == 404
