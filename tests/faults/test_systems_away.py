"""A system that is down, frozen, locked, or loses an answer: seen, waited out, and never in the other system's way."""

from dataclasses import replace

import pytest

from starter.local.postgres import EmbeddedPostgres
from tests.faults.conftest import QUICK, RealService
from tests.support.databases import frozen, locked
from tests.support.waiting import eventually
from tests.support.workflows import SERVICES, Handle
from workflows.domain.systems import TELEPHONY
from workflows.wire.views import ClientView


async def in_attention(service: RealService, handle: Handle) -> ClientView:
    """The client once its telephone system has been given up on for now."""
    return await service.until(handle, lambda view: view.provisioning == "attention" and view.systems[0].last_error)


async def wait_settled_off(service: RealService, handle: Handle, client_id: str, numbers: list[str]) -> None:
    """It recovers by itself, and all is off and shown so."""
    view = await service.settled(handle)
    assert view.status == "suspended"
    assert await service.lines_on(*numbers) == [False, False]
    assert not await service.internet_on(client_id)
    await eventually(lambda: service.state_of(client_id), equal=("suspended", "settled"))


async def test_a_database_that_is_down_during_a_change_is_shown_and_recovers_by_itself(
    real_service: RealService, telephony_server: EmbeddedPostgres
) -> None:
    handle, client_id, numbers = await real_service.start_real()
    telephony_server.stop()
    try:
        await real_service.command(handle, "suspend", source="billing")
        view = await in_attention(real_service, handle)
        assert "SystemUnavailable" in view.systems[0].last_error
        assert "telephony database" in view.systems[0].last_error
        assert not await real_service.internet_on(client_id)
        await eventually(lambda: real_service.state_of(client_id), equal=("suspended", "attention"))
    finally:
        telephony_server.start()
    await wait_settled_off(real_service, handle, client_id, numbers)


async def test_a_database_that_is_frozen_during_a_change_is_shown_and_recovers_by_itself(
    real_service: RealService, telephony_server: EmbeddedPostgres
) -> None:
    handle, client_id, numbers = await real_service.start_real()
    with frozen(telephony_server):
        await real_service.command(handle, "suspend", source="billing")
        await in_attention(real_service, handle)
        assert not await real_service.internet_on(client_id)
    await wait_settled_off(real_service, handle, client_id, numbers)


async def test_a_frozen_system_does_not_keep_the_other_from_its_proof_nor_the_caller_from_an_answer(
    real_service: RealService, telephony_server: EmbeddedPostgres
) -> None:
    handle = await real_service.start(limits=replace(QUICK, at_once=2), services=SERVICES)
    view = await real_service.view(handle)
    with frozen(telephony_server):
        answer = await real_service.command(handle, "suspend", source="billing")
        assert [system.state for system in answer.systems if system.system == TELEPHONY] == ["changing"]
        await real_service.until(handle, lambda view: view.systems[1].state == "settled")
        assert not await real_service.internet_on(view.client_id)
    await wait_settled_off(real_service, handle, view.client_id, [line.number for line in view.lines])


async def test_a_locked_table_is_shown_as_busy_and_the_change_follows_when_it_is_free(
    real_service: RealService, telephony_server: EmbeddedPostgres
) -> None:
    handle, client_id, numbers = await real_service.start_real()
    through_the_proxy = real_service.settings.telephony_dsn.get_secret_value()
    past_it = through_the_proxy.replace(f":{real_service.proxy.port}/", f":{telephony_server.port}/")
    async with locked(past_it, "subscriber"):
        await real_service.command(handle, "suspend", source="billing")
        view = await in_attention(real_service, handle)
        assert "SystemBusy" in view.systems[0].last_error
        assert not await real_service.internet_on(client_id)
    await wait_settled_off(real_service, handle, client_id, numbers)


async def test_a_lost_answer_to_commit_is_found_out_and_changes_nothing_twice(real_service: RealService) -> None:
    handle, client_id, numbers = await real_service.start_real()
    real_service.proxy.lose_after(b"COMMIT")
    await real_service.command(handle, "suspend", source="billing")
    await in_attention(real_service, handle)
    real_service.proxy.recover()
    await wait_settled_off(real_service, handle, client_id, numbers)
    async with real_service.databases.directory.read_only() as connection:
        proofs = await connection.fetch(
            "SELECT revision FROM proofs WHERE client_id = $1 AND system = 'telephony'", client_id
        )
    assert len({row["revision"] for row in proofs}) == len(proofs)


@pytest.mark.parametrize("order", [("suspend", "unsuspend"), ("unsuspend", "suspend")], ids=["then on", "then off"])
async def test_decisions_made_during_an_outage_end_in_the_last_one(
    real_service: RealService, telephony_server: EmbeddedPostgres, order: tuple[str, str]
) -> None:
    handle, client_id, numbers = await real_service.start_real()
    if order[0] == "unsuspend":
        await real_service.command(handle, "suspend")
        await real_service.settled(handle)
    with frozen(telephony_server):
        for kind in order:
            await real_service.command(handle, kind)
        await in_attention(real_service, handle)
    await real_service.settled(handle)
    on = order[1] == "unsuspend"
    assert await real_service.lines_on(*numbers) == [on, on]
    assert await real_service.internet_on(client_id) is on


async def test_a_directory_that_is_down_holds_up_no_switch_and_shows_everything_afterwards(
    real_service: RealService,
) -> None:
    handle, client_id, numbers = await real_service.start_real()
    async with locked(real_service.settings.directory_dsn.get_secret_value(), "clients, history, proofs"):
        await real_service.command(handle, "suspend", source="billing")
        await real_service.until(handle, lambda view: all(set(s.actual.values()) == {"off"} for s in view.systems))
        assert await real_service.lines_on(*numbers) == [False, False]
    await wait_settled_off(real_service, handle, client_id, numbers)
    rows = await real_service.databases.directory.read("SELECT text FROM history WHERE client_id = $1", client_id)
    history = [row["text"] for row in rows]
    assert [text for text in history if "Suspended by billing" in text]
    assert [text for text in history if "Telephone lines proven" in text]
