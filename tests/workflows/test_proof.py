"""Proof line by line: what is refused or silent stands alone, and what is off and found alive is ended again."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.waiting import HANGING
from tests.support.workflows import OFFICE_LINE, SECOND_LINE, Handle, Service
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Limits, Proof
from workflows.wire.views import ClientView

PATIENT = Limits(attempt=HANGING, first_pause=3600, longest_pause=3600)
RESTLESS = Limits(attempt=HANGING, first_pause=1, longest_pause=600)


def states(view: ClientView) -> dict[str, str]:
    """The state of each line."""
    return {subject.subject: subject.state for subject in view.systems[0].subjects}


async def test_one_refused_line_gets_attention_and_the_others_are_proven(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.telephony.doubts[SECOND_LINE.number] = (Proof.FAILED, "the row is refused")
    await service.command(handle, "suspend")
    view = await service.until(
        handle, lambda view: view.provisioning == "attention" and view.systems[1].state == "settled"
    )
    assert states(view) == {OFFICE_LINE.number: "proven", SECOND_LINE.number: "failed"}
    assert view.systems[0].actual == {OFFICE_LINE.number: "off", SECOND_LINE.number: "unknown"}
    assert view.systems[0].last_error == f"not done: {SECOND_LINE.number}: the row is refused"
    assert view.systems[0].attention_since is not None
    await service.until(handle, lambda _: service.directory.orders[-1].view.systems[0].state == "attention")
    service.telephony.doubts.clear()
    await service.command(handle, "retry", system="telephony")
    view = await service.settled(handle)
    assert set(states(view).values()) == {"proven"}


async def test_a_silent_router_is_not_proven_and_needs_a_person_only_when_patience_ends(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, first_pause=90, longest_pause=90))
    account = (await service.view(handle)).client_id
    service.internet.doubts[account] = (Proof.NOT_PROVEN, "10.0.0.1 did not answer")
    await service.command(handle, "suspend")
    view = await service.until(handle, lambda view: view.systems[1].state == "not_proven")
    assert view.provisioning == "changing"
    assert view.systems[1].subjects[0].why == "10.0.0.1 did not answer"
    assert view.systems[1].last_error == f"not proven: {account}: 10.0.0.1 did not answer"
    await service.skip(handle, timedelta(minutes=5))
    await service.until(handle, lambda view: view.systems[1].state == "attention")
    service.internet.doubts.clear()
    await service.skip(handle, timedelta(minutes=5))
    view = await service.settled(handle)
    assert view.systems[1].state == "settled"
    history = service.directory.texts_of(view.client_id)
    assert sum("10.0.0.1 did not answer" in line for line in history) == 2


async def seen_alive(service: Service, handle: Handle, **fields: object) -> None:
    alive = {SECOND_LINE.number: "registered"}
    await service.signal(handle, "report_drift", {"system": "telephony", "by": "connect", "alive": alive, **fields})


async def test_a_line_found_alive_is_drift_in_the_history_and_is_switched_off_again(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "suspend")
    await service.settled(handle)
    service.telephony.subjects[SECOND_LINE.number] = Desired(True)
    await seen_alive(service, handle)
    await service.until(handle, lambda _: len(service.telephony.orders) == 3)
    view = await service.settled(handle)
    assert service.telephony.lines[SECOND_LINE.number] is False
    assert (service.telephony.orders[-1].revived, len(service.internet.orders)) == (1, 2)
    found = f"attempted: Telephone lines found alive again: {SECOND_LINE.number}: registered"
    await service.until(handle, lambda _: found in service.directory.texts_of(view.client_id))


async def test_a_report_of_what_was_seen_before_the_proof_or_is_on_again_changes_nothing(service: Service) -> None:
    handle = await service.start()
    early = datetime.now(UTC)
    await service.command(handle, "suspend")
    before = await service.settled(handle)
    await seen_alive(service, handle, seen_at=early.isoformat())
    assert (await service.view(handle)).revision == before.revision
    await service.command(handle, "unsuspend")
    before = await service.settled(handle)
    await seen_alive(service, handle)
    assert (await service.view(handle)).revision == before.revision
    assert len(service.telephony.orders) == 3


async def test_what_is_alive_again_and_again_is_in_attention_until_it_has_been_quiet(service: Service) -> None:
    handle = await service.start(limits=RESTLESS)
    await service.command(handle, "suspend")
    await service.settled(handle)
    for times in (1, 2):
        await seen_alive(service, handle)
        await service.skip(handle, timedelta(seconds=2))
        await service.until(handle, lambda _, orders=2 + times: len(service.telephony.orders) == orders)
        view = await service.until(handle, lambda view: view.systems[0].actual == view.systems[0].desired)
    assert view.provisioning == "attention"
    assert view.systems[0].last_error.startswith("alive again, 2 times in a row")
    await service.skip(handle, timedelta(minutes=11))
    view = await service.settled(handle)
    assert (view.provisioning, view.systems[0].last_error) == ("settled", "")


async def test_a_decommissioned_client_ends_as_soon_as_it_is_proven_off(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "decommission")
    assert (await handle.result()).status == "decommissioned"


async def test_a_roll_brings_new_limits_to_a_client_of_old(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    await service.signal(handle, "roll", {"limits": {"first_pause": 1}})
    await service.settled(handle)
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    view = await service.until(handle, lambda view: view.provisioning == "attention")
    assert view.systems[0].next_attempt_at is not None
    assert view.systems[0].next_attempt_at < datetime.now(UTC) + timedelta(minutes=10)
    service.telephony.faults.down = False


async def test_limits_that_would_keep_a_client_from_working_are_refused(service: Service) -> None:
    handle = await service.start()
    client_id = (await service.view(handle)).client_id
    for limits in (
        {"attempt": 0},
        {"attempt": -1},
        {"first_pause": 1e300},
        {"longest_pause": float("inf")},
        {"recent": 0},
    ):
        await service.signal(handle, "roll", {"limits": limits})
    await service.command(handle, "suspend")
    assert (await service.settled(handle)).status == "suspended"
    await service.until(handle, lambda _: sum("refused: roll" in x for x in service.directory.texts_of(client_id)) == 5)


async def test_rotated_credentials_reach_both_systems_with_their_version(service: Service) -> None:
    handle = await service.start()
    answer = await service.command(handle, "rotate_credentials", reason="a telephone was stolen")
    assert (answer.changed, answer.secret_version) == (True, 2)
    await service.settled(handle)
    assert service.telephony.orders[-1].secret_version == service.internet.orders[-1].secret_version == 2
    assert set(service.telephony.lines.values()) == {True}


async def test_protected_lines_are_named_in_the_order_of_a_suspension(service: Service) -> None:
    lift = {"number": "+442079460009", "office": "Lift", "protected": True}
    handle = await service.start()
    await service.command(handle, "change_services", add_lines=[lift])
    await service.settled(handle)
    assert service.telephony.orders[-1].protected == []
    await service.command(handle, "suspend")
    view = await service.settled(handle)
    assert service.telephony.orders[-1].protected == ["+442079460009"]
    assert service.telephony.lines["+442079460009"] is True
    assert [s.protected for s in view.systems[0].subjects if s.desired == "on"] == [True]
    await service.command(handle, "decommission")
    await handle.result()
    assert not any(service.telephony.lines.values())


# -- ways out ---------------------------------------------------------------------------------------------------------


async def in_attention(service: Service) -> Handle:
    handle = await service.start(limits=PATIENT)
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "attention")
    return handle


async def test_a_retry_needs_no_patience(service: Service) -> None:
    handle = await in_attention(service)
    service.telephony.faults.down = False
    answer = await service.command(handle, "retry", system="telephony", reason="the exchange is back")
    assert answer.message == "Trying telephone lines again"
    assert (await service.settled(handle)).provisioning == "settled"


async def test_a_retry_that_fails_as_before_is_in_the_history_too(service: Service) -> None:
    handle = await in_attention(service)
    client_id = (await service.view(handle)).client_id

    def failures() -> int:
        return sum("not done: " in text for text in service.directory.texts_of(client_id))

    for times in (2, 3):
        await service.command(handle, "retry", system="telephony")
        await service.until(handle, lambda _, times=times: failures() == times)
    service.telephony.faults.down = False
    await service.command(handle, "retry", system="telephony")
    await service.settled(handle)
    assert failures() == 3


async def test_a_retry_does_not_wait_for_an_attempt_that_hangs(service: Service) -> None:
    handle = await service.start()
    service.telephony.faults.hold = hold = asyncio.Event()
    await service.command(handle, "suspend")
    await service.telephony.faults.reached.wait()
    service.telephony.faults.hold = None
    await service.command(handle, "retry", system="telephony")
    assert (await service.settled(handle)).provisioning == "settled"
    hold.set()


async def test_a_skipped_system_is_settled_in_the_directory_with_who_and_why(service: Service) -> None:
    handle = await in_attention(service)
    await service.command(handle, "skip", system="telephony", reason="line card on Monday")
    view = await service.settled(handle)
    assert view.systems[0].state == "skipped"
    assert view.systems[0].skipped is not None
    assert (view.systems[0].skipped.reason, view.systems[0].skipped.by) == ("line card on Monday", "tester")
    await service.until(handle, lambda _: service.directory.orders[-1].view.systems[0].state == "skipped")
    service.telephony.faults.down = False
    await service.command(handle, "unsuspend")
    view = await service.settled(handle)
    assert view.systems[0].state == "settled"


async def test_a_system_marked_done_says_by_whom(service: Service) -> None:
    handle = await in_attention(service)
    await service.command(handle, "mark_done", system="telephony", note="pulled the plug")
    view = await service.settled(handle)
    assert (view.systems[0].state, view.systems[0].method, view.systems[0].by) == ("settled", "by hand", "tester")
    assert set(view.systems[0].actual.values()) == {"off"}
    service.telephony.faults.down = False


@pytest.mark.parametrize(("word", "state"), [("mark_done", "settled"), ("skip", "skipped")])
async def test_an_attempt_that_fails_after_somebody_took_a_way_out_is_nothing_to_attend_to(
    service: Service, word: str, state: str
) -> None:
    handle = await service.start(limits=PATIENT)
    await service.settled(handle)
    service.telephony.faults.hold = hold = asyncio.Event()
    service.telephony.faults.reached.clear()
    await service.command(handle, "suspend")
    await service.telephony.faults.reached.wait()
    await service.command(handle, word, system="telephony", reason="pulled the plug")
    service.telephony.faults.down = True
    hold.set()
    await service.attempted(handle)
    view = await service.settled(handle)
    assert (view.systems[0].state, view.systems[0].last_error) == (state, "")
    service.telephony.faults.down = False


async def test_a_way_out_without_its_reason_changes_nothing_and_is_in_the_history(service: Service) -> None:
    handle = await in_attention(service)
    await service.signal(handle, "skip", {"system": "telephony", "by": "crm"})
    refused = "refused: skip: Signal skip is not valid: reason is missing. Give it"
    client_id = (await service.view(handle)).client_id
    await service.until(handle, lambda _: any(refused in line for line in service.directory.texts_of(client_id)))
    assert (await service.view(handle)).provisioning == "attention"
    service.telephony.faults.down = False


async def test_a_way_out_by_signal_is_taken_too(service: Service) -> None:
    handle = await in_attention(service)
    service.telephony.faults.down = False
    await service.signal(handle, "retry", {"system": "telephony", "by": "connect", "source": "recovery"})
    assert (await service.settled(handle)).provisioning == "settled"
