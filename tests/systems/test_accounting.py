"""Accounting on real FreeRADIUS: a session that goes on has an open row.

Each claim holds for the configuration that we ship, and for FreeRADIUS's own with our statements in it.
"""

import time
from typing import Any

import pytest

from tests.support.accounting import INTERIM, OFF, ON, START, STOP, Accounting
from tests.systems.accounting import Place

OPEN, CLOSED = True, False
OVERTAKEN = 2.0  # seconds (deploy/freeradius/accounting.conf)
JOB, JOB_AT_LAST = "a job closes it", "a job closes it at its last update"
CLOSING = {
    JOB: "UPDATE radacct SET acctstoptime = now(), acctterminatecause = 'Stale' WHERE acctsessionid = $1",
    JOB_AT_LAST: "UPDATE radacct SET acctstoptime = acctupdatetime WHERE acctsessionid = $1",
}

# -- what comes in which order -----------------------------------------------------------------------------------------

Step = tuple[int, int] | tuple[int, int, int] | str
ORDERS: dict[str, tuple[list[Step], bool]] = {  # status, when it happened, and Acct-Delay-Time
    "used again": ([(START, 0), (STOP, 60), (START, 90)], OPEN),
    "used again in the same second": ([(START, 0), (STOP, 60), (START, 60)], OPEN),
    "used again, and ended again": ([(START, 0), (STOP, 60), (START, 90), (STOP, 99)], CLOSED),
    "used again, its Start lost": ([(START, 0), (STOP, 60), (INTERIM, 120)], OPEN),
    "used again, the Stop before comes late": ([(START, 0), (START, 90), (STOP, 60)], OPEN),
    "used again, the Stop before comes after its Interim": ([(START, 0), (INTERIM, 120), (STOP, 60)], OPEN),
    "used again, after a Stop alone": ([(STOP, 60), (START, 90)], OPEN),
    "an Interim trails its Stop": ([(START, 0), (STOP, 60), (INTERIM, 50)], CLOSED),
    "an Interim of the second of its Stop": ([(START, 0), (STOP, 60), (INTERIM, 60)], CLOSED),
    "an Interim trails a Stop alone": ([(STOP, 60), (INTERIM, 50)], CLOSED),
    "a Stop overtakes its Start": ([(STOP, 60), (START, 0)], CLOSED),
    "a Stop overtakes its Start of the same second": ([(STOP, 60), (START, 60)], CLOSED),
    "a Stop overtakes its Interim": ([(START, 0), (STOP, 60), (INTERIM, 59), (INTERIM, 58)], CLOSED),
    "an Interim overtakes its Start": ([(INTERIM, 60), (START, 0)], OPEN),
    "an Interim overtakes its Start, then it ends": ([(INTERIM, 60), (START, 0), (STOP, 90)], CLOSED),
    "a Start comes again": ([(START, 0), (STOP, 60), (START, 0)], CLOSED),
    "a Start comes again with a delay": ([(START, 0), (STOP, 60), (START, 0, 60)], CLOSED),
    "a Stop comes again": ([(START, 0), (STOP, 60), (STOP, 60)], CLOSED),
    "a Stop comes again after the next Start": ([(START, 0), (STOP, 60), (START, 90), (STOP, 60)], OPEN),
    "everything comes twice": ([(START, 0), (START, 0), (INTERIM, 60), (INTERIM, 60), (STOP, 90), (STOP, 90)], CLOSED),
    "a job closes a living session": ([(START, 0), (INTERIM, 60), JOB, (INTERIM, 120)], OPEN),
    "a job closes it at its last update": ([(START, 0), (INTERIM, 60), JOB_AT_LAST, (INTERIM, 120)], OPEN),
    "a job closes it in the second of its Start": ([(START, 0), JOB, (INTERIM, 0)], OPEN),
    "a job closes it, and then it ends": ([(START, 0), JOB, (STOP, 60)], CLOSED),
    "a job closes it, and it is used again": ([(START, 0), JOB, (START, 60)], OPEN),
    "a job closes it, it goes on and ends": ([(START, 0), JOB, (INTERIM, 60), (STOP, 90), (INTERIM, 80)], CLOSED),
}


@pytest.mark.parametrize("ahead", [-1800, 3600], ids=["the clock of the NAS is behind", "ahead"])
@pytest.mark.parametrize("order", ORDERS)
async def test_the_newest_event_decides(place: Place, order: str, ahead: int) -> None:
    steps, expected = ORDERS[order]
    session, begin = place.new(), int(time.time()) + ahead
    for step in steps:
        if isinstance(step, str):
            await place.database.execute(CLOSING[step], session)
        else:
            status, at, *delay = step
            late = delay[0] if delay else None
            assert await place.gear.account(status, session, Event_Timestamp=begin + at, Acct_Delay_Time=late)
    assert await place.is_open(session) == expected


@pytest.mark.parametrize(
    ("happened", "delay", "expected"),
    [(-60, 60, OPEN), (0, 900, CLOSED), (0, 0, OPEN), (None, 900, CLOSED), (None, 30, OPEN), (None, None, OPEN)],
)
async def test_an_event_happened_before_it_was_sent(
    place: Place, happened: int | None, delay: int | None, expected: bool
) -> None:
    """The Stop was some minutes ago. Gear writes into Event-Timestamp when it happened, as RFC 2869 says, or when
    it sends it; then, and without one, Acct-Delay-Time says how long ago it was."""
    session, now = place.new(), int(time.time())
    assert await place.gear.account(START, session, Event_Timestamp=now - 1800)
    assert await place.gear.account(STOP, session, Event_Timestamp=now - 300)
    when = None if happened is None else now + happened
    assert await place.gear.account(INTERIM, session, Event_Timestamp=when, Acct_Delay_Time=delay)
    assert await place.is_open(session) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ((START, STOP, START), OPEN),
        ((START, INTERIM, STOP, START, INTERIM), OPEN),
        ((START, STOP, START, STOP), CLOSED),
        ((STOP, START), CLOSED),
        ((STOP, START, INTERIM), CLOSED),
        ((START, STOP, INTERIM), CLOSED),
        ((START, JOB, INTERIM), OPEN),
        ((START, JOB, START), OPEN),
        ((INTERIM, START), OPEN),
    ],
)
async def test_gear_without_a_clock_is_understood_by_the_order_of_arrival(
    place: Place, order: tuple[Any, ...], expected: bool
) -> None:
    if place.kind == "stock" and STOP in order and not expected:
        pytest.skip("FreeRADIUS's own preprocess rounds the time of arrival to seconds, which may be another by then")
    overtaken = False
    while not overtaken:  # packets overtake each other by two seconds at most
        session, begin = place.new(), time.monotonic()
        for step in order:
            if isinstance(step, str):
                await place.database.execute(CLOSING[step], session)
            else:
                assert await place.gear.account(step, session)
        overtaken = expected == OPEN or time.monotonic() - begin < OVERTAKEN
    assert await place.is_open(session) == expected


@pytest.mark.parametrize("clock", [0, 946684800, 2**31])
async def test_a_clock_that_was_never_set_hides_no_session(place: Place, clock: int) -> None:
    session = place.new()
    for status in (START, STOP):
        assert await place.gear.account(status, session)
    assert await place.gear.account(START, session, Event_Timestamp=clock)
    assert await place.is_open(session)
    assert await place.gear.account(INTERIM, session, Event_Timestamp=clock + 60)
    assert await place.is_open(session)


async def test_a_clock_that_went_back_hides_no_session(place: Place) -> None:
    session, now = place.new(), int(time.time())
    assert await place.gear.account(START, session, Event_Timestamp=now - 600)
    assert await place.gear.account(STOP, session, Event_Timestamp=now - 300)
    assert await place.gear.account(INTERIM, session, Event_Timestamp=now - 900)
    assert await place.is_open(session)
    assert await place.gear.account(STOP, session, Event_Timestamp=now - 890)
    assert await place.gear.account(START, session, Event_Timestamp=now - 880)
    assert await place.is_open(session)


async def test_what_is_repeated_changes_nothing(place: Place) -> None:
    session, begin = place.new(), int(time.time()) - 900
    last: dict[str, Any] = {}
    for status, at in ((START, 0), (INTERIM, 300), (STOP, 600)):
        extra = {"Event-Timestamp": begin + at, "Acct-Session-Time": at, "Acct-Input-Octets": at * 10}
        assert await place.gear.account(status, session, **extra)
        row = dict(await place.row(session))
        assert await place.gear.account(status, session, **extra)
        ours = {"acctupdatetime", "acctinterval"} if status == INTERIM else set()  # when we heard of it
        again = dict(await place.row(session))
        assert {n: v for n, v in again.items() if n not in ours} == {n: v for n, v in row.items() if n not in ours}
        last = again
    assert last["acctstoptime"].timestamp() == begin + 600
    assert (last["acctsessiontime"], last["acctinputoctets"]) == (600, 6000)
    assert last["acctstarttime"].timestamp() == begin


async def test_the_same_packet_is_answered_again(place: Place) -> None:
    request = place.gear.request(START, place.new())
    assert await place.gear.send(request)
    assert await place.gear.send(request)


async def test_when_a_living_session_was_heard_of_is_told_by_our_clock(place: Place) -> None:
    session, hours_ago = place.new(), int(time.time()) - 7200
    for status in (START, INTERIM):
        before = await place.database.fetchval("SELECT clock_timestamp()")
        assert await place.gear.account(status, session, Event_Timestamp=hours_ago)
        assert (await place.row(session))["acctupdatetime"] >= before


# -- which NAS, which account ------------------------------------------------------------------------------------------

GEAR: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "by IPv4": ({"NAS-IP-Address": "10.1.0.1"}, {"NAS-IP-Address": "10.1.0.2"}),
    "by IPv6": (
        {"NAS-IP-Address": None, "NAS-IPv6-Address": "2001:db8::1"},
        {"NAS-IP-Address": None, "NAS-IPv6-Address": "2001:db8::2"},
    ),
    "by NAS-Identifier": (
        {"NAS-IP-Address": None, "NAS-Identifier": "york"},
        {"NAS-IP-Address": None, "NAS-Identifier": "leeds"},
    ),
    "one address, two NAS-Identifiers": (
        {"NAS-IP-Address": "10.1.0.3", "NAS-Identifier": "york"},
        {"NAS-IP-Address": "10.1.0.3", "NAS-Identifier": "leeds"},
    ),
}


@pytest.mark.parametrize("status", [ON, OFF], ids=["On", "Off"])
@pytest.mark.parametrize("how", GEAR)
async def test_a_nas_that_starts_or_stops_has_no_session_and_others_have_theirs(
    place: Place, how: str, status: int
) -> None:
    ours, theirs = GEAR[how]
    session, begin = place.new(), int(time.time()) - 600
    for gear in (ours, theirs):
        assert await place.gear.account(START, session, Event_Timestamp=begin, **gear)
    later = place.new()
    assert await place.gear.account(START, later, Event_Timestamp=begin + 200, **ours)
    assert await place.gear.account(status, "0", Event_Timestamp=begin + 100, User_Name=None, **ours)
    sql = """SELECT nasidentifier, host(nasipaddress), acctstoptime IS NULL, acctterminatecause FROM radacct
        WHERE acctsessionid = $1 ORDER BY radacctid"""
    first, second = await place.database.fetch(sql, session)
    assert (first[2], second[2]) == (CLOSED, OPEN)
    assert first[3] == "NAS-Reboot"
    assert await place.is_open(later), "it began after that"
    assert await place.gear.account(INTERIM, session, Event_Timestamp=begin + 90, **ours)
    assert not (await place.database.fetch(sql, session))[0][2]
    assert await place.gear.account(START, session, Event_Timestamp=begin + 110, **ours)
    assert (await place.database.fetch(sql, session))[0][2], "its id is used again"
    for gear in (ours, theirs):
        assert await place.gear.account(OFF, "0", User_Name=None, **gear)
    assert not await place.database.fetch(
        "SELECT FROM radacct WHERE acctsessionid = $1 AND acctstoptime IS NULL", later
    )


@pytest.mark.parametrize(
    "named", [{"NAS-IPv6-Address": "2001:db8::7"}, {"NAS-Identifier": "york"}, {}, {"NAS-IP-Address": "10.1.0.9"}]
)
async def test_gear_on_ipv6_has_its_sessions_stored(place: Place, named: dict[str, Any]) -> None:
    gear, session = Accounting(place.gear.port, place.gear.secret, named, "::1"), place.new()
    addresses: dict[str, Any] = {"Framed-IPv6-Address": "2001:db8:1::5", "Framed-IPv6-Prefix": "2001:db8:1::/64"}
    assert await gear.account(START, session, **addresses)
    row = await place.row(session)
    address = next((value for name, value in named.items() if "Address" in name), "::1")
    if place.kind == "stock" and "NAS-IP-Address" in named:
        address = "::1"  # its preprocess adds where a request came from
    assert str(row["nasipaddress"]) == address
    assert [str(row["framedipv6address"]), str(row["framedipv6prefix"])] == list(addresses.values())
    assert await gear.account(INTERIM, session)
    assert str((await place.row(session))["framedipv6address"]) == "2001:db8:1::5", "an Interim need not repeat it"
    assert await gear.account(STOP, session)
    assert not await place.is_open(session)


async def test_octets_beyond_32_bits_are_counted(place: Place) -> None:
    session = place.new()
    assert await place.gear.account(START, session)
    counts = {"Acct-Input-Octets": 7, "Acct-Input-Gigawords": 3, "Acct-Output-Octets": 2**32 - 1}
    assert await place.gear.account(INTERIM, session, **counts)
    row = await place.row(session)
    assert (row["acctinputoctets"], row["acctoutputoctets"]) == (3 * 2**32 + 7, 2**32 - 1)
    assert await place.gear.account(STOP, session, **{"Acct-Input-Octets": 1, "Acct-Input-Gigawords": 4})
    row = await place.row(session)
    assert (row["acctinputoctets"], row["acctoutputoctets"]) == (4 * 2**32 + 1, 2**32 - 1)


async def test_one_session_under_a_name_in_two_spellings_is_one_row(place: Place) -> None:
    if place.kind == "stock":
        pytest.skip("its policy acct_unique makes the key of a session")
    session = place.new()
    for status, name in ((START, "Acme"), (INTERIM, "ACME"), (STOP, "acme")):
        assert await place.gear.account(status, session, User_Name=name)
        assert await place.rows(session) == 1
        assert await place.is_open(session) == (status != STOP)


@pytest.mark.parametrize("status", [9, 10, 15])
async def test_what_is_of_no_session_is_answered(place: Place, status: int) -> None:
    assert await place.gear.account(status, place.new())
