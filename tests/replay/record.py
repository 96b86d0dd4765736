"""Record the histories that every later version must replay: ``python -m tests.replay.record NAME [LIFE …]``.

Run it when what the loop awaits has changed (with workflow.patched), and commit the new files beside the old ones:
clients started with the old code live for years. (0.1.0-early-word is none of these lives: 0.1.0 itself refused the
signal ``acknowledge``, which it did not know.) NAME says what is new; the files are histories/NAME-<life>.json.
LIFE is a function of this file, such as ``a_planned_life``; none: all of them.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHistory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from tests.support.workflows import SERVICES, Service, running_server
from tests.support.zone_rules import AT_UTC, CASABLANCA, HOUR_AHEAD, in_use, rules
from workflows.domain.lifecycle import Activation
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Limits, Proof
from workflows.domain.services import Service as Door
from workflows.guard import Guard

HISTORIES = Path(__file__).parent / "histories"
PROMPT = Limits(attempt=8, first_pause=60, longest_pause=600, at_once=2)
DOOR = {"kind": "doors", "name": "main-entrance", "settings": {"card": "0472"}}


class Dying(Interceptor):
    """A worker that dies as often as ``deaths`` says, with all that a decision asks for in its hands."""

    def __init__(self) -> None:
        self.deaths = 0

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        dying = self

        class Inbound(ActivityInboundInterceptor):
            async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # the SDK's name
                if activity.info().activity_type == "at_once" and dying.deaths:
                    dying.deaths -= 1
                    await asyncio.Event().wait()
                return await super().execute_activity(input)

        return Inbound(next)


async def a_whole_life(service: Service) -> None:
    """Months ahead, activated, suspended by two, planned and cancelled, converted, decommissioned on a day."""
    handle = await service.start("whole-life", starts_in=90, limits=PROMPT)
    await service.command(handle, "edit", start_date=str(service.day(30)))
    await service.skip(handle, timedelta(days=31))
    await service.settled(handle)
    await service.command(handle, "suspend", source="billing", reason="invoice 1042 unpaid")
    await service.command(handle, "suspend", source="security")
    await service.command(handle, "unsuspend", source="all")
    await service.command(handle, "change_services", add_lines=[{"number": "+442079460009", "office": "4.1"}])
    await service.command(handle, "decommission", last_day=str(service.day(200)))
    await service.command(handle, "cancel_scheduled_decommission")
    await service.command(handle, "convert", to="virtual")
    await service.settled(handle)
    await service.command(handle, "decommission", last_day=str(service.day(60)))
    await service.skip(handle, timedelta(days=45))
    await handle.result()


async def a_troubled_life(service: Service) -> None:
    """Systems that fail and recover, an abandoned attempt, garbage for signals, a claim lost, a cancel refused."""
    limits = Limits(attempt=8, first_pause=60, longest_pause=600)
    await service.start("neighbour", activation=Activation.MANUAL)
    handle = await service.start("troubled-life", services=service.virtual("+442079460200"), limits=limits)
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "attention")
    service.telephony.faults.down = False
    await service.skip(handle, timedelta(minutes=3))
    await service.settled(handle)
    await service.signal(handle, "explode", 1, 2)
    await service.signal(handle, "suspend", {"sauce": "billing"})
    await service.signal(handle, "change_services", {"add_lines": [{"number": "+442079460001"}]})
    await service.signal(handle, "report_drift", {"system": "telephony"})
    await handle.cancel()
    await service.settled(handle)
    service.telephony.faults.hold = asyncio.Event()
    service.telephony.faults.reached.clear()
    await service.command(handle, "unsuspend")
    await service.telephony.faults.reached.wait()
    service.telephony.faults.hold = None
    await service.command(handle, "decommission")
    await handle.result()


async def a_long_life(service: Service) -> None:
    """Renewed by the number of its events, and by being asked to roll."""
    handle = await service.start("long-life", limits=replace(PROMPT, renew_after=60))
    for number in range(8):
        await service.command(handle, "suspend", source=f"source-{number}", command_id=f"id-{number}")
        await service.settled(handle)
    await service.signal(handle, "roll")
    await service.command(handle, "unsuspend", source="all")
    await service.settled(handle)


async def a_proven_life(service: Service) -> None:
    """Lines refused and routers silent, every way out, rotated credentials, and a line that is alive twice."""
    limits = Limits(attempt=8, first_pause=60, longest_pause=600)
    handle = await service.start("proven-life", limits=limits)
    service.telephony.doubts["+442079460002"] = (Proof.FAILED, "the row is refused")
    service.internet.doubts["proven-life"] = (Proof.NOT_PROVEN, "10.0.0.1 did not answer")
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.systems[0].state == "attention")
    service.telephony.doubts.clear()
    await service.command(handle, "retry", system="telephony")
    await service.until(handle, lambda view: view.systems[0].state == "settled")
    await service.command(handle, "skip", system="internet", reason="the router is replaced on Monday")
    await service.settled(handle)
    await service.command(handle, "mark_done", system="internet", note="pulled the plug")
    await service.settled(handle)
    service.internet.doubts.clear()
    for _ in range(2):
        service.telephony.subjects["+442079460001"] = Desired(True)
        alive = {"+442079460001": "registered", "+442079460009": "of nobody"}
        await service.signal(handle, "report_drift", {"system": "telephony", "by": "connect", "alive": alive})
        await service.skip(handle, timedelta(minutes=2))
        await service.until(handle, lambda _: not service.telephony.lines["+442079460001"])
    await service.skip(handle, timedelta(minutes=11))
    await service.settled(handle)
    await service.command(handle, "rotate_credentials")
    await service.settled(handle)
    await service.signal(handle, "roll", {"limits": {"attempt": 8, "first_pause": 30}})
    await service.command(handle, "decommission")
    await handle.result()


async def a_moved_life(service: Service) -> None:
    """In Casablanca: days by signal and by update, a plan that acts, then zone rules of another year and a renewal."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(in_use(rules(Path(folder, "2025b"), "2025b", {**HOUR_AHEAD})))
        handle = await service.start("moved-life", starts_in=20, timezone=CASABLANCA)
        await service.signal(handle, "edit", {"start_date": str(service.day(2))})
        await service.signal(handle, "suspend", {"last_day": str(service.day(9)), "source": "billing"})
        await service.signal(handle, "unsuspend", {"last_day": str(service.day(400)), "source": "billing"})
        await service.update(handle, {"kind": "decommission", "last_day": str(service.day(500))})
        await service.skip(handle, timedelta(days=11))
        await service.settled(handle)
        stack.enter_context(in_use(rules(Path(folder, "2026f"), "2026f", {**AT_UTC})))
        await service.command(handle, "decommission", last_day=str(service.day(500)))
        await service.signal(handle, "roll")
        await service.until(service.latest(handle), lambda view: view.planned[0].zone_rules == "2026f")
        await service.command(service.latest(handle), "unsuspend", source="all")
        await service.settled(service.latest(handle))
        await service.command(service.latest(handle), "decommission")
        await service.latest(handle).result()


async def a_life_with_doors(service: Service) -> None:
    """A further kind of service: contracted, suspended, restored, failing, skipped, done by hand, and ended by a
    conversion."""
    doors = Door("doors", "main-entrance", {"card": "0472"}, in_building=True)
    handle = await service.start("with-doors", services=replace(SERVICES, further=(doors,)), limits=PROMPT)
    added = DOOR | {"name": "archive", "in_building": True}
    await service.command(handle, "change_services", add_services=[added])
    await service.command(handle, "suspend", source="billing")
    await service.command(handle, "unsuspend", source="billing")
    service.doors.faults.down = True
    await service.command(handle, "suspend", source="security")
    await service.until(handle, lambda view: view.provisioning == "attention")
    await service.command(handle, "skip", system="doors", reason="the lock is replaced on Monday")
    await service.command(handle, "mark_done", system="doors", note="taken off its hinges")
    service.doors.faults.down = False
    await service.command(handle, "unsuspend", source="security")
    await service.command(handle, "convert", to="virtual")
    await service.settled(handle)
    await service.command(handle, "decommission")
    await handle.result()


async def a_planned_life(service: Service) -> None:
    """Plans that cannot happen: one that is refused when it is due and acknowledged, by a signal and by an update, one
    that changes nothing, one that another clears."""
    handle = await service.start("planned-life", limits=PROMPT)
    removal: dict[str, Any] = {"remove_lines": ["+442079460002"]}
    for number in range(2):
        due = str(service.day(2 + 4 * number))
        await service.command(handle, "change_services", **removal, last_day=due, command_id=f"p{number}")
        await service.command(handle, "unsuspend", last_day=due)
        await service.command(handle, "change_services", **removal)
        await service.skip(handle, timedelta(days=4))
        await service.settled(handle)
        await service.command(handle, "change_services", add_lines=[{"number": "+442079460002", "office": "3.12"}])
    await service.signal(handle, "acknowledge", {"matter": "plan:p0", "by": "olga", "reason": "removed by hand"})
    await service.signal(handle, "acknowledge", {"matter": "plan:nothing"})
    await service.command(handle, "acknowledge", matter="plan:p1")
    await service.command(handle, "suspend", last_day=str(service.day(30)), source="billing")
    await service.command(handle, "decommission", last_day=str(service.day(15)))
    await service.skip(handle, timedelta(days=12))
    await handle.result()


async def a_hindered_life(service: Service, dying: Dying) -> None:
    """Attempts at once that fail, that are late, that a newer decision overtakes, and that die with their worker: each
    goes on as one of its own. And callers side by side."""
    handle = await service.start("hindered-life", limits=PROMPT)
    service.telephony.faults.down = True
    await service.command(handle, "suspend", source="billing")
    await service.until(handle, lambda view: view.provisioning == "attention")
    service.telephony.faults.down = False
    await service.command(handle, "retry", system="telephony")
    await service.settled(handle)
    service.internet.faults.hold = asyncio.Event()
    await service.command(handle, "unsuspend", source="billing")  # answered when two seconds are over
    service.internet.faults.hold.set()
    service.internet.faults.hold = None
    await service.settled(handle)
    dying.deaths = 1
    await service.command(handle, "suspend", source="security")
    await service.settled(handle)
    sources = [f"source-{number}" for number in range(8)]
    await asyncio.gather(*(service.command(handle, "suspend", source=source) for source in sources))
    await asyncio.gather(*(service.command(handle, "unsuspend", source=source) for source in ("security", *sources)))
    await service.settled(handle)
    dying.deaths = 1
    await service.signal(handle, "suspend", {"source": "billing"})
    await service.command(handle, "decommission")
    await handle.result()


async def a_labelled_life(service: Service) -> None:
    """Tags, external ids and notes, by update and by signal; a claim of an external id lost, and one won."""
    other = await service.start("namesake", services=service.virtual("+442079460201"), limits=PROMPT)
    await service.command(other, "edit", external_ids={"crm": "4711"})
    await service.settled(other)
    handle = await service.start("labelled-life", limits=PROMPT)
    await service.command(handle, "edit", tags=["vip", "late"], external_ids={"erp": "A-1"})
    await service.signal(handle, "edit", {"add_tags": ["roof"], "remove_tags": ["LATE"]})
    await service.signal(handle, "edit", {"external_ids": {"CRM": "4711"}})
    await service.command(handle, "note", text="rang, and will ring again", by="Ms Doe")
    await service.signal(handle, "note", {"text": "rang again", "by": "Ms Doe"})
    await service.signal(handle, "note", {"text": " "})
    await service.settled(handle)
    await service.signal(handle, "roll")
    await service.command(service.latest(handle), "edit", external_ids={"erp": None, "crm": "4712"})
    await service.signal(service.latest(handle), "note", {"text": "the last one"})
    await service.command(service.latest(handle), "decommission")
    await service.latest(handle).result()


async def a_life_read_anew(service: Service) -> None:
    """Begun as in 0.1.0, which read more than it should and told holds apart by case; renewed, and read strictly."""
    handle = await service.start("read-anew", limits=PROMPT, grammar=1)
    day, loose = service.day(90), {"number": "+442079460010", "office": " 3.14 ", "protected": "no"}
    await service.signal(handle, "suspend", {"source": "Billing", "reason": " invoice 1042 "})
    await service.signal(handle, "suspend", {"source": "billing"})
    await service.signal(handle, "suspend", {"source": "ALL"})
    await service.signal(handle, "unsuspend", {"source": "ALL"})
    await service.signal(handle, "decommission", {"last_day": f"{day}T00:00:00Z"})
    await service.signal(
        handle, "change_services", {"add_lines": [loose], "internet": {"down_mbps": "20", "up_mbps": 5.0}}
    )
    await service.signal(handle, "edit", {"name": "Cafe\u0301", "end_date": 1803772800})
    await service.until(handle, lambda view: len(view.lines) == 3)
    await service.settled(handle)
    await service.renew(handle)
    handle = service.latest(handle)
    await service.signal(handle, "decommission", {"last_day": f"{day}T00:00:00Z"})
    await service.signal(handle, "change_services", {"add_lines": [loose | {"number": "+442079460011"}]})
    await service.signal(handle, "suspend", {"source": "All"})
    await service.signal(handle, "edit", {"name": " Cafe\u0301 Two "})
    await service.signal(handle, "unsuspend", {"source": "BILLING", "command_id": "lifts-both"})
    await service.update(handle, {"kind": "suspend", "source": "Stra\u00dfe "})
    await service.update(handle, {"kind": "unsuspend", "source": "STRASSE"})
    await service.settled(handle)
    await service.command(handle, "decommission")
    await handle.result()


async def a_retried_life(service: Service) -> None:
    """Retries that fail as before, each of which a person asked for: they are told."""
    handle = await service.start("retried-life", limits=PROMPT)
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "attention")
    for number in range(2):
        await service.command(handle, "retry", system="telephony", command_id=f"retry-{number}")
        await service.until(handle, lambda view: view.systems[0].attempts == 1)
    service.telephony.faults.down = False
    service.telephony.doubts["+442079460001"] = (Proof.NOT_PROVEN, "the server is silent")
    for number in range(2):
        await service.command(handle, "retry", system="telephony", command_id=f"doubt-{number}")
        await service.until(handle, lambda view: view.systems[0].attempts == 1)
    service.telephony.doubts.clear()
    await service.command(handle, "decommission")
    await handle.result()


async def a_conditional_life(service: Service) -> None:
    """Commands for one revision: in time, late, planned, waiting for the directory, and as a signal, which is none."""
    handle = await service.start("conditional-life", limits=PROMPT)
    revision = (await service.settled(handle)).revision
    await service.command(handle, "suspend", source="billing", expected_revision=revision)
    late = (service.command(handle, "suspend", source=f"s-{n}", expected_revision=revision) for n in range(3))
    assert all(isinstance(refused, Exception) for refused in await asyncio.gather(*late, return_exceptions=True))
    revision = (await service.settled(handle)).revision
    added = [{"number": "+442079460009", "office": "4.1"}]
    both = await asyncio.gather(
        *(
            service.command(handle, "change_services", "added", add_lines=added, expected_revision=revision)
            for _ in range(2)
        )
    )
    assert {answer.changed for answer in both} == {True}
    revision = (await service.settled(handle)).revision
    day = str(service.day(60))
    await service.command(handle, "decommission", last_day=day, expected_revision=revision)
    await service.signal(handle, "unsuspend", {"source": "all", "expected_revision": revision + 1})
    await service.signal(handle, "unsuspend", {"source": "all"})
    await service.settled(handle)
    await service.renew(handle)
    await service.skip(service.latest(handle), timedelta(days=61))
    await service.latest(handle).result()


async def main(name: str, names: Sequence[str]) -> None:
    HISTORIES.mkdir(exist_ok=True)
    dying = Dying()
    all_lives = (a_whole_life, a_troubled_life, a_long_life, a_proven_life, a_moved_life, a_life_with_doors)
    lives: list[Callable[[Service], Awaitable[None]]] = [
        *all_lives,
        a_labelled_life,
        a_planned_life,
        a_life_read_anew,
        a_retried_life,
        a_conditional_life,
    ]
    lives = [life for life in lives if not names or getattr(life, "__name__", "") in names]
    if not names or a_hindered_life.__name__ in names:
        lives.append(partial(a_hindered_life, dying=dying))
    async with running_server() as environment:
        for life in lives:
            service = Service(environment)
            async with service.worker((Guard(), dying)):
                await life(service)
                _write(name, await service.histories())


def _write(name: str, histories: list[WorkflowHistory]) -> None:
    for number, history in enumerate(histories):
        path = HISTORIES / f"{name}-{history.workflow_id.removeprefix('client-')}-{number}.json"
        path.write_text(_without_places(history.to_json()) + "\n", encoding="utf-8")
        print(path.name, len(history.events), "events")  # noqa: T201  # a tool for a terminal


def _without_places(recorded: str) -> str:
    """A history that names no folder and no host of the machine it was recorded on."""
    recorded = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', recorded)
    return re.sub(r'"identity": "[^"]*"', '"identity": "recorder"', recorded)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tests.replay.record NAME [LIFE …]")
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
