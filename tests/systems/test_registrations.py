"""Registrations that a server keeps in memory, servers that do not answer, and Kamailio's own schema."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from activities.prepare import prepare
from activities.telephony.kamailio_rpc import Servers
from starter.local.children import signal_family
from starter.local.databases import DEPLOY
from starter.local.databases import prepare as prepare_databases
from starter.local.ports import HOST
from starter.local.postgres import EmbeddedPostgres
from starter.local.systems import Kamailio
from tests.support.databases import fetch, run_scripts
from tests.support.service import number
from tests.support.waiting import HANGING, eventually, free_udp_port
from tests.systems.phone import NO_SUCH_CALL, Call, Phone, wait_ended
from tests.systems.service import DOMAIN, Building, Systems, for_preparation, running_service

TAKEN, REFUSED, UNKNOWN, AWAY, TRY_AGAIN = 200, 403, 404, 480, 503
STOCK = Path("/usr/share/kamailio/postgres")
MODULES = ("standard", "auth_db", "usrloc", "dialog", "acc", "permissions", "alias_db", "uri_db")


@contextmanager
def another_kamailio(systems: Systems, folder: Path, *, gateway: int = 0, **kind: Any) -> Iterator[Systems]:
    """The same systems, but for a Kamailio of this test alone: with it one may do as one likes. ``gateway``: the port
    from which the outside world calls."""
    here, secret = (folder / "kamailio", folder / "kamailio.log"), systems.rpc_secret
    kamailio = Kamailio(systems.server, free_udp_port(), DOMAIN, secret, *here, **kind)
    kamailio.env = {**(kamailio.env or {}), "SIP_GATEWAY_PORT": str(gateway)}
    kamailio.start()
    try:
        yield replace(systems, kamailio=kamailio)
    finally:
        kamailio.stop()


@asynccontextmanager
async def service(systems: Systems, folder: Path, kind: dict[str, Any], **settings: Any) -> AsyncIterator[Building]:
    with another_kamailio(systems, folder, **kind) as ours:
        async with running_service(ours, **settings) as building:
            yield building


async def tenant(building: Building) -> str:
    return await building.create(type="virtual", lines=[{"number": number()}])


async def registrations(systems: Systems, building: Building, username: str) -> int:
    """How many of a line the server itself has."""
    servers, aor = Servers.named(building.kamailio.rpc_url, systems.rpc_secret), f"{username}@{DOMAIN}"
    state = (await servers.look({username: [aor]}, asyncio.get_running_loop().time() + HANGING))[username]
    assert not state.trouble
    return state.registrations


async def view_of(building: Building, client_id: str) -> dict[str, Any]:
    """The telephone system of a client, as the API shows it."""
    systems = (await building.api.get(f"/clients/{client_id}")).json()["systems"]
    view: dict[str, Any] = next(system for system in systems if system["system"] == "telephony")
    return view


async def state_of(building: Building, client_id: str) -> Any:
    return (await view_of(building, client_id))["state"]


async def test_a_registration_in_memory_ends_with_the_line(systems: Systems, tmp_path: Path) -> None:
    async with service(systems, tmp_path, {"db_mode": 1}) as building:
        acme, other = await tenant(building), await tenant(building)
        async with building.phones(acme, other) as (ours, theirs):
            await fetch(building.databases["kamailio"], "DELETE FROM location WHERE username = $1", ours.username)
            assert await theirs.call(ours.username) == 200, "the table is not where this server looks"
            await building.command(acme, "suspend")
            assert await registrations(systems, building, ours.username) == 0
            assert await registrations(systems, building, theirs.username) == 1
            assert await theirs.call(ours.username) == UNKNOWN
            assert await ours.register() == REFUSED
            await building.command(acme, "unsuspend")
            assert await theirs.call(ours.username) == AWAY
            assert await ours.register() == 200
            assert await theirs.call(ours.username) == 200


async def test_a_new_secret_ends_a_registration_in_memory(systems: Systems, tmp_path: Path) -> None:
    async with service(systems, tmp_path, {"db_mode": 1}) as building:
        acme, other = await tenant(building), await tenant(building)
        async with building.phones(acme, other) as (old, theirs):
            await building.command(acme, "rotate-credentials")
            assert await theirs.call(old.username) == AWAY
            async with await building.phone(acme) as new:
                assert await new.register() == 200
                assert await theirs.call(new.username) == 200


async def test_a_server_that_does_not_answer_leaves_lines_not_proven_until_it_does(
    systems: Systems, tmp_path: Path
) -> None:
    patience = {"probe_lines": False, "first_pause_seconds": 0.5, "longest_pause_seconds": 0.5}
    async with service(systems, tmp_path, {}, **patience) as building:
        acme = await tenant(building)
        async with await building.phone(acme) as phone:
            assert await phone.register() == 200
            kamailio = building.kamailio.process
            assert kamailio
            signal_family(kamailio.pid, signal.SIGSTOP)
            try:
                assert (await building.api.post(f"/clients/{acme}/suspend", json={})).is_success

                await eventually(lambda: state_of(building, acme), equal="not_proven")
                silent = building.kamailio.rpc_url.removesuffix("/RPC")
                error = (await view_of(building, acme))["last_error"]
                assert f"calls and registrations unknown: {silent} did not answer" in error
            finally:
                signal_family(kamailio.pid, signal.SIGCONT)
            await eventually(lambda: state_of(building, acme), equal="settled")
            assert await phone.register() == REFUSED


async def test_a_call_from_outside_is_to_be_tried_again_while_nobody_can_read_whose_number_it_is(
    systems: Systems, tmp_path: Path
) -> None:
    async with Phone("outside", "", DOMAIN, ("", 0)) as outside:
        with another_kamailio(systems, tmp_path, gateway=outside.port) as ours:
            outside.proxy = (HOST, ours.kamailio.port)
            async with running_service(ours, probe_lines=False) as building:
                acme = await tenant(building)
                async with building.phones(acme) as [phone]:
                    assert await outside.call(phone.username) == TAKEN
                    for nobody in ("442079999999", f"sip:{DOMAIN}", f"sip:@{DOMAIN}", f"sip:a%00b%zz@{DOMAIN}"):
                        assert await outside.call(nobody) == UNKNOWN, nobody
                    async with unreadable(systems, "subscriber"):
                        assert await outside.call(phone.username) == TRY_AGAIN
                    assert await outside.call(phone.username) == TAKEN


@asynccontextmanager
async def unreadable(systems: Systems, table: str) -> AsyncIterator[None]:
    """Kamailio may not read the table."""
    dsn = systems.server.dsn("kamailio")
    await fetch(dsn, f"ALTER TABLE {table} RENAME TO {table}_elsewhere")
    try:
        yield
    finally:
        await fetch(dsn, f"ALTER TABLE {table}_elsewhere RENAME TO {table}")


async def confirmed(building: Building, call: Call) -> bool:
    """Whether a call is written down with both its telephones, the ACK included (module dialog: state 4)."""
    sql = "SELECT FROM dialog WHERE callid = $1 AND state = 4 AND callee_contact <> ''"
    return bool(await fetch(building.databases["kamailio"], sql, call.key))


async def killed_and_started(kamailio: Kamailio) -> None:
    """The whole family dies at once, and a new one is there."""
    kamailio.kill()
    kamailio.start()
    await eventually(kamailio.ready)


@pytest.mark.parametrize("as_caller", [True, False], ids=["as caller", "as callee"])
async def test_a_call_that_outlives_its_server_ends_at_suspension(
    systems: Systems, tmp_path: Path, as_caller: bool
) -> None:
    async with service(systems, tmp_path, {}) as building:
        acme, other = await tenant(building), await tenant(building)
        async with building.phones(acme, other) as (ours, theirs):
            caller, callee = (ours, theirs) if as_caller else (theirs, ours)
            call = await caller.dial(callee.username)
            assert call.code == 200
            await eventually(lambda: confirmed(building, call))
            await killed_and_started(building.kamailio)
            assert await caller.hold(call) == 200, "it goes on"
            await building.command(acme, "suspend")

            await wait_ended(call, caller, callee)


async def test_a_call_that_a_server_does_not_know_cannot_be_changed(systems: Systems, tmp_path: Path) -> None:
    async with service(systems, tmp_path, {}) as building:
        acme, other = await tenant(building), await tenant(building)
        async with building.phones(acme, other) as (ours, theirs):
            call = await ours.dial(theirs.username)
            await fetch(building.databases["kamailio"], "DELETE FROM dialog")
            await killed_and_started(building.kamailio)
            assert await ours.hold(call) == NO_SUCH_CALL
            assert await ours.hang_up(call) == 200


async def test_a_call_that_rang_while_its_server_was_killed_does_not_begin(systems: Systems, tmp_path: Path) -> None:
    async with service(systems, tmp_path, {}) as building:
        acme, other = await tenant(building), await tenant(building)
        async with building.phones(acme, other) as (ours, theirs):
            arrived, receive = list[bytes](), theirs.datagram_received

            def noted(data: bytes, addr: tuple[str, int]) -> None:
                arrived.append(data.partition(b" ")[0])
                receive(data, addr)

            theirs.answers, theirs.datagram_received = False, noted  # type: ignore[method-assign]
            dialled = asyncio.create_task(ours.dial(theirs.username))
            await eventually(lambda: theirs.rang)
            await killed_and_started(building.kamailio)
            theirs.take()
            call = await dialled
            assert await ours.hold(call) == NO_SUCH_CALL
            assert await ours.hang_up(call) == 200
            assert set(arrived) == {b"INVITE", b"BYE"}, "without an ACK a telephone hangs up by itself"


async def test_a_database_from_before_calls_were_kept_gets_their_tables(systems: Systems, tmp_path: Path) -> None:
    kamailio = systems.server.dsn("kamailio")
    await fetch(kamailio, "DROP TABLE dialog")
    await fetch(kamailio, "DELETE FROM version WHERE table_name = 'dialog'")
    await asyncio.to_thread(prepare_databases, systems.server)
    async with service(systems, tmp_path, {}) as building:
        acme, other = await tenant(building), await tenant(building)
        async with building.phones(acme, other) as (ours, theirs):
            call = await ours.dial(theirs.username)
            assert call.code == 200
            assert len(await fetch(kamailio, "SELECT FROM dialog WHERE callid = $1", call.key)) == 1


async def test_a_line_goes_on_while_a_server_does_not_answer(systems: Systems, tmp_path: Path) -> None:
    async with service(systems, tmp_path, {}, probe_lines=False) as building:
        kamailio = building.kamailio.process
        assert kamailio
        signal_family(kamailio.pid, signal.SIGSTOP)
        try:
            await tenant(building)
        finally:
            signal_family(kamailio.pid, signal.SIGCONT)


async def test_the_stock_schema_works_once_it_is_prepared(systems: Systems, tmp_path: Path) -> None:
    server = systems.server
    await load_stock(server, "stock")
    prepared = await prepare(for_preparation(server, telephony="stock"))
    assert any("column subscriber.in_service added" in line for line in prepared)
    await run_scripts(server.dsn("stock"), DEPLOY / "kamailio/grants.sql")
    dsn = SecretStr(server.dsn("stock", "sip_prov"))
    async with service(systems, tmp_path, {"database": "stock"}, telephony_dsn=dsn) as building:
        acme, other = await tenant(building), await tenant(building)
        async with building.phones(acme, other) as (ours, theirs):
            for _ in range(2):
                await building.command(acme, "suspend")
                assert await ours.register() == REFUSED
                assert await ours.call(theirs.username) == REFUSED
                assert await theirs.call(ours.username) == UNKNOWN
                await building.command(acme, "unsuspend")
                assert await theirs.call(ours.username) == AWAY
                assert await ours.register() == 200
                assert await theirs.call(ours.username) == 200
    assert len(await fetch(server.dsn("stock"), "SELECT FROM subscriber")) == 2


async def load_stock(server: EmbeddedPostgres, database: str) -> None:
    """A database as `kamdbctl create` makes it, with the modules that a registrar loads, and some more."""
    scripts = [STOCK / f"{module}-create.sql" for module in MODULES]
    await run_scripts(await server.ensure_database(database), *scripts)
