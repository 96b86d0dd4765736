"""A canary per site: a client of Connect's own that is suspended, restored, and looked at from outside, for ever.

Of all workers with the setting, the one that gets the turn (``activities.canary.rounds``) makes a site's next round: it
commands the canary by the API, like any other caller, waits for the proof, and then asks as a telephone and as a router
would. What it finds is judged (``activities.canary.judge``) and written into the directory, where the API reads it. So
each part is noticed by another:

- the API, Temporal, the systems and the network by the worker that makes the round;
- all workers by the API: a report is overdue;
- the directory by both: the API says so itself, and the worker reports it when the directory is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client, RPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from activities.canary.api import Api, Caller, Refused
from activities.canary.eyes import Eyes
from activities.canary.judge import Facts, Look, Stage, Verdict, judge
from activities.canary.rounds import PREFIX, Outcome, Pace, Rounds, Turn
from activities.database import DRIVER_ERRORS, Databases
from activities.errors import safe_message
from activities.settings import Settings
from workflows.domain.client.rules import LONGEST_NAME
from workflows.domain.systems import MAIN, SystemInstance
from workflows.domain.text import safe_text
from workflows.wire.start import workflow_id

SOURCE = "canary"
OFFICE = "Canary"
_LONGEST_TEXT = 500
_PAUSE = 0.2  # seconds before it is asked again who has a number
_SWEEP = 60.0  # seconds between two looks for canaries that no setting names any more

log = structlog.get_logger(__name__)

Temporal = Callable[[str, float], Awaitable[str]]
"""Why Temporal does not answer for a client within so many seconds; empty: it does."""


class Canaries:
    """Makes the rounds of the canaries that the settings name, and ends those that none names any more."""

    def __init__(self, numbers: Mapping[str, str], watched: "Round | None", rounds: Rounds, pace: Pace, client: Client):
        self._numbers, self._round, self._rounds, self._pace, self._client = numbers, watched, rounds, pace, client

    @classmethod
    def of(cls, settings: Settings, databases: Databases, client: Client) -> "Canaries":
        """Raises ValueError when a setting that canaries need is missing."""
        pace = Pace(settings.canary_every_seconds, settings.canary_seconds)
        numbers, rounds, watched = settings.canary_numbers, Rounds(databases.directory, pace), None
        if numbers:
            eyes = Eyes(databases.instances.instances, settings.read_master_key())
            watched = Round(Caller.of(settings), eyes, answers_of(client), pace.longest)
        return cls(numbers, watched, rounds, pace, client)

    async def run(self) -> None:
        """Follow every canary, for ever. Errors are logged, and the next round may succeed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            for site, number in self._numbers.items():
                tasks.create_task(self._follow(site, number))

    async def _follow(self, site: str, number: str) -> None:
        missed = ""
        while True:
            try:
                if turn := await self._rounds.turn(site):
                    missed = await self._once(turn, number, missed)
            except DRIVER_ERRORS as error:
                if not missed:
                    log.warning("canary_red", site=site, stage=Stage.DIRECTORY, text=safe_message(error))
                missed = Stage.DIRECTORY
            await asyncio.sleep(self._pace.tick)

    async def _once(self, turn: Turn, number: str, missed: str) -> str:
        """One round, and its report. Returns what is still to be reported: nothing. Raises the driver's errors."""
        assert self._round is not None
        outcome = await self._round.make(turn, number, self._rounds)
        await self._rounds.report(turn, outcome, missed)
        verdict, about = outcome.verdict, {"site": turn.site, "client_id": turn.client_id}
        if verdict and verdict.stage != turn.stage:
            log.warning("canary_red", **about, stage=verdict.stage, system=verdict.system, text=verdict.text)
        elif not verdict and turn.state != outcome.state:
            log.info("canary_green", **about, seconds=outcome.seconds)
        return ""

    async def _sweep(self) -> None:
        """Decommission the canaries whose setting was taken away, past the API: the token may have gone with it."""
        while True:
            try:
                for site, client_id, status in await self._rounds.forgotten([*self._numbers]):
                    if status is None or status == "decommissioned" or not await self._signal_end(client_id):
                        await self._rounds.forget(site, client_id)
            except DRIVER_ERRORS as error:
                log.warning("canaries_not_swept", error=safe_message(error))
            except RPCError as error:
                log.warning("canaries_not_swept", error=f"{error.status.name}: {error.message}"[:300])
            await asyncio.sleep(_SWEEP)

    async def _signal_end(self, client_id: str) -> bool:
        """Signal its workflow. Returns whether there is one."""
        message = {"by": "connect", "source": SOURCE, "reason": "No setting names this canary any more"}
        try:
            await self._client.get_workflow_handle(workflow_id(client_id)).signal("decommission", message)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        log.info("canary_decommissioned", client_id=client_id)
        return True


class Round:
    """Makes single rounds. ``longest`` is the time for one, in seconds."""

    def __init__(self, caller: Caller, eyes: Eyes, temporal: Temporal, longest: float) -> None:
        self._caller, self._eyes, self._temporal, self._longest = caller, eyes, temporal, longest

    async def make(self, turn: Turn, number: str, rounds: Rounds) -> Outcome:
        """How a round goes: suspend, look, restore, look. The first thing that is wrong ends it."""
        try:
            async with asyncio.timeout(self._longest), self._caller.session() as api:
                return await self._make(api, turn, number, rounds)
        except Refused as refused:
            return _outcome(Facts(refusal=refused.refusal))
        except TimeoutError:
            return Outcome(Verdict(Stage.WORKER, f"A round did not end within {self._longest:g} s"))
        except (ValueError, OSError) as wrong:
            return Outcome(Verdict(Stage.SETTINGS, safe_text(str(wrong), _LONGEST_TEXT)))

    async def _make(self, api: Api, turn: Turn, number: str, rounds: Rounds) -> Outcome:
        client_id = turn.client_id
        temporal, alive = await asyncio.gather(
            self._temporal(client_id, 0.1 * self._longest), api.alive(), return_exceptions=True
        )
        if isinstance(alive, BaseException):
            raise alive
        if isinstance(temporal, BaseException):
            raise temporal
        if temporal:
            return _outcome(Facts(temporal=temporal))
        site = next((it for it in (await api.get("/sites"))["items"] if it["site_id"] == turn.site), None)
        if site is None:
            remedy = "Add it: connect site add, or correct CONNECT_CANARIES"
            return Outcome(Verdict(Stage.SETTINGS, f"There is no site {turn.site}. {remedy}"))
        view = await self._present(api, client_id)
        if view and not _fits(view, number, site):
            if view["status"] != "decommissioned":
                view = await api.post(f"/clients/{client_id}/decommission", _because("it is replaced"))
                if verdict := judge(await self._look(api, view, on=False)):
                    return Outcome(verdict)
            client_id, view = await rounds.replace(turn.site), None
        if view is None:
            if holder := await _holder(number, rounds, 0.2 * self._longest):
                return Outcome(Verdict(Stage.SETTINGS, f"{number} belongs to client {holder}. Give the canary another"))
            view = await api.post("/clients", _record(client_id, number, site))
        return await self._switch(api, view)

    async def _present(self, api: Api, client_id: str) -> dict[str, Any] | None:
        try:
            return await api.get(f"/clients/{client_id}")
        except Refused as refused:
            if refused.refusal.status == 404:
                return None
            raise

    async def _switch(self, api: Api, view: dict[str, Any]) -> Outcome:
        """Off, and on again. One that a round left off is restored first, so that both are decisions."""
        path, clock, slowest = f"/clients/{view['client_id']}", asyncio.get_running_loop().time, 0.0
        if view["status"] == "suspended":
            await api.post(f"{path}/unsuspend", _because("the last round did not end") | {"source": "all"})
        for command, source, on in (("suspend", SOURCE, False), ("unsuspend", "all", True)):
            decided = clock()
            view = await api.post(f"{path}/{command}", _because("a round of the canary") | {"source": source})
            slowest = max(slowest, clock() - decided)
            if verdict := judge(await self._look(api, view, on=on)):
                return Outcome(verdict)
        return Outcome(None, round(slowest, 3))

    async def _look(self, api: Api, view: dict[str, Any], *, on: bool) -> Facts:
        """Every line and account of the canary, side by side. Of what is not proven, the workers are counted."""
        workers: dict[tuple[str, str], int] = {}
        if view["provisioning"] != "settled":
            view = await api.get(f"/clients/{view['client_id']}")
            states = (await api.get("/systems"))["items"]
            workers = {(it["system"], it["instance"]): it["workers"] for it in states}

        async def one(system: dict[str, Any], subject: str) -> Look:
            key = SystemInstance(system["system"], system["instance"])
            result, words = await self._eyes.look(key, view["client_id"], subject, view["secret_version"])
            settled, count = system["state"] == "settled", workers.get((key.system, key.name)) if workers else None
            return Look(*key, on, settled, result, words, safe_text(system["last_error"], _LONGEST_TEXT), count)

        systems = [(it, subject) for it in view["systems"] for subject in it["desired"]]
        looks = tuple(await asyncio.gather(*(one(*it) for it in systems)))
        return Facts(looks=looks, published=view["provisioning"] == "settled")


def answers_of(client: Client) -> Temporal:
    """Asks Temporal for the canary's own workflow: what keeps it must answer, too."""

    async def why_not(client_id: str, seconds: float) -> str:
        try:
            async with asyncio.timeout(seconds):
                await client.get_workflow_handle(workflow_id(client_id)).describe(
                    rpc_timeout=timedelta(seconds=seconds)
                )
        except (TimeoutError, RPCTimeoutOrCancelledError):
            return f"no answer within {seconds:g} s"
        except RPCError as error:
            return "" if error.status is RPCStatusCode.NOT_FOUND else f"{error.status.name}: {error.message}"[:300]
        return ""

    return why_not


def _outcome(facts: Facts) -> Outcome:
    verdict = judge(facts)
    assert verdict is not None
    return Outcome(verdict)


async def _holder(number: str, rounds: Rounds, patience: float) -> str:
    """The client that has a number; empty: none. It is asked first, because each creation that is refused leaves a
    failed workflow. A canary that was just decommissioned has its number until its last word is published: so long is
    waited, at most ``patience`` seconds."""
    for _ in range(int(patience / _PAUSE)):
        if not (await rounds.holder(number)).startswith(PREFIX):
            break
        await asyncio.sleep(_PAUSE)
    return await rounds.holder(number)


def _because(reason: str) -> dict[str, Any]:
    return {"reason": reason}


def _record(client_id: str, number: str, site: dict[str, Any]) -> dict[str, Any]:
    """The canary as a new client."""
    return {
        "client_id": client_id,
        "name": f"Canary of {site['name']}"[:LONGEST_NAME],
        "type": "residential",
        "site": site["site_id"],
        "billing_ref": client_id,
        "lines": [{"number": number, "office": OFFICE}],
        "internet": {"down_mbps": 1, "up_mbps": 1},
    }


def _fits(view: dict[str, Any], number: str, site: dict[str, Any]) -> bool:
    """Whether it lives, has the setting's number, and the time zone and the instances of its site as they are now."""
    theirs = {it["system"]: it["instance"] for it in view["systems"] if it["desired"]}
    served = all(instance == site["systems"].get(system, MAIN) for system, instance in theirs.items())
    right = [line["number"] for line in view["lines"]] == [number] and view["timezone"] == site["timezone"]
    return view["status"] != "decommissioned" and right and served
