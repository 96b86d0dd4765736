"""What a command costs in events of history (ARCHITECTURE.md section 2: few events).

The events that commands, upserts and activities make are exact. How many workflow tasks carry them depends on how the
server groups completions that come close together (on a busy machine, one by one), so the totals are those of the
cheapest of some equal changes.
"""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from tests.support.waiting import eventually
from tests.support.workflows import Handle, Service, refusal_of

TASKS = {f"WORKFLOW_TASK_{word}" for word in ("SCHEDULED", "STARTED", "COMPLETED", "TIMED_OUT", "FAILED")}
UPDATE = {"WORKFLOW_EXECUTION_UPDATE_ACCEPTED": 1, "WORKFLOW_EXECUTION_UPDATE_COMPLETED": 1}
UPSERT = {"UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": 1}


def other_than_tasks(events: list[str]) -> Counter[str]:
    return Counter(event for event in events if event not in TASKS)


def activities(count: int) -> dict[str, int]:
    return {f"ACTIVITY_TASK_{word}": count for word in ("SCHEDULED", "STARTED", "COMPLETED")}


async def cost(service: Service, handle: Handle, change: Callable[[], Awaitable[object]]) -> list[str]:
    """The events of one change until nothing is left to do, watched without adding any."""
    before = len(await service.events(handle))
    await change()

    async def quiet() -> bool:
        view = await service.view(handle)
        events = await service.events(handle)
        scheduled = events.count("ACTIVITY_TASK_SCHEDULED")
        done = events.count("WORKFLOW_TASK_SCHEDULED") == events.count("WORKFLOW_TASK_COMPLETED")
        return view.provisioning == "settled" and scheduled == events.count("ACTIVITY_TASK_COMPLETED") and done

    await eventually(quiet)
    return (await service.events(handle))[before:]


async def test_a_suspension_that_settles_at_the_first_attempt_costs_at_most_22_events(service: Service) -> None:
    handle = await service.start()
    kinds = itertools.cycle(["suspend", "unsuspend"])

    costs = []

    async def cheap() -> bool:
        costs.append(await cost(service, handle, partial(service.command, handle, next(kinds))))
        return len(costs[-1]) <= 22

    await eventually(cheap)
    for events in costs:
        assert other_than_tasks(events) == Counter({**UPDATE, **UPSERT, **activities(3)})
        assert events.count("WORKFLOW_TASK_COMPLETED") <= 4, "one for the command, and one for each result"


async def test_a_plan_far_ahead_adds_no_timer_events_to_other_commands(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "decommission", last_day=str(service.day(300)))
    events = await cost(service, handle, lambda: service.command(handle, "suspend"))
    assert not [event for event in events if event.startswith("TIMER")]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("edit", {"name": "Acme Holdings Ltd"}, {**UPDATE, **activities(1)}),
        ("edit", {"billing_ref": "ACME-7"}, {**UPDATE, **activities(2)}),
        ("decommission", {"last_day": "2199-12-31"}, {**UPDATE, **UPSERT, **activities(1), "TIMER_STARTED": 1}),
        ("activate", {}, {**UPDATE, **activities(1)}),
        ("convert", {"to": "virtual"}, {**UPDATE, **UPSERT, **activities(2)}),
        ("change_services", {"remove_lines": ["+442079460002"]}, {**UPDATE, **activities(2)}),
        (
            "change_services",
            {"add_lines": [{"number": "+442079460009", "office": "1"}]},
            {**UPDATE, **activities(3)},
        ),
    ],
    ids=["rename", "new billing ref", "plan", "no change", "convert", "remove a line", "add a line"],
)
async def test_every_other_change_costs_what_it_must_and_at_most_22_or_23_with_numbers_to_claim(
    service: Service, kind: str, fields: dict[str, Any], expected: dict[str, int]
) -> None:
    costs, most = [], 23 if "add_lines" in fields else 22  # a claim is decided first, in a task of its own

    async def cheap() -> bool:
        handle = await service.start()
        costs.append(await cost(service, handle, partial(service.command, handle, kind, **fields)))
        await service.command(handle, "decommission")
        await handle.result()
        service.directory.numbers.clear()
        service.directory.billing_refs.clear()
        return len(costs[-1]) <= most

    await eventually(cheap)
    for events in costs:
        assert other_than_tasks(events) == Counter(expected)


async def test_a_refused_command_costs_nothing(service: Service) -> None:
    handle = await service.start()
    before = await service.events(handle)
    await refusal_of(service.command(handle, "convert", to="virtual", offices=["1"]))
    await refusal_of(service.command(handle, "decommission", last_day="2020-01-01"))
    assert await service.events(handle) == before
