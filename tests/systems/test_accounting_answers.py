"""An Accounting-Response of real FreeRADIUS says that the row is there: whatever is not stored is not answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.support.accounting import INTERIM, ON, START, STOP
from tests.support.waiting import eventually
from tests.systems.accounting import Place

PATIENCE = 2.0  # seconds until a NAS repeats its request
SILENCE, LOCKED = 0.5, 2.5
"""Seconds without an answer. A wrong one comes at once, or when the daemon waits no longer for a lock (2 s)."""


@asynccontextmanager
async def damaged(place: Place, damage: str, repair: str) -> AsyncIterator[None]:
    """While the database is so."""
    await place.database.execute(damage)
    try:
        yield
    finally:
        await place.database.execute(repair)


DAMAGE = {
    "read-only": (
        "ALTER ROLE radius_daemon SET default_transaction_read_only = on; {reconnect}",
        "ALTER ROLE radius_daemon RESET default_transaction_read_only; {reconnect}",
    ),
    "no INSERT": ("REVOKE INSERT ON radacct FROM radius_daemon", "GRANT INSERT ON radacct TO radius_daemon"),
    "no UPDATE": ("REVOKE UPDATE ON radacct FROM radius_daemon", "GRANT UPDATE ON radacct TO radius_daemon"),
    "no SELECT": ("REVOKE SELECT ON radacct FROM radius_daemon", "GRANT SELECT ON radacct TO radius_daemon"),
    "a CHECK": (
        "ALTER TABLE radacct ADD CONSTRAINT no CHECK (false) NOT VALID",
        "ALTER TABLE radacct DROP CONSTRAINT no",
    ),
    "a trigger": (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';"
        "CREATE TRIGGER no BEFORE INSERT OR UPDATE ON radacct FOR EACH ROW EXECUTE FUNCTION no()",
        "DROP FUNCTION no CASCADE",
    ),
    "a trigger that swallows it": (
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER no BEFORE INSERT OR UPDATE ON radacct FOR EACH ROW EXECUTE FUNCTION no()",
        "DROP FUNCTION no CASCADE",
    ),
    "too long": (
        "DELETE FROM radacct WHERE callingstationid <> ''; ALTER TABLE radacct ALTER callingstationid TYPE varchar(3)",
        "ALTER TABLE radacct ALTER callingstationid TYPE text",
    ),
    "hidden rows": (
        "CREATE POLICY no ON radacct USING (false) WITH CHECK (true); ALTER TABLE radacct ENABLE ROW LEVEL SECURITY",
        "DROP POLICY no ON radacct; ALTER TABLE radacct DISABLE ROW LEVEL SECURITY",
    ),
    "away": (
        "UPDATE pg_database SET datallowconn = false WHERE datname = current_database(); {reconnect}",
        "UPDATE pg_database SET datallowconn = true WHERE datname = current_database()",
    ),
    "another table": ("ALTER TABLE radacct RENAME TO other", "ALTER TABLE other RENAME TO radacct"),
}
NO_MATTER_TO_ON = ("no INSERT", "a CHECK", "too long", "a trigger", "a trigger that swallows it")
"""An Accounting-On that finds no open row has nothing that could be refused."""

RECONNECT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'radius_daemon'"


@pytest.mark.parametrize("damage", DAMAGE)
async def test_what_is_not_stored_is_not_answered(place: Place, damage: str) -> None:
    known, new, station = place.new(), place.new(), {"Calling-Station-Id": "02:00:00:00:00:01"}
    assert await place.gear.account(START, known)
    how = [part.format(reconnect=RECONNECT) for part in DAMAGE[damage]]
    requests = [
        place.gear.request(START, new, **station),
        place.gear.request(INTERIM, known, **station),
        place.gear.request(STOP, known, **station),
    ]
    if damage not in NO_MATTER_TO_ON:
        requests.append(place.gear.request(ON, "0"))
    async with damaged(place, *how):
        assert not any(await asyncio.gather(*(place.gear.send(request, SILENCE) for request in requests)))

    async def repeated() -> bool:
        return all([await place.gear.send(request, PATIENCE) for request in requests[:3]])

    await eventually(repeated)
    assert await place.is_open(new)
    assert not await place.is_open(known)


@pytest.mark.parametrize("lock", ["SELECT FROM radacct WHERE acctsessionid = $1 FOR UPDATE", "LOCK TABLE radacct"])
async def test_what_waits_for_a_lock_is_not_answered_before_it_is_stored(place: Place, lock: str) -> None:
    session = place.new()
    assert await place.gear.account(START, session)
    request = place.gear.request(STOP, session)
    other = await asyncpg.connect(place.dsn)
    try:
        async with other.transaction():
            await other.execute(lock.replace("$1", f"'{session}'"))
            assert not await place.gear.send(request, LOCKED)
    finally:
        await other.close()
    await eventually(lambda: place.gear.send(request, PATIENCE))
    assert not await place.is_open(session)
