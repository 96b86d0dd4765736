"""What telephones and routers get from the real servers in every status, from the next request on (PRODUCT.md 3, 5)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest_asyncio

from activities.secrets import ha1
from tests.starter.house import number
from tests.systems.phone import Phone
from tests.systems.router import REJECTED, admitted
from tests.systems.service import DOMAIN, Building
from tests.waiting import eventually

INTERNET = {"down_mbps": 100, "up_mbps": 20, "vlan": 110}
ADMITTED = admitted(100, 20, 110)
NO_SUCH_LINE, REFUSED, UNKNOWN, AWAY = 401, 403, 404, 480


@pytest_asyncio.fixture(scope="session")
async def neighbour(building: Building) -> str:
    """Another client, with one line, that is active throughout."""
    return await building.create(type="virtual", name="Neighbour", lines=[{"number": number()}])


async def tenant(building: Building, **record: Any) -> str:
    """A client with a line and internet access."""
    return await building.create(lines=[{"number": number(), "office": "3.12"}], internet=INTERNET, **record)


async def test_every_status_is_what_the_servers_do(building: Building, neighbour: str) -> None:
    acme = await tenant(building, activation="manual")
    radius = (await building.credentials(acme))["radius"]
    async with await building.phone(acme) as ours, await building.phone(neighbour) as theirs:
        assert await theirs.register() == 200

        async def in_service() -> None:
            assert await theirs.call(ours.username) == AWAY  # in service, and nobody has registered (again)
            assert await ours.register() == 200
            assert await ours.call(theirs.username) == 200
            assert await theirs.call(ours.username) == 200
            assert await building.log_in(acme) == ADMITTED

        # New: the systems do not know it
        assert await ours.register() == NO_SUCH_LINE
        assert await theirs.call(ours.username) == UNKNOWN
        assert await building.log_in(acme) == REJECTED
        # Active
        await building.tell(acme, "activate")
        await in_service()
        # Suspended: the telephone was registered, and is not any more
        await building.tell(acme, "suspend", source="billing", reason="unpaid")
        assert await theirs.call(ours.username) == UNKNOWN
        assert await ours.call(theirs.username) == REFUSED
        assert await ours.register() == REFUSED
        assert await building.log_in(acme) == REJECTED
        # Active again
        await building.tell(acme, "unsuspend", source="billing")
        await in_service()
        # Decommissioned
        await building.tell(acme, "decommission")
        assert await ours.register() == REFUSED
        assert await ours.call(theirs.username) == REFUSED
        assert await theirs.call(ours.username) == UNKNOWN
        assert await building.router.log_in(radius["username"], radius["password"]) == REJECTED
        assert theirs.rang == [ours.username] * 2
        assert ours.rang == [theirs.username] * 2
    assert await building.credentials(acme) == (await building.credentials(neighbour)) | {"sip": [], "radius": None}


async def test_a_planned_suspension_happens_on_the_servers_at_its_instant(building: Building) -> None:
    acme = await tenant(building)
    at = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    async with await building.phone(acme) as phone:
        assert (await building.tell(acme, "suspend", at=at))["status"] == "active"
        assert await phone.register() == 200
        assert await building.log_in(acme) == ADMITTED

        async def refused() -> bool:
            return await phone.register() == REFUSED and await building.log_in(acme) == REJECTED

        await eventually(refused)
        assert datetime.now(UTC) >= datetime.fromisoformat(at)


async def test_a_conversion_to_virtual_keeps_the_telephone_and_ends_the_internet(building: Building) -> None:
    acme = await tenant(building)
    radius = (await building.credentials(acme))["radius"]
    async with await building.phone(acme) as phone:
        assert await phone.register() == 200
        assert await building.log_in(acme) == ADMITTED
        await building.tell(acme, "convert", to="virtual")
        assert await phone.register() == 200
        assert (await building.credentials(acme))["radius"] is None
        assert await building.router.log_in(radius["username"], radius["password"]) == REJECTED


async def test_a_change_of_rates_counts_at_the_next_login(building: Building) -> None:
    acme = await tenant(building)
    await building.tell(acme, "services", internet={"down_mbps": 500, "up_mbps": 100, "vlan": 7})
    assert await building.log_in(acme) == admitted(500, 100, 7)


async def test_a_number_let_again_does_not_know_the_old_password(building: Building) -> None:
    line = {"number": number()}
    before = await building.create(type="virtual", name="Before", lines=[line])
    async with await building.phone(before) as old:
        assert await old.register() == 200
        await building.tell(before, "services", remove_lines=[line["number"]])
        after = await building.create(type="virtual", name="After", lines=[line])
        async with await building.phone(after) as new:
            assert await old.register() == NO_SUCH_LINE
            assert await new.register() == 200
            assert await old.call(new.username) == 407
            assert await old.register() == NO_SUCH_LINE


async def test_a_wrong_password_gets_nobody_in(building: Building) -> None:
    acme = await tenant(building)
    told = await building.credentials(acme)
    login = told["sip"][0]
    async with Phone(login["username"], "guessed", DOMAIN, ("127.0.0.1", building.kamailio.port)) as phone:
        assert await phone.register() == NO_SUCH_LINE
    assert await building.router.log_in(acme, "guessed") == REJECTED


async def test_a_line_from_before_connect_keeps_its_secret_which_is_not_told(building: Building) -> None:
    line = {"number": number(), "office": "1"}
    username = line["number"].removeprefix("+")
    connection = await asyncpg.connect(building.databases["kamailio"])
    try:
        await connection.execute(
            "INSERT INTO subscriber (username, domain, ha1, in_service) VALUES ($1, $2, $3, 0)",
            *(username, DOMAIN, ha1(username, DOMAIN, "from long ago")),
        )
    finally:
        await connection.close()
    acme = await building.create(lines=[line, {"number": number(), "office": "2"}])
    old, new = (await building.credentials(acme))["sip"]
    assert old == {"number": line["number"], "username": username, "password": None}
    assert new["password"]
    async with Phone(username, "from long ago", DOMAIN, ("127.0.0.1", building.kamailio.port)) as phone:
        assert await phone.register() == 200
