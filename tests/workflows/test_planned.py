"""Planned changes: they happen, are replaced, cancelled, refused when due, and meet each other."""

from datetime import UTC, date, datetime, timedelta

from tests.support.workflows import Service, london_day


def test_the_days_of_these_tests_are_londons() -> None:
    """Where it is tomorrow already, in summer, for the last hour of a day in UTC."""
    assert london_day(datetime(2027, 7, 1, 23, 30, tzinfo=UTC)) == date(2027, 7, 2)
    assert london_day(datetime(2027, 12, 1, 23, 30, tzinfo=UTC)) == date(2027, 12, 1)


async def test_a_planned_decommission_happens_after_the_last_day_and_ends_the_workflow_proven_off(
    service: Service,
) -> None:
    handle = await service.start()
    planned = await service.command(handle, "decommission", last_day=str(service.day(20)))
    assert planned.status == "active"
    assert planned.planned[0].local_time == f"{service.day(21)} 00:00 Europe/London"

    await service.skip(handle, timedelta(days=19))
    assert (await service.view(handle)).status == "active"
    await service.skip(handle, timedelta(days=3))

    ended = await handle.result()
    assert (ended.status, ended.provisioning, ended.planned) == ("decommissioned", "settled", [])
    assert not any(service.telephony.lines.values())
    assert not service.internet.subjects[ended.client_id].on
    assert service.telephony.orders[-1].release == ["+442079460001", "+442079460002"]


async def test_a_decommission_planned_again_replaces_the_date_and_both_are_in_the_history(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "decommission", last_day=str(service.day(5)))
    again = await service.command(handle, "decommission", last_day=str(service.day(50)))
    assert [p.kind for p in again.planned] == ["decommission"]
    await service.skip(handle, timedelta(days=20))
    view = await service.settled(handle)
    assert view.status == "active"
    lines = [text for text in service.directory.texts_of(view.client_id) if "decommission" in text]
    assert [str(service.day(6)) in lines[0], str(service.day(51)) in lines[1], str(service.day(6)) in lines[1]] == [
        True
    ] * 3


async def test_a_cancelled_decommission_never_happens(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "decommission", last_day=str(service.day(5)))
    cancelled = await service.command(handle, "cancel_scheduled_decommission")
    assert (cancelled.changed, cancelled.planned) == (True, [])
    await service.skip(handle, timedelta(days=10))
    assert (await service.settled(handle)).status == "active"


async def test_a_suspended_client_keeps_its_planned_decommission_and_cancelling_it_keeps_the_suspension(
    service: Service,
) -> None:
    handle = await service.start()
    await service.command(handle, "decommission", last_day=str(service.day(5)))
    suspended = await service.command(handle, "suspend", source="billing")
    assert [p.kind for p in suspended.planned] == ["decommission"]
    cancelled = await service.command(handle, "cancel_scheduled_decommission")
    assert (cancelled.status, cancelled.planned) == ("suspended", [])


async def test_a_decommission_that_is_due_while_suspended_ends_the_client(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "decommission", last_day=str(service.day(5)))
    await service.command(handle, "suspend", source="billing")
    await service.skip(handle, timedelta(days=7))
    ended = await handle.result()
    assert (ended.status, ended.holds) == ("decommissioned", [])
    assert service.telephony.orders[-1].revision > service.telephony.orders[-2].revision


async def test_a_plan_that_became_illegal_is_recorded_as_refused_when_it_is_due(service: Service) -> None:
    handle = await service.start()
    await service.command(
        handle, "change_services", remove_lines=["+442079460002"], last_day=str(service.day(5)), command_id="later"
    )
    await service.command(handle, "change_services", remove_lines=["+442079460002"])
    await service.skip(handle, timedelta(days=7))
    view = await service.settled(handle)
    assert view.status == "active"
    refused = [text for text in service.directory.texts_of(view.client_id) if text.startswith("refused")]
    assert len(refused) == 1
    assert "+442079460002" in refused[0]
    assert [(matter.matter, matter.kind) for matter in view.matters] == [("plan:later", "plan_refused")]
    assert [action.possible for action in view.actions if action.kind == "acknowledge"] == [True]
    await service.signal(handle, "acknowledge", {"matter": "plan:later", "by": "olga"})
    assert (await service.until(handle, lambda view: not view.matters)).provisioning
    assert "decided: Acknowledged: plan:later" in service.directory.texts_of((await service.settled(handle)).client_id)


async def test_a_client_ends_though_nobody_has_looked_at_its_refused_plan(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "change_services", remove_lines=["+442079460002"], last_day=str(service.day(2)))
    warned = await service.command(handle, "change_services", remove_lines=["+442079460002"])
    assert [warning.code for warning in warned.warnings] == ["plan_blocked"]
    await service.skip(handle, timedelta(days=4))
    assert (await service.settled(handle)).matters
    await service.command(handle, "decommission")
    assert (await handle.result()).matters == []


async def test_a_suspension_and_its_end_can_both_be_planned(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "suspend", last_day=str(service.day(2)), source="operator", reason="refit")
    await service.command(handle, "unsuspend", last_day=str(service.day(6)), source="operator")
    await service.skip(handle, timedelta(days=4))
    assert (await service.settled(handle)).status == "suspended"
    assert not any(service.telephony.lines.values())
    await service.skip(handle, timedelta(days=5))
    assert (await service.settled(handle)).status == "active"
    assert all(service.telephony.lines.values())


async def test_changes_that_came_due_while_no_worker_ran_happen_at_once_when_one_runs(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "suspend", last_day=str(service.day(1)))
    await service.command(handle, "decommission", last_day=str(service.day(9)))
    await service.skip(handle, timedelta(days=30))
    ended = await handle.result()
    assert ended.status == "decommissioned"
    assert [t for t in service.directory.texts_of(ended.client_id) if "Suspended by" in t]
