"""Record the histories that every later version must replay: ``python -m tests.replay.record NAME``.

Run it when what the loop awaits has changed (with workflow.patched), and commit the new files beside the old ones:
clients started with the old code live for years. NAME says what is new; the files are histories/NAME-<life>.json.
"""

import asyncio
import re
import sys
from datetime import timedelta
from pathlib import Path

from temporalio.client import WorkflowHistory

from tests.workflows.conftest import House, running_server
from workflows.domain.lifecycle import Activation
from workflows.domain.provisioning.standing import Limits, Proof

HISTORIES = Path(__file__).parent / "histories"


async def a_whole_life(house: House) -> None:
    """Months ahead, activated, suspended by two, planned and cancelled, converted, decommissioned on a day."""
    handle = await house.start("whole-life", starts_in=90)
    await house.command(handle, "edit", start_date=str(house.day(30)))
    await house.skip(handle, timedelta(days=31))
    await house.settled(handle)
    await house.command(handle, "suspend", source="billing", reason="invoice 1042 unpaid")
    await house.command(handle, "suspend", source="security")
    await house.command(handle, "unsuspend", source="all")
    await house.command(handle, "change_services", add_lines=[{"number": "+442079460009", "office": "4.1"}])
    await house.command(handle, "decommission", last_day=str(house.day(200)))
    await house.command(handle, "cancel_scheduled_decommission")
    await house.command(handle, "convert", to="virtual")
    await house.settled(handle)
    await house.command(handle, "decommission", last_day=str(house.day(60)))
    await house.skip(handle, timedelta(days=45))
    await handle.result()


async def a_troubled_life(house: House) -> None:
    """Systems that fail and recover, an abandoned attempt, garbage for signals, a claim lost, a cancel refused."""
    limits = Limits(attempt=8, first_pause=60, longest_pause=600)
    await house.start("neighbour", activation=Activation.MANUAL)
    handle = await house.start("troubled-life", services=house.virtual("+442079460200"), limits=limits)
    house.telephony.faults.down = True
    await house.command(handle, "suspend")
    await house.until(handle, lambda view: view.provisioning == "attention")
    house.telephony.faults.down = False
    await house.skip(handle, timedelta(minutes=3))
    await house.settled(handle)
    await house.signal(handle, "explode", 1, 2)
    await house.signal(handle, "suspend", {"sauce": "billing"})
    await house.signal(handle, "change_services", {"add_lines": [{"number": "+442079460001"}]})
    await house.signal(handle, "report_drift", {"system": "telephony"})
    await handle.cancel()
    await house.settled(handle)
    house.telephony.faults.hold = asyncio.Event()
    house.telephony.faults.reached.clear()
    await house.command(handle, "unsuspend")
    await house.telephony.faults.reached.wait()
    house.telephony.faults.hold = None
    await house.command(handle, "decommission")
    await handle.result()


async def a_long_life(house: House) -> None:
    """Renewed by the number of its events, and by being asked to roll."""
    handle = await house.start("long-life", limits=Limits(attempt=8, renew_after=60))
    for number in range(8):
        await house.command(handle, "suspend", source=f"source-{number}", command_id=f"id-{number}")
        await house.settled(handle)
    await house.signal(handle, "roll")
    await house.command(handle, "unsuspend", source="all")
    await house.settled(handle)


async def a_proven_life(house: House) -> None:
    """Lines refused and routers silent, every way out, rotated credentials, second looks, one of them not in vain."""
    limits = Limits(attempt=8, first_pause=60, longest_pause=600, second_look=3600)
    handle = await house.start("proven-life", limits=limits)
    house.telephony.doubts["+442079460002"] = (Proof.FAILED, "the row is refused")
    house.internet.doubts["proven-life"] = (Proof.NOT_PROVEN, "10.0.0.1 did not answer")
    await house.command(handle, "suspend")
    await house.until(handle, lambda view: view.systems[0].state == "attention")
    house.telephony.doubts.clear()
    await house.command(handle, "retry", system="telephony")
    await house.until(handle, lambda view: view.systems[0].state == "settled")
    await house.command(handle, "skip", system="internet", reason="the router is replaced on Monday")
    await house.settled(handle)
    await house.command(handle, "mark_done", system="internet", note="pulled the plug")
    await house.settled(handle)
    house.internet.doubts.clear()
    house.telephony.lines["+442079460001"] = True
    await house.skip(handle, timedelta(hours=1))
    await house.until(handle, lambda _: not house.telephony.lines["+442079460001"])
    await house.command(handle, "rotate_credentials")
    await house.settled(handle)
    await house.signal(handle, "roll", {"limits": {"attempt": 8, "second_look": 600}})
    await house.command(handle, "decommission")
    await house.settled(handle)
    await house.skip(house.latest(handle), timedelta(minutes=10))
    await handle.result()


async def main(name: str) -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with running_server() as environment:
        for life in (a_whole_life, a_troubled_life, a_long_life, a_proven_life):
            house = House(environment)
            async with house.worker():
                await life(house)
                _write(name, await house.histories())


def _write(name: str, histories: list[WorkflowHistory]) -> None:
    for number, history in enumerate(histories):
        path = HISTORIES / f"{name}-{history.workflow_id.removeprefix('client-')}-{number}.json"
        path.write_text(_without_places(history.to_json()) + "\n")
        print(path.name, len(history.events), "events")  # noqa: T201  # a tool for a terminal


def _without_places(recorded: str) -> str:
    """A history that names no folder and no host of the machine it was recorded on."""
    recorded = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', recorded)
    return re.sub(r'"identity": "[^"]*"', '"identity": "recorder"', recorded)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.replay.record NAME")
    asyncio.run(main(sys.argv[1]))
