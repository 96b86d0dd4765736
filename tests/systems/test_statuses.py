"""What telephones and routers get from the real servers in every status, from the next request on (PRODUCT.md 3, 5)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from activities.secrets import ha1
from tests.support.databases import fetch
from tests.support.router import REJECTED, Login, Router, admitted
from tests.support.service import number
from tests.support.waiting import eventually
from tests.systems.phone import Phone
from tests.systems.sampling import sampling
from tests.systems.service import DOMAIN, Building

INTERNET = {"down_mbps": 100, "up_mbps": 20, "vlan": 110}
ADMITTED = admitted(100, 20, 110)
NO_SUCH_LINE, REFUSED, UNKNOWN, NOT_AUTHENTICATED, AWAY = 401, 403, 404, 407, 480


@pytest_asyncio.fixture(scope="session")
async def neighbour(building: Building) -> str:
    """Another client, with one line, that is active throughout."""
    return await building.create(type="virtual", name="Neighbour", lines=[{"number": number()}])


async def tenant(building: Building, **record: Any) -> str:
    """A client with a line and internet access."""
    return await building.create(lines=[{"number": number(), "office": "3.12"}], internet=INTERNET, **record)


@dataclass(frozen=True)
class Served:
    """What a telephone is answered when it registers, calls and is called, and what a router is with PAP and CHAP."""

    register: int
    outgoing: int
    incoming: int
    pap: Login
    chap: Login


NEVER_IN_SERVICE = Served(NO_SUCH_LINE, NOT_AUTHENTICATED, UNKNOWN, REJECTED, REJECTED)
IN_SERVICE = Served(200, 200, 200, ADMITTED, ADMITTED)
CEASED = Served(REFUSED, REFUSED, UNKNOWN, REJECTED, REJECTED)


@dataclass(frozen=True)
class Premises:
    """What a client has from the start: telephone and router, both configured for it; and whom it calls."""

    router: Router
    radius: dict[str, str]
    ours: Phone
    theirs: Phone

    async def served(self) -> Served:
        """What is had now; the telephone registers first."""
        return Served(
            await self.ours.register(),
            await self.ours.call(self.theirs.username),
            await self.theirs.call(self.ours.username),
            await self.log_in(),
            await self.log_in(chap=True),
        )

    async def log_in(self, *, chap: bool = False) -> Login:
        return await self.router.log_in(self.radius["username"], self.radius["password"], chap=chap)

    async def admitted(self) -> bool:
        """Whether a login comes off."""
        return (await self.log_in()).accepted


@asynccontextmanager
async def premises(building: Building, client_id: str, neighbour: str) -> AsyncIterator[Premises]:
    """A client's first line and its account, and the telephone of the neighbour, which is registered."""
    radius = (await building.credentials(client_id))["radius"] or {"username": client_id, "password": "none yet"}
    async with await building.phone(client_id) as ours, await building.phone(neighbour) as theirs:
        assert await theirs.register() == 200
        yield Premises(building.router, radius, ours, theirs)


async def test_every_status_is_what_the_servers_do(building: Building, neighbour: str) -> None:
    acme = await tenant(building, activation="manual")
    async with premises(building, acme, neighbour) as its:
        # New: the systems do not know it
        assert await its.served() == NEVER_IN_SERVICE
        # Active: in service, and nobody has registered yet
        await building.command(acme, "activate")
        assert await its.theirs.call(its.ours.username) == AWAY
        assert await its.served() == IN_SERVICE
        # Suspended: the telephone was registered, and is not any more
        await building.command(acme, "suspend", source="billing", reason="unpaid")
        assert await its.theirs.call(its.ours.username) == UNKNOWN
        assert await its.served() == CEASED
        # Active again, but for the registration
        await building.command(acme, "unsuspend", source="billing")
        assert await its.theirs.call(its.ours.username) == AWAY
        assert await its.served() == IN_SERVICE
        # Decommissioned
        await building.command(acme, "decommission")
        assert await its.theirs.call(its.ours.username) == UNKNOWN
        assert await its.served() == CEASED
        assert its.theirs.rang == [its.ours.username] * 2
        assert its.ours.rang == [its.theirs.username] * 2
    assert await building.credentials(acme) == (await building.credentials(neighbour)) | {"sip": [], "radius": None}


async def test_a_new_client_with_a_hold_is_suspended_when_it_is_activated_and_nothing_was_ever_on(
    building: Building, neighbour: str
) -> None:
    acme = await tenant(building, activation="manual")
    async with premises(building, acme, neighbour) as its:
        async with sampling("telephone", its.ours.register) as registrations, sampling("router", its.admitted) as tried:
            assert (await building.command(acme, "suspend", source="billing"))["status"] == "new"
            assert (await building.command(acme, "activate"))["status"] == "suspended"
        assert {sample.code for sample in registrations.taken} == {NO_SUCH_LINE}
        assert {sample.code for sample in tried.taken} == {False}
        assert await its.served() == NEVER_IN_SERVICE
        await building.command(acme, "unsuspend", source="billing")
        assert await its.served() == IN_SERVICE


async def test_a_new_client_that_is_decommissioned_was_never_in_service(building: Building, neighbour: str) -> None:
    acme = await tenant(building, activation="manual")
    async with premises(building, acme, neighbour) as its:
        assert (await building.command(acme, "decommission"))["status"] == "decommissioned"
        assert await its.served() == NEVER_IN_SERVICE


async def test_a_suspended_client_that_is_decommissioned_stays_off(building: Building, neighbour: str) -> None:
    acme = await tenant(building)
    async with premises(building, acme, neighbour) as its:
        assert await its.served() == IN_SERVICE
        await building.command(acme, "suspend", source="billing")
        async with sampling("telephone", its.ours.register) as registrations, sampling("router", its.admitted) as tried:
            assert (await building.command(acme, "decommission"))["status"] == "decommissioned"
        assert {sample.code for sample in registrations.taken} == {REFUSED}
        assert {sample.code for sample in tried.taken} == {False}
        assert await its.served() == CEASED


@pytest.mark.parametrize(("command", "status"), [("suspend", "suspended"), ("decommission", "decommissioned")])
async def test_what_is_planned_happens_on_the_servers_at_its_instant(
    building: Building, neighbour: str, command: str, status: str
) -> None:
    lead, looked = timedelta(seconds=1.5), False
    while not looked:  # before its instant; a busy machine needs longer
        acme = await tenant(building)
        async with premises(building, acme, neighbour) as its:
            at = datetime.now(UTC) + lead
            answer = await building.api.post(f"/clients/{acme}/{command}", json={"at": at.isoformat()})
            served = await its.served()
            looked, lead = datetime.now(UTC) < at, 2 * lead
            if looked:
                assert (answer.status_code, served) == (200, IN_SERVICE), answer.text
                assert answer.json()["status"] == "active"
                await eventually(its.served, equal=CEASED)
                assert datetime.now(UTC) >= at
    answer = await building.api.get(f"/clients/{acme}")
    assert answer.json()["status"] == status


async def test_a_conversion_to_residential_keeps_the_telephone_and_brings_the_internet(
    building: Building, neighbour: str
) -> None:
    line = {"number": number()}
    acme = await building.create(type="virtual", lines=[line])
    async with premises(building, acme, neighbour) as its:
        assert await its.served() == replace(IN_SERVICE, pap=REJECTED, chap=REJECTED)
        async with sampling("telephone", its.ours.register) as registrations:
            moved = [{**line, "office": "3.12"}]
            await building.command(acme, "convert", to="residential", lines=moved, internet=INTERNET)
        assert {sample.code for sample in registrations.taken} == {200}
    async with premises(building, acme, neighbour) as its:
        assert await its.served() == IN_SERVICE


async def test_a_line_and_the_internet_that_are_given_up_end_and_the_other_line_goes_on(
    building: Building, neighbour: str
) -> None:
    left, removed = ({"number": number(), "office": "3.12"} for _ in range(2))
    acme = await building.create(lines=[removed, left], internet=INTERNET)
    async with premises(building, acme, neighbour) as its, await building.phone(acme, 1) as other:
        assert await its.served() == IN_SERVICE
        assert await other.register() == 200
        view = await building.command(acme, "services", remove_lines=[removed["number"]], internet="none")
        assert view["status"] == "active"
        assert await its.theirs.call(other.username) == 200
        assert await its.served() == CEASED
        assert await other.register() == 200
        assert await other.call(its.theirs.username) == 200
    only = await building.credentials(acme)
    assert ([login["number"] for login in only["sip"]], only["radius"]) == ([left["number"]], None)


async def test_a_conversion_to_virtual_keeps_the_telephone_and_ends_the_internet(building: Building) -> None:
    acme = await tenant(building)
    radius = (await building.credentials(acme))["radius"]
    async with await building.phone(acme) as phone:
        assert await phone.register() == 200
        assert await building.log_in(acme) == ADMITTED
        await building.command(acme, "convert", to="virtual")
        assert await phone.register() == 200
        assert (await building.credentials(acme))["radius"] is None
        assert await building.router.log_in(radius["username"], radius["password"]) == REJECTED


async def test_a_change_of_rates_counts_at_the_next_login(building: Building) -> None:
    acme = await tenant(building)
    await building.command(acme, "services", internet={"down_mbps": 500, "up_mbps": 100, "vlan": 7})
    assert await building.log_in(acme) == admitted(500, 100, 7)


async def test_a_number_let_again_does_not_know_the_old_password(building: Building) -> None:
    line = {"number": number()}
    before = await building.create(type="virtual", name="Before", lines=[line])
    async with await building.phone(before) as old:
        assert await old.register() == 200
        await building.command(before, "services", remove_lines=[line["number"]])
        after = await building.create(type="virtual", name="After", lines=[line])
        async with await building.phone(after) as new:
            assert await old.register() == NO_SUCH_LINE
            assert await new.register() == 200
            assert await old.call(new.username) == 407
            assert await old.register() == NO_SUCH_LINE


async def test_a_wrong_password_gets_nobody_in(building: Building) -> None:
    acme = await tenant(building)
    credentials = await building.credentials(acme)
    login = credentials["sip"][0]
    async with Phone(login["username"], "guessed", DOMAIN, ("127.0.0.1", building.kamailio.port)) as phone:
        assert await phone.register() == NO_SUCH_LINE
    assert await building.router.log_in(acme, "guessed") == REJECTED


async def test_a_line_from_before_connect_keeps_its_secret_which_is_not_told(building: Building) -> None:
    line = {"number": number(), "office": "1"}
    username = line["number"].removeprefix("+")
    await fetch(
        building.databases["kamailio"],
        "INSERT INTO subscriber (username, domain, ha1, in_service) VALUES ($1, $2, $3, 0)",
        *(username, DOMAIN, ha1(username, DOMAIN, "from long ago")),
    )
    acme = await building.create(lines=[line, {"number": number(), "office": "2"}])
    old, new = (await building.credentials(acme))["sip"]
    assert old == {"number": line["number"], "username": username, "password": None}
    assert new["password"]
    async with Phone(username, "from long ago", DOMAIN, ("127.0.0.1", building.kamailio.port)) as phone:
        assert await phone.register() == 200
