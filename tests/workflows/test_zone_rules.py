"""The rules of a time zone change while a client lives: what was decided stands, what is planned is resolved anew."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.support import zone_rules
from tests.support.workflows import Handle, Service, refusal_of, replay
from tests.support.zone_rules import AT_UTC, CASABLANCA, HOUR_AHEAD
from workflows.domain.dates import NamedDay, first_instant, resolve
from workflows.domain.lifecycle import Activation
from workflows.visibility import NEXT_CHANGE_AT

LAST = date(2199, 3, 31)
BEFORE, AFTER = datetime(2199, 3, 31, 23, tzinfo=UTC), datetime(2199, 4, 1, tzinfo=UTC)
MOVED = (
    "asked: Planned decommission: zone rules 2026f: now 2199-04-01 00:00 Africa/Casablanca, "
    "instead of 2199-03-31 23:00 Africa/Casablanca"
)


class Rules:
    """The zone rules of this process."""

    def __init__(self, stack: ExitStack, tmp_path: Path) -> None:
        self._stack, self._path = stack, tmp_path

    def become(self, version: str, zones: dict[str, str | None]) -> None:
        folder = zone_rules.rules(self._path / version, version, zones)
        self._stack.enter_context(zone_rules.in_use(folder))


@pytest.fixture
def rules(tmp_path: Path) -> Iterator[Rules]:
    """Rules of 2025, by which Casablanca is an hour ahead."""
    with ExitStack() as stack:
        rules = Rules(stack, tmp_path)
        rules.become("2025b", {**HOUR_AHEAD})
        yield rules


async def renew(service: Service, handle: Handle) -> None:
    await service.renew(handle)
    await service.settled(service.latest(handle))


def texts(service: Service, handle: Handle) -> list[str]:
    return service.directory.texts_of(handle.id.removeprefix("client-"))


async def test_a_plan_that_names_a_day_moves_with_the_rules_at_a_renewal_and_says_so(
    service: Service, rules: Rules
) -> None:
    handle = await service.start(timezone=CASABLANCA)
    (plan,) = (await service.command(handle, "decommission", last_day=str(LAST))).planned
    assert (plan.at, plan.day, plan.zone, plan.zone_rules) == (BEFORE, LAST, CASABLANCA, "2025b")

    rules.become("2026f", {**AT_UTC})
    assert [plan.at for plan in (await service.view(handle)).planned] == [BEFORE], "until it is renewed"
    await renew(service, handle)

    (plan,) = (await service.view(service.latest(handle))).planned
    assert (plan.at, plan.day, plan.zone, plan.zone_rules) == (AFTER, LAST, CASABLANCA, "2026f")
    assert plan.local_time == "2199-04-01 00:00 Africa/Casablanca"
    assert texts(service, handle).count(MOVED) == 1
    published = service.directory.published[plan_owner(handle)].view.planned
    assert [(plan.at, plan.zone_rules) for plan in published] == [(AFTER, "2026f")]
    described = await service.latest(handle).describe()
    assert described.typed_search_attributes[NEXT_CHANGE_AT] == AFTER

    await renew(service, handle)
    assert texts(service, handle).count(MOVED) == 1, "the same rules move nothing"


def plan_owner(handle: Handle) -> str:
    return handle.id.removeprefix("client-")


async def test_rules_that_move_nothing_are_shown_and_not_told(service: Service, rules: Rules) -> None:
    handle = await service.start(timezone=CASABLANCA)
    await service.command(handle, "decommission", last_day=str(LAST))
    lines = texts(service, handle)
    rules.become("2025c", {**HOUR_AHEAD})
    await renew(service, handle)
    (plan,) = (await service.view(service.latest(handle))).planned
    assert (plan.at, plan.zone_rules) == (BEFORE, "2025c")
    assert service.directory.published[plan_owner(handle)].view.planned == [plan], "the directory shows the same"
    assert texts(service, handle)[: len(lines)] == lines
    assert not [line for line in texts(service, handle) if "zone rules" in line]


async def test_an_exact_instant_stays_where_it_is(service: Service, rules: Rules) -> None:
    handle = await service.start(timezone=CASABLANCA)
    await service.command(handle, "suspend", at=BEFORE.isoformat())
    rules.become("2026f", {**AT_UTC})
    await renew(service, handle)
    (plan,) = (await service.view(service.latest(handle))).planned
    assert (plan.at, plan.day, plan.zone, plan.zone_rules) == (BEFORE, None, "", "")


async def test_naming_the_same_day_again_repairs_it_and_then_changes_nothing(service: Service, rules: Rules) -> None:
    handle = await service.start(timezone=CASABLANCA)
    await service.command(handle, "decommission", last_day=str(LAST))
    assert not (await service.command(handle, "decommission", last_day=str(LAST))).changed
    rules.become("2026f", {**AT_UTC})
    repaired = await service.command(handle, "decommission", last_day=str(LAST))
    assert (repaired.changed, repaired.planned[0].at, repaired.planned[0].zone_rules) == (True, AFTER, "2026f")
    assert not (await service.command(handle, "decommission", last_day=str(LAST))).changed


async def test_a_start_date_moves_with_the_rules_at_a_renewal_and_when_it_is_named_again(
    service: Service, rules: Rules
) -> None:
    starts_in = (LAST - service.day(0)).days
    handle = await service.start(timezone=CASABLANCA, starts_in=starts_in)
    other = await service.start(timezone=CASABLANCA, starts_in=starts_in, services=service.virtual("+442079460301"))
    day_before = BEFORE - timedelta(days=1)
    assert [plan.at for plan in (await service.view(handle)).planned] == [day_before]
    rules.become("2026f", {**AT_UTC})
    again = await service.command(handle, "edit", start_date=str(LAST))
    assert (again.changed, again.planned[0].at, again.planned[0].day) == (True, AFTER - timedelta(days=1), LAST)
    assert not (await service.command(handle, "edit", start_date=str(LAST))).changed
    await renew(service, other)
    (plan,) = (await service.view(service.latest(other))).planned
    assert (plan.kind, plan.at, plan.zone_rules) == ("activate", AFTER - timedelta(days=1), "2026f")


async def test_the_start_of_a_client_that_waits_for_a_person_is_resolved_anew_too(
    service: Service, rules: Rules
) -> None:
    handle = await service.start(
        timezone=CASABLANCA, starts_in=(LAST - service.day(0)).days, activation=Activation.MANUAL
    )
    rules.become("2026f", {**AT_UTC})
    await renew(service, handle)
    answer = await service.command(service.latest(handle), "edit", activation="automatic")
    assert [plan.at for plan in answer.planned] == [AFTER - timedelta(days=1)]


async def test_what_comes_by_signal_is_resolved_by_a_recorded_step_in_the_order_in_which_it_came(
    service: Service, rules: Rules
) -> None:
    handle = await service.start(timezone=CASABLANCA)
    await service.signal(handle, "decommission", {"last_day": str(LAST), "command_id": "first"})
    await service.signal(handle, "cancel_planned", {"change": "decommission", "command_id": "second"})
    await service.signal(handle, "suspend", {"last_day": str(LAST), "command_id": "third"})
    view = await service.until(handle, lambda view: [plan.kind for plan in view.planned] == ["suspend"])
    assert [(plan.at, plan.zone_rules) for plan in view.planned] == [(BEFORE, "2025b")]
    await service.settled(handle)
    kinds = [line for line in texts(service, handle) if "decommission" in line]
    assert [line.split()[1] for line in kinds] == ["Planned:", "Cancelled:"]
    assert "resolve_days" in await service.activity_types(handle)


async def test_an_update_without_an_instant_is_answered_with_one(service: Service, rules: Rules) -> None:
    handle = await service.start(timezone=CASABLANCA)
    answer = await service.update(handle, {"kind": "decommission", "last_day": str(LAST)})
    assert [(plan.at, plan.zone_rules) for plan in answer.planned] == [(BEFORE, "2025b")]
    past = await refusal_of(service.update(handle, {"kind": "suspend", "last_day": "2020-01-01"}))
    assert (past.type, past.details[0]["field"]) == ("MomentInThePast", "last_day")


@pytest.mark.parametrize(
    "lie",
    [
        {"day": "2199-03-30"},
        {"zone": "Europe/London"},
        {"instant": "2199-04-09T00:00:00Z"},
    ],
    ids=["another day", "another zone", "far from the day"],
)
async def test_an_instant_that_cannot_be_that_day_is_resolved_anew(
    service: Service, rules: Rules, lie: dict[str, str]
) -> None:
    handle = await service.start(timezone=CASABLANCA)
    resolved = {"day": str(LAST), "zone": CASABLANCA, "instant": "2199-03-31T23:30:00Z", "rules": "9999z", **lie}
    answer = await service.update(handle, {"kind": "decommission", "last_day": str(LAST), "resolved": resolved})
    assert [(plan.at, plan.zone_rules) for plan in answer.planned] == [(BEFORE, "2025b")]


async def test_a_day_in_a_zone_that_the_workers_rules_lack_is_refused_and_the_client_goes_on(
    service: Service, rules: Rules
) -> None:
    handle = await service.start(timezone=CASABLANCA)
    await service.command(handle, "decommission", last_day=str(LAST))
    rules.become("1990a", {CASABLANCA: None})
    await service.signal(handle, "suspend", {"last_day": str(LAST), "source": "billing"})
    why = "the zone rules in use have no Africa/Casablanca"
    view = await service.until(handle, lambda _: any(why in line for line in texts(service, handle)))
    assert [line for line in texts(service, handle) if line.startswith("refused") and why in line]
    assert view.planned[0].local_time.rstrip() == "2199-03-31 23:00 UTC"
    assert (await refusal_of(service.update(handle, {"kind": "suspend", "last_day": str(LAST)}))).type == "InvalidField"
    await renew(service, handle)
    assert [plan.at for plan in (await service.view(service.latest(handle))).planned] == [BEFORE], "it stays as it was"
    assert (await service.command(service.latest(handle), "suspend")).status == "suspended"


async def test_commands_that_come_while_days_are_resolved_anew_wait_their_turn(service: Service, rules: Rules) -> None:
    handle = await service.start(timezone=CASABLANCA)
    await service.command(handle, "decommission", last_day=str(LAST))
    rules.become("2026f", {**AT_UTC})
    await service.signal(handle, "roll")
    for number in range(20):
        await service.signal(service.latest(handle), "suspend", {"source": f"s-{number}", "command_id": f"{number}"})
    await service.until(service.latest(handle), lambda view: len(view.holds) == 20)
    await service.settled(service.latest(handle))
    lines = "\n".join(texts(service, handle))
    assert re.findall(r"(?:of|by) s-(\d+)", lines) == [str(number) for number in range(20)]
    assert lines.count(MOVED) == 1


async def test_a_client_whose_plan_had_acted_goes_on_under_other_rules_and_every_run_replays(
    temporal: WorkflowEnvironment, rules: Rules
) -> None:
    """As in the field: a planned suspension had acted, and the service was started with other zone rules."""
    service = Service(temporal)
    zone, day = CASABLANCA, service.day(3)
    async with service.worker():
        handle = await service.start(timezone=zone)
        await service.command(handle, "suspend", last_day=str(day), source="billing")
        await service.signal(handle, "decommission", {"last_day": str(day + timedelta(days=40))})
        await service.skip(handle, first_instant(day + timedelta(days=1), zone) - datetime.now(UTC))
        await service.skip(handle, timedelta(minutes=1))
        await service.until(handle, lambda view: view.status == "suspended" and view.provisioning == "settled")
    rules.become("2026f", {zone: "Pacific/Kiritimati"})
    await replay(await service.histories())
    async with service.worker():
        assert (await service.view(handle)).status == "suspended"
        assert (await service.command(handle, "unsuspend", source="all")).status == "active"
        await renew(service, handle)
        latest = service.latest(handle)
        (plan,) = (await service.view(latest)).planned
        assert plan.at == resolve(NamedDay(day + timedelta(days=40), last=True), zone).instant
        await service.command(latest, "decommission")
        await latest.result()
    for version in ("2025b", "2026g"):
        rules.become(version, {zone: "Asia/Tokyo"})
        await replay(await service.histories())
