"""The worker or Temporal itself killed in the middle of a change: every client goes on where it was."""

import signal
from datetime import UTC, datetime, timedelta

import pytest

from starter.local.children import signal_family
from tests.faults.place import Place
from tests.faults.place import place as place  # the fixture
from tests.support.databases import fetch, locked
from tests.support.waiting import eventually


async def test_a_worker_killed_in_the_middle_of_a_change_is_carried_on_by_the_next(place: Place) -> None:
    telephony, waiting = place.postgres.dsn("kamailio"), "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with place.worker() as first:
        await place.open("acme")
        async with locked(telephony, "subscriber"):
            await place.command("acme", "suspend", source="billing")
            await eventually(lambda: fetch(telephony, waiting))
            first.kill()
    with place.worker():
        await place.shows("acme", "suspended")
        assert await place.lines() == {0}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_a_temporal_server_that_ends_in_the_middle_of_a_change_goes_on_when_it_is_back(
    place: Place, how: signal.Signals
) -> None:
    with place.worker():
        await place.open("acme")
        async with locked(place.postgres.dsn("kamailio"), "subscriber"):
            await place.command("acme", "suspend", source="billing")
            assert place.temporal.process is not None
            signal_family(place.temporal.process.pid, how)
            place.temporal.process.wait()
        place.temporal.start()
        await eventually(place.temporal.ready)
        await place.shows("acme", "suspended")
        assert await place.lines() == {0}


async def test_changes_that_came_due_while_everything_was_down_happen_at_once(place: Place) -> None:
    with place.worker():
        await place.open("acme")
        due = datetime.now(UTC) + timedelta(seconds=8)
        answer = await place.command("acme", "suspend", at=due.isoformat(), reason="refit")
        assert [change.kind for change in answer.planned] == ["suspend"]
    place.temporal.kill()
    await eventually(lambda: datetime.now(UTC) > due)
    place.temporal.start()
    await eventually(place.temporal.ready)
    with place.worker():
        view = await place.shows("acme", "suspended")
        assert view.holds[0].reason == "refit"
        assert await place.lines() == {0}
