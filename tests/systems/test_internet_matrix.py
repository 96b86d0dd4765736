"""Every way in which an account that is off may be let in or alive all the same: what is true, and what Connect says.

Each case is tried on the configuration that we ship, and on FreeRADIUS's own. From outside: does the session go on, or
is a login accepted? Never may Connect call that settled. Then what was wrong is mended, and it must be settled: nobody
is called for ever while all is right.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.support.router import INTERIM, NOT_REMOVABLE, SESSION_NOT_FOUND, START, STOP, Nas
from tests.support.waiting import eventually
from tests.systems.accounting import Place, running_place
from tests.systems.network import Network, running_network
from tests.systems.service import Systems

GROUP = """WITH c AS (INSERT INTO radgroupcheck (groupname, attribute, op, value) VALUES ('g-' || $1, {}))
INSERT INTO radusergroup (username, groupname, priority) VALUES ({}, 'g-' || $1, 1)"""
NO_GROUP = """WITH c AS (DELETE FROM radgroupcheck WHERE groupname = 'g-' || $1)
DELETE FROM radusergroup WHERE groupname = 'g-' || $1"""
TWIN = "INSERT INTO radcheck (username, attribute, op, value) VALUES ({}, 'Cleartext-Password', ':=', $1)"
NO_TWIN = "DELETE FROM radcheck WHERE username <> $1 AND username ILIKE '%' || $1 || '%'"
JOB = "UPDATE radacct SET acctstoptime = now(), acctterminatecause = {} WHERE username = $1"
HIDDEN = """CREATE POLICY all_else ON radacct TO radius_daemon USING (true); CREATE POLICY hidden ON radacct
TO radius_prov USING (false); ALTER TABLE radacct ENABLE ROW LEVEL SECURITY"""
NOT_HIDDEN = """DROP POLICY hidden ON radacct; DROP POLICY all_else ON radacct;
ALTER TABLE radacct DISABLE ROW LEVEL SECURITY"""


@dataclass(frozen=True)
class Case:
    """``before`` the suspension somebody does this to the database, and the NAS has these ``moods``, or does this.
    ``word`` is in what Connect says of it while it is not settled; none: it is settled at once. ``mend``: what the
    remedy does. ``login``: another name that a login may use. ``accounted``: accounting goes on hearing of the session.
    """

    before: str = ""
    word: str = ""
    mend: str = ""
    login: str = "{}"
    moods: tuple[tuple[str, Any], ...] = ()
    accounted: bool = False
    gear: Callable[[Nas, str], Awaitable[None]] | None = None


async def again(nas: Nas, account: str) -> None:
    """The id of a session is used once more after its Stop."""
    await nas.account("s-" + account, account, STOP)
    await nas.account("s-" + account, account, START)


def named(form: str) -> Callable[[Nas, str], Awaitable[None]]:
    """The NAS accounts the session by another spelling of its name."""

    async def rename(nas: Nas, account: str) -> None:
        name = form.format(account) if form != "{}" else account.upper()
        await nas.account("s-" + account, account, STOP)
        nas.sessions["s-" + account] = name
        await nas.account("s-" + account, name, START)

    return rename


CASES = {
    "nothing": Case(),
    "a group that accepts": Case(GROUP.format("'Auth-Type', ':=', 'Accept'", "$1"), "group g-", NO_GROUP),
    "a group that compares": Case(GROUP.format("'Auth-Type', '==', 'Accept'", "$1"), "group g-", NO_GROUP),
    "a group with a way of its own": Case(GROUP.format("'Auth-Type', ':=', 'PAP'", "$1"), "group g-", NO_GROUP),
    "a group that only adds": Case(GROUP.format("'Auth-Type', '+=', 'Accept'", "$1"), mend=NO_GROUP),
    "a group that rejects": Case(GROUP.format("'Auth-Type', ':=', 'Reject'", "$1"), mend=NO_GROUP),
    "a group of a spelling": Case(
        GROUP.format("'Auth-Type', ':=', 'Accept'", "upper($1)"), "group g-", NO_GROUP, "{upper}"
    ),
    "a twin in capitals": Case(TWIN.format("upper($1)"), "another spelling", NO_TWIN, "{upper}"),
    "a twin with a realm": Case(TWIN.format("$1 || '@isp.example'"), "another spelling", NO_TWIN, "{}@isp.example"),
    "a session id used again": Case(gear=again),
    "a clean-up job": Case(JOB.format("'Stale-Session'")),
    "a clean-up job without a cause": Case(JOB.format("NULL")),
    "accounted in capitals": Case(gear=named("{}")),
    "accounted with a realm": Case(gear=named("{}@isp.example")),
    "accounted with a realm before it": Case(gear=named("isp/{}")),
    "gear that wants the time": Case(moods=(("wary", True),)),
    "gear that does not find it": Case(
        moods=(("refuses", SESSION_NOT_FOUND),), word="does not find it", accounted=True
    ),
    "gear that knows it by another name": Case(
        moods=(("knows", {"User-Name": "somebody"}),), word="does not find it", accounted=True
    ),
    "gear that refuses": Case(moods=(("refuses", NOT_REMOVABLE),), word="Session Context Not Removable"),
    "gear that is silent": Case(moods=(("mute", True),), word="not answer"),
    "gear that does not sign with our secret": Case(moods=(("secret", "another"),), word="not answer"),
    "silent, and closed by a job": Case(JOB.format("'Stale'"), "not answer", moods=(("mute", True),)),
    "rows that are hidden from us": Case(HIDDEN, "row-level security", NOT_HIDDEN),
}


@pytest_asyncio.fixture(scope="module", params=["shipped", "stock"])
async def place(
    systems: Systems, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with running_place(request.param, systems, tmp_path_factory.mktemp("radius")) as place:
        yield place


@pytest_asyncio.fixture(scope="module")
async def network(systems: Systems, place: Place) -> AsyncIterator[Network]:
    """A service that asks with no login of its own, as is usual, and with what an operator has."""
    prov = systems.server.dsn(place.dsn.rpartition("/")[2], "radius_prov")
    async with running_network(
        replace(systems, freeradius=place.daemon),
        internet_dsn=SecretStr(prov),
        probe_accounts=False,
        interim_seconds=60,  # a busy machine is silent for less, and what was heard of is not taken for over
        attempt_seconds=8,
        first_pause_seconds=0.3,
        longest_pause_seconds=1,
        watch_every_seconds=0.3,
    ) as network:
        yield network


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_is_alive_is_never_settled_and_what_is_not_is(network: Network, place: Place, case: Case) -> None:
    acme, password = await network.tenant()
    session, secret = "s-" + acme, network.secret
    name = case.login.format(acme, upper=acme.upper())
    async with network.nas() as nas:
        assert (await nas.log_in(acme, password, session)).accepted
        await execute(place, case.before, acme)
        if case.gear:
            await case.gear(nas, acme)
        usual = {mood: getattr(nas, mood) for mood, _ in case.moods}
        for mood, value in case.moods:
            setattr(nas, mood, value)

        async def alive() -> bool:
            logins = [await network.building.router.log_in(name, word) for word in (password, acme)]
            return session in nas.sessions or any(login.accepted for login in logins)

        async def as_expected() -> bool:
            if case.accounted:
                nas.secret, mood = secret, nas.secret
                await nas.account(session, acme, INTERIM)
                nas.secret = mood
            system = await network.internet(acme)
            assert not (system["state"] == "settled" and await alive()), "settled, and alive"
            return case.word in system["last_error"] if case.word else system["state"] == "settled"

        await network.send_command(acme, "suspend")
        await eventually(as_expected, every=0.1, why=f"{case.word!r} in what it says")
        for mood, value in usual.items():
            setattr(nas, mood, value)
        if not case.word:
            assert not await alive()
        await execute(place, case.mend, acme)
        await eventually(lambda: network.settled(acme))
        assert not await alive()
        assert nas.sessions == {}


async def execute(place: Place, sql: str, account: str) -> None:
    if "$1" in sql:
        await place.database.execute(sql, account)
    elif sql:
        await place.database.execute(sql)
