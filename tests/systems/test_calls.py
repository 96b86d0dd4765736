"""Calls in progress: a line that goes off loses them, on the real server, and both telephones hear of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.databases import fetch
from tests.support.service import number
from tests.support.waiting import eventually
from tests.systems.phone import wait_ended
from tests.systems.service import Building, Systems, running_service
from workflows.domain.systems import TELEPHONY

REFUSED = 403


@pytest_asyncio.fixture(scope="module")
async def lenient(systems: Systems) -> AsyncIterator[Building]:
    """The same systems, where calls in progress may finish, and what is off is looked at again soon."""
    async with running_service(systems, calls_in_progress="finish", watch_every_seconds=0.3) as lenient:
        yield lenient


async def tenant(building: Building, *protected: bool) -> str:
    """A client with one line, or with one for each that is said to be protected or not."""
    protections = protected or (False,)
    return await building.create(type="virtual", lines=[{"number": number(), "protected": p} for p in protections])


async def evidence(building: Building, client_id: str) -> dict[str, dict[str, Any]]:
    """What was last found of each line, by number; "" is the method."""
    [row] = await fetch(
        building.databases["connect"],
        """SELECT findings, method, kind FROM proofs WHERE client_id = $1 AND system = 'telephony'
        ORDER BY at DESC LIMIT 1""",
        client_id,
    )
    found = {it["subject"]: it for it in json.loads(row["findings"])}
    return found | {"": {"method": row["method"], "kind": row["kind"]}}


async def wait_for_text(building: Building, path: str, words: str) -> None:
    """Until the API shows these words there."""

    async def found() -> bool:
        return words in (await building.api.get(path)).text

    await eventually(found)


@pytest.mark.parametrize("as_caller", [True, False], ids=["as caller", "as callee"])
async def test_a_call_in_progress_ends_at_suspension(building: Building, as_caller: bool) -> None:
    acme, other = await tenant(building), await tenant(building)
    async with building.phones(acme, other) as (ours, theirs):
        caller, callee = (ours, theirs) if as_caller else (theirs, ours)
        call = await caller.dial(callee.username)
        assert call.code == 200
        await building.command(acme, "suspend")
        await wait_ended(call, caller, callee)
        assert await theirs.register() == 200
    found = await evidence(building, acme)
    seen = found[f"+{ours.username}"]["seen"]
    assert seen["calls"] == seen["registrations"] == seen["registrations_by_rpc"] == "0"
    assert seen["register"] == "403"
    assert found[""]["method"] == (
        "subscriber and location, read back on another connection; calls and registrations asked of 1 Kamailio by "
        "JSON-RPC; a REGISTER without Contact"
    )


async def test_calls_of_others_go_on(building: Building) -> None:
    acme, one, two = await tenant(building), await tenant(building), await tenant(building)
    async with building.phones(one, two) as (ours, theirs):
        call = await ours.dial(theirs.username)
        await building.command(acme, "suspend")
        assert await ours.hang_up(call) == 200
        assert ours.ended == []


async def test_whom_a_call_is_for_is_what_was_dialled_not_what_the_telephone_says(building: Building) -> None:
    acme, other = await tenant(building), await tenant(building)
    async with building.phones(acme, other) as (ours, theirs):
        call = await theirs.dial(ours.username, to="somebody-else")
        assert call.code == 200
        await building.command(acme, "suspend")
        await wait_ended(call, theirs, ours)


async def test_a_call_that_rings_at_suspension_ends_when_it_is_answered(building: Building) -> None:
    acme, other = await tenant(building), await tenant(building)
    async with building.phones(acme, other) as (ours, theirs):
        ours.answers = False
        dialled = asyncio.create_task(theirs.dial(ours.username))
        await eventually(lambda: ours.rang)
        answer = await building.api.post(f"/clients/{acme}/suspend", json={})
        assert answer.status_code in (200, 202)
        await wait_for_text(building, f"/clients/{acme}", "a call from before still rings")
        ours.take()
        call = await dialled
        assert call.code == 200
        await wait_ended(call, theirs, ours)


async def test_calls_finish_where_settings_say_so_and_the_evidence_counts_them(lenient: Building) -> None:
    acme, other = await tenant(lenient), await tenant(lenient)
    async with lenient.phones(acme, other) as (ours, theirs):
        call = await ours.dial(theirs.username)
        assert (await lenient.command(acme, "suspend"))["provisioning"] == "settled"
        assert (await evidence(lenient, acme))[f"+{ours.username}"]["seen"]["calls"] == "1"
        await lenient.rounds(TELEPHONY)
        assert "alive" not in (await lenient.api.get(f"/clients/{acme}/history")).text, "a call that may finish is not"
        assert await ours.hold(call) == 200
        assert await ours.register() == REFUSED
        assert ours.ended == theirs.ended == []
        assert await ours.hang_up(call) == 200


async def test_a_protected_line_keeps_its_call_and_its_registration_through_a_suspension(building: Building) -> None:
    acme, other = await tenant(building, True, False), await tenant(building)
    async with (
        await building.phone(acme, 0) as lift,
        await building.phone(acme, 1) as clients,
        await building.phone(other) as theirs,
    ):
        for phone in (lift, clients, theirs):
            assert await phone.register() == 200
        call = await lift.dial(theirs.username)
        assert call.code == 200
        await building.command(acme, "suspend")
        assert await clients.register() == REFUSED
        assert await lift.hang_up(call) == 200
        assert lift.ended == []
        assert await theirs.call(lift.username) == 200, "still registered"
    found = await evidence(building, acme)
    assert found[f"+{lift.username}"]["seen"]["protected"] == "left in service"
    assert found[f"+{lift.username}"]["seen"]["register"] == "200"
    assert "protected" not in found[f"+{clients.username}"]["seen"]
    assert [found[f"+{phone.username}"]["in_service"] for phone in (lift, clients)] == [True, False]


async def test_a_telephone_that_registers_by_a_second_way_is_found_switched_off_again_and_told_once(
    lenient: Building,
) -> None:
    acme = await tenant(lenient)
    async with await lenient.phone(acme) as phone:
        assert await phone.register() == 200
        registrations = "SELECT to_jsonb(l)::text AS row FROM location l WHERE username = $1"
        [registration] = await fetch(lenient.databases["kamailio"], registrations, phone.username)
        await lenient.command(acme, "suspend")
        by_another = "INSERT INTO location SELECT (jsonb_populate_record(NULL::location, $1::text::jsonb)).*"
        await fetch(lenient.databases["kamailio"], by_another, registration["row"])
        await eventually(lambda: fetch(lenient.databases["kamailio"], registrations, phone.username), equal=[])
        assert await phone.register() == REFUSED
        await lenient.rounds(TELEPHONY, 3)
        history = (await lenient.api.get(f"/clients/{acme}/history")).json()["items"]
        assert sum("Telephone lines found alive again: " in line["text"] for line in history) == 1
