"""The steps of docs/systems.md, "Systems that were there before", on real servers that are full of living customers."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from activities.secrets import ha1
from starter.local.databases import DEPLOY
from tests.support.databases import fetch, run_scripts
from tests.support.router import Nas
from tests.support.service import number
from tests.support.waiting import free_udp_port
from tests.systems.phone import Phone
from tests.systems.service import DOMAIN, KEY, Systems
from tests.systems.test_lines_from_before import OPERATORS, SECRET, Town, town
from tests.systems.test_registrations import load_stock

DATABASE = "firstday"
REFUSED, OK = 403, 200


class Shell:
    """The command line, with the settings of a worker; its roles are the owners until the systems are prepared."""

    def __init__(self, systems: Systems, folder: Path) -> None:
        server = systems.server
        self._folder = folder
        self.settings = {
            "CONNECT_DIRECTORY_DSN": server.dsn("connect", "connect"),
            "CONNECT_TELEPHONY_DSN": server.dsn(DATABASE),
            "CONNECT_INTERNET_DSN": server.dsn("radius"),
            "CONNECT_MASTER_KEY": KEY,
            "CONNECT_SIP_DOMAIN": DOMAIN,
            "CONNECT_SIP_COUNTRY": "GB",
        }

    async def connect(self, *words: str) -> tuple[int, str]:
        """The exit status and what was printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "starter.cli.main", *words),
            env={**os.environ, **self.settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    def list_file(self, *rows: tuple[str, str]) -> str:
        file = self._folder / "list.csv"
        file.write_text("\n".join(["client_id,name", *(",".join(row) for row in rows)]), encoding="utf-8")
        return str(file)


@pytest_asyncio.fixture(scope="module")
async def operators(
    systems: Systems, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Town, Nas, Shell]]:
    """An operator's Kamailio on its own schema, and Connect beside it, which has not touched it."""
    folder = tmp_path_factory.mktemp("firstday")
    await load_stock(systems.server, DATABASE)
    shell = Shell(systems, folder)
    status, out = await shell.connect("systems", "prepare", "--check")
    assert status == 1
    assert "lacks table connect_fence" in out
    assert (await shell.connect("systems", "prepare"))[0] == 0
    await run_scripts(systems.server.dsn(DATABASE), DEPLOY / "kamailio/grants.sql")
    shell.settings["CONNECT_TELEPHONY_DSN"] = systems.server.dsn(DATABASE, "sip_prov")
    shell.settings["CONNECT_INTERNET_DSN"] = systems.server.dsn("radius", "radius_prov")
    status, out = await shell.connect("systems", "prepare", "--check")
    assert status == 0, out
    kind = {"database": DATABASE, "db_mode": 1, "configuration": OPERATORS}
    gear = '{"127.0.0.0/8": {"secret": "%s", "port": %d}}'
    port = free_udp_port()
    settings = {
        "telephony_dsn": shell.settings["CONNECT_TELEPHONY_DSN"],
        "nas": gear % (systems.secret, port),
        "disconnect_seconds": 0.7,
    }
    async with (
        town(systems, folder, kind, **settings, sip_country="GB", probe_lines=False) as it,
        Nas(systems.freeradius.port, systems.secret, port) as nas,
    ):
        yield it, nas, shell


async def subscriber(it: Town, username: str) -> Phone:
    sql = "INSERT INTO subscriber (username, domain, ha1) VALUES ($1, $2, $3)"
    await it.execute(sql, username, DOMAIN, ha1(username, DOMAIN, SECRET))
    return Phone(username, SECRET, DOMAIN, it.neighbour.proxy)


async def test_a_building_moves_to_connect_and_nobody_notices(
    operators: tuple[Town, Nas, Shell], systems: Systems
) -> None:
    it, nas, shell = operators
    one, two, three = number(), number(), number()
    acme = "from-before"
    await fetch(
        systems.server.dsn("radius"),
        "INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, 'Cleartext-Password', ':=', $2)",
        *(acme, SECRET),
    )
    async with (
        await subscriber(it, one) as plus,  # as +44…
        await subscriber(it, f"0{two[3:]}") as national,
    ):
        phones = [plus, national]
        assert [await phone.register() for phone in phones] == [OK, OK]
        assert (await nas.log_in(acme, SECRET)).accepted
        sessions = dict(nas.sessions)

        status, out = await shell.connect("systems", "prepare", "--check")
        assert status == 0
        assert f"{one}@{DOMAIN} is {one}" in out
        file = shell.list_file((acme, one), (acme, two), (acme, three), (acme, acme))
        status, dry = await shell.connect("systems", "adopt", "--check", "--file", file)
        assert status == 0, dry
        assert "3 adopted, 1 is not there, if it were done; nothing was changed" in dry
        status, done = await shell.connect("systems", "adopt", "--file", file)
        assert status == 0
        assert re.search(rf"{acme}\t\{one}\tadopted: \{one}@{DOMAIN} in service, 1 registered", done)
        status, again = await shell.connect("systems", "adopt", "--file", file)
        assert (status, "3 is ours already" in again) == (0, True), again

        lines = [{"number": line, "office": "1"} for line in (one, two, three)]
        record = {"client_id": acme, "name": "Acme Ltd", "type": "residential"}
        body = {**record, "lines": lines, "internet": {"down_mbps": 100, "up_mbps": 20, "vlan": 110}}
        assert await it.building.create(**body) == acme
        assert [await it.call(phone.username) for phone in phones] == [OK, OK], "they are still registered"
        assert nas.sessions == sessions, "and still online"
        credentials = await it.building.credentials(acme)
        assert [(login["username"], login["password"] is None) for login in credentials["sip"]] == [
            (one, True),
            (national.username, True),
            (three.removeprefix("+"), False),
        ]
        assert credentials["radius"] == {"username": acme, "password": None}

        await it.building.command(acme, "suspend")
        assert [await phone.register() for phone in phones] == [REFUSED, REFUSED]
        for name in (one, one[1:], f"00{one[1:]}", national.username, two, two[1:]):
            assert await it.call(name) != OK, name
        assert nas.sessions == {}
        assert not (await nas.log_in(acme, SECRET)).accepted

        await it.building.command(acme, "unsuspend")
        assert [await phone.register() for phone in phones] == [OK, OK], "with the old password"
        assert [await it.call(phone.username) for phone in phones] == [OK, OK]
        assert (await nas.log_in(acme, SECRET)).accepted
    rows = await fetch(it.dsn, "SELECT username FROM subscriber WHERE username ~ $1", f"({one[3:]}|{two[3:]})$")
    assert sorted(row["username"] for row in rows) == sorted(phone.username for phone in phones), "nobody has a twin"


async def test_what_cannot_be_taken_on_is_refused_and_the_rest_is_not(
    operators: tuple[Town, Nas, Shell], systems: Systems
) -> None:
    it, _, shell = operators
    one, two = number(), number()
    radius = systems.server.dsn("radius")
    for username, attribute, value in (("by-ldap", "Auth-Type", "LDAP"), ("Shouting", "Cleartext-Password", "x")):
        sql = "INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, $2, ':=', $3)"
        await fetch(radius, sql, username, attribute, value)
    await subscriber(it, one)
    await it.execute("INSERT INTO dbaliases (alias_username, username) VALUES ($1, $2)", two[1:], one)
    rows = [("acme-2", one), ("acme-2", two), ("by-ldap", "by-ldap"), ("shouting", "shouting")]
    status, out = await shell.connect("systems", "adopt", "--file", shell.list_file(*rows))
    assert status == 1
    assert "1 adopted, 3 refused" in out
    assert f"dbaliases gives {two[1:]} to {one}@{DOMAIN}" in out
    assert "it logs in by Auth-Type LDAP" in out
    assert "radcheck has Shouting instead" in out
    status, out = await shell.connect("systems", "adopt", "--file", shell.list_file(("acme-2", ""), ("acme-3", "+1")))
    assert (status, out.count("Nothing was done")) == (1, 1)
    await fetch(radius, "DELETE FROM radcheck WHERE username IN ('by-ldap', 'Shouting')")
