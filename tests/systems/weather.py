"""What goes wrong while clients are changed, on the real systems: each fault begins, lasts for a while and is over."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from activities.internet.answers import ERROR_CAUSES
from tests.support.databases import connected
from tests.support.relay import Relay
from tests.systems.gear import Gear
from tests.systems.service import Systems
from tests.systems.test_faults import killed

LOSES = 0.4

READ_ONLY = """ALTER DATABASE {0} SET default_transaction_read_only = on;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{0}' AND pid <> pg_backend_pid()"""
WRITABLE = READ_ONLY.replace("= on", "= off")
CLEAN_UP = "UPDATE radacct SET acctstoptime = now(), acctterminatecause = $1 WHERE acctstoptime IS NULL"
FORGET = "DELETE FROM location"


@dataclass(frozen=True)
class Outdoors:
    """What the weather comes over. ``relays``: between gear and the RADIUS server, and between Connect and gear."""

    systems: Systems
    gear: Sequence[Gear]
    relays: Sequence[Relay]
    chance: random.Random

    async def execute(self, database: str, sql: str, *values: object) -> None:
        async with connected(self.systems.server.dsn("postgres" if "ALTER DATABASE" in sql else database)) as it:
            await it.execute(sql, *values)


Fault = Callable[[Outdoors], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def moody(place: Outdoors, mood: str, value: Any) -> AsyncIterator[None]:
    """Some of the gear, or all of it. Afterwards it is as gear usually is, whatever else came over it meanwhile."""
    some = place.chance.sample(place.gear, place.chance.randint(1, len(place.gear)))
    for nas in some:
        setattr(nas, mood, value)
    try:
        yield
    finally:
        for nas in some:
            setattr(nas, mood, getattr(Gear, mood))


@asynccontextmanager
async def lossy(place: Outdoors) -> AsyncIterator[None]:
    """Packets get lost: requests, answers, accounting."""
    some = place.chance.sample(place.relays, place.chance.randint(1, len(place.relays)))
    for relay in some:
        relay.loses = LOSES
    try:
        yield
    finally:
        for relay in some:
            relay.loses = 0.0


@asynccontextmanager
async def executed(
    place: Outdoors, database: str, before: str, after: str, values: Sequence[object] = ()
) -> AsyncIterator[None]:
    """Somebody says this to a database, and that afterwards."""
    try:
        await place.execute(database, before.format(database), *values)
        yield
    finally:
        if after:
            await place.execute(database, after.format(database))


@asynccontextmanager
async def ids_used_again(place: Outdoors) -> AsyncIterator[None]:
    """Sessions end, and others begin under their ids: at the same gear, of the same account."""
    for nas in place.gear:
        for session, account in [*nas.sessions.items()]:
            nas.end(session)
            nas.used.setdefault(account, []).append(session)
    yield


FAULTS: dict[str, Fault] = {
    **{f"NAK {cause}": partial(moody, mood="refuses", value=cause) for cause in ERROR_CAUSES},
    "gear silent": partial(moody, mood="mute", value=True),
    "gear that acknowledges, and ends nothing": partial(moody, mood="undead", value=True),
    "gear that accounts for no Stop": partial(moody, mood="forgetful", value=True),
    "gear behind with its accounting": partial(moody, mood="behind", value=True),
    "gear that does not sign": partial(moody, mood="signs", value=False),
    "gear that wants the time": partial(moody, mood="wary", value=True),
    "gear that refuses a CoA": partial(moody, mood="refuses_change", value=404),
    "packets lost": lossy,
    "rows closed": partial(executed, database="radius", before=CLEAN_UP, after="", values=("Stale",)),
    "rows closed without a cause": partial(executed, database="radius", before=CLEAN_UP, after="", values=(None,)),
    "ids used again": ids_used_again,
    "registrations gone": partial(executed, database="kamailio", before=FORGET, after=""),
    "radius read-only": partial(executed, database="radius", before=READ_ONLY, after=WRITABLE),
    "kamailio read-only": partial(executed, database="kamailio", before=READ_ONLY, after=WRITABLE),
    "freeradius killed": lambda place: killed(place.systems.freeradius),
    "kamailio killed": lambda place: killed(place.systems.kamailio),
}
