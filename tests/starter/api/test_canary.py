"""Claims about canaries: no list, count, search or calendar shows them, the systems do, and nobody else is one."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.service import RPCError

from activities.background import background
from activities.canary.api import Caller
from activities.canary.canary import Canaries, Round
from activities.canary.eyes import Eyes
from activities.canary.judge import Stage, Verdict
from activities.canary.rounds import Outcome, Pace, Rounds, Turn
from activities.database import Database
from activities.outside import ProbeResult, Seen
from tests.starter.console.test_kept import visiting
from tests.support.service import TOKEN, Service, number, unique
from tests.support.terminal import Terminal
from tests.support.waiting import HANGING, eventually
from workflows.domain.systems import SystemInstance

PACE = Pace(every=3600, longest=HANGING)


class FakeEyes(Eyes):
    """Telephone and router of a canary, which find what they are told."""

    def __init__(self) -> None:
        super().__init__({}, b"")
        self.finds: dict[str, Seen] = {}

    async def look(self, key: SystemInstance, client_id: str, subject: str, version: int) -> Seen:
        return self.finds.get(key.system, (ProbeResult.NOT_ASKED, ""))


class Keeper:
    """Makes rounds of the canary of one site, one by one."""

    def __init__(self, service: Service, directory: Database, site: str) -> None:
        self.site, self.number, self.eyes, self.temporal = site, number(), FakeEyes(), ""
        self.rounds = Rounds(directory, PACE)
        self._directory = directory
        caller = Caller(service.url, TOKEN, PACE.longest)
        self._round = Round(caller, self.eyes, self._temporal, PACE.longest)

    async def _temporal(self, client_id: str, seconds: float) -> str:
        return self.temporal

    async def turn(self) -> Turn:
        await self._directory.write("UPDATE canaries SET next_at = now() WHERE site_id = $1", self.site)
        turn = await self.rounds.turn(self.site)
        assert turn
        return turn

    async def once(self) -> Outcome:
        """A round, and its report."""
        turn = await self.turn()
        outcome = await self._round.make(turn, self.number, self.rounds)
        await self.rounds.report(turn, outcome)
        return outcome


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def directory(service: Service) -> AsyncIterator[Database]:
    dsn = service.settings.directory_dsn.get_secret_value()
    async with Database("directory", dsn, service.settings) as directory:
        yield directory


@pytest_asyncio.fixture
async def keeper(service: Service, directory: Database) -> AsyncIterator[Keeper]:
    keeper = Keeper(service, directory, await service.site())
    yield keeper
    await directory.write("DELETE FROM canaries WHERE site_id = $1", keeper.site)


async def canary_of(service: Service, site: str) -> dict[str, Any]:
    [found] = [it for it in (await service.api.get("/systems")).json()["canaries"] if it["site"] == site]
    return dict(found)


async def test_a_round_creates_it_suspends_and_restores_it_and_is_green(service: Service, keeper: Keeper) -> None:
    for rounds in (1, 2):
        outcome = await keeper.once()
        assert outcome.verdict is None, outcome
        canary = await canary_of(service, keeper.site)
        assert (canary["state"], canary["stage"], canary["rounds"], canary["failures"]) == ("green", "", rounds, 0)
        assert canary["seconds"] > 0
    client = await service.client(canary["client_id"])
    assert (client["status"], client["site"], client["holds"]) == ("active", keeper.site, [])
    assert [line["number"] for line in client["lines"]] == [keeper.number]
    kinds = [line["kind"] for line in await service.history(client["client_id"]) if line["event"] == "decided"]
    assert kinds[:4] == ["unsuspend", "suspend"] * 2


async def test_no_list_nor_page_shows_it(service: Service, keeper: Keeper) -> None:
    """Every other place is asked in tests/starter/directory/test_canaries.py."""
    assert (await keeper.once()).verdict is None
    client_id, site = (await canary_of(service, keeper.site))["client_id"], keeper.site
    for query in (f"site={site}&inactive=true", f"q={client_id}", f"q={keeper.number[1:]}"):
        page = (await service.api.get(f"/clients?{query}")).json()
        assert (page["items"], page["total"]) == ([], 0), query
    async with visiting(service) as ann:
        assert client_id not in (await ann.get(f"/clients?site={site}&inactive=true")).text
        assert f'href="/clients/{client_id}"' in (await ann.get("/attention?site=")).text, "but where its state is"


async def test_nobody_else_gets_an_id_that_no_list_would_show(service: Service, keeper: Keeper) -> None:
    body = {"client_id": f"connect-canary-{keeper.site}", "name": "Acme", "type": "residential", "site": keeper.site}
    refused = await service.api.post("/clients", json=body)
    assert (refused.status_code, refused.json()["field"]) == (409, "client_id"), refused.text
    assert "reserved for canaries. Give another" in refused.json()["detail"]
    assert (await keeper.once()).verdict is None, "the canary gets it"


async def test_a_site_or_number_that_cannot_be_is_said_as_the_settings_fault(service: Service, keeper: Keeper) -> None:
    taken = number()
    await service.create(lines=[{"number": taken, "office": "1"}])
    keeper.number = taken
    verdict = (await keeper.once()).verdict
    assert verdict
    assert (verdict.stage, taken in verdict.text) == (Stage.SETTINGS, True)
    canary = service.temporal.get_workflow_handle(f"client-connect-canary-{keeper.site}")
    with pytest.raises(RPCError, match="not found"):
        await canary.describe()  # no round leaves a failed workflow
    keeper.number = number()
    assert (await keeper.once()).verdict is None, "the setting was corrected"
    keeper.site = unique("nowhere")
    verdict = (await keeper.once()).verdict
    assert verdict
    assert (verdict.stage, f"There is no site {keeper.site}" in verdict.text) == (Stage.SETTINGS, True)
    async with service.directory() as rows:
        await rows.execute("DELETE FROM canaries WHERE site_id = $1", keeper.site)


async def test_what_is_wrong_ends_the_round_and_the_next_one_mends_it(service: Service, keeper: Keeper) -> None:
    assert (await keeper.once()).verdict is None
    keeper.eyes.finds["telephony"] = ProbeResult.LET_IN, "a REGISTER was answered 200"
    verdict = (await keeper.once()).verdict
    assert verdict
    assert (verdict.stage, verdict.system) == (Stage.SYSTEM, "telephony")
    canary = await canary_of(service, keeper.site)
    assert (canary["state"], canary["stage"], canary["failed_stage"], canary["failures"]) == (
        "red",
        "system",
        "system",
        1,
    )
    assert (await service.client(canary["client_id"]))["status"] == "suspended"
    keeper.eyes.finds.clear()
    assert (await keeper.once()).verdict is None
    assert (await service.client(canary["client_id"]))["status"] == "active"


async def test_a_number_or_instance_that_is_another_now_gets_another_canary(service: Service, keeper: Keeper) -> None:
    assert (await keeper.once()).verdict is None
    first = (await canary_of(service, keeper.site))["client_id"]
    keeper.number = number()
    assert (await keeper.once()).verdict is None
    second = (await canary_of(service, keeper.site))["client_id"]
    assert second == f"{first}-2"
    assert (await service.client(first))["status"] == "decommissioned"
    assert (await service.client(second))["lines"][0]["number"] == keeper.number
    await service.post(second, "decommission")
    assert (await keeper.once()).verdict is None, "somebody ended it by hand"
    assert (await canary_of(service, keeper.site))["client_id"] == f"{first}-3"
    edited = await service.api.patch(f"/sites/{keeper.site}", json={"timezone": "Asia/Tokyo"})
    assert edited.status_code == 200, "no canary keeps a site from it"
    assert (await keeper.once()).verdict is None
    fourth = await service.client((await canary_of(service, keeper.site))["client_id"])
    assert (fourth["client_id"], fourth["timezone"]) == (f"{first}-4", "Asia/Tokyo")


async def test_one_that_no_setting_names_any_more_is_decommissioned_by_its_workflow_and_forgotten(
    service: Service, keeper: Keeper, directory: Database
) -> None:
    assert (await keeper.once()).verdict is None
    client_id = (await canary_of(service, keeper.site))["client_id"]
    await directory.write("UPDATE canaries SET due_at = now() - interval '2 hours' WHERE site_id = $1", keeper.site)

    async def status() -> str:
        return str((await service.client(client_id))["status"])

    async def row() -> list[Any]:
        return [*await directory.read("SELECT site_id FROM canaries WHERE site_id = $1", keeper.site)]

    for ended, equal in ((status, "decommissioned"), (row, [])):
        async with background(Canaries({}, None, keeper.rounds, PACE, service.temporal).run):
            await eventually(ended, equal=equal)  # each by a sweep of its own
    [line] = [
        it for it in await service.history(client_id) if it["event"] == "decided" and it["kind"] == "decommission"
    ]
    assert (line["by"], line["reason"]) == ("connect", "No setting names this canary any more")


async def test_a_report_that_is_overdue_is_the_workers_fault(
    service: Service, keeper: Keeper, directory: Database, terminal: Terminal
) -> None:
    assert (await keeper.once()).verdict is None
    assert PACE.silent > timedelta(seconds=PACE.every)
    due = "UPDATE canaries SET due_at = now() - interval '1 s' WHERE site_id = $1"
    await directory.write(due, keeper.site)
    canary = await canary_of(service, keeper.site)
    assert (canary["state"], canary["stage"], canary["failures"]) == ("red", "worker", 0)
    assert "Is one running?" in canary["text"]
    out = (await terminal.connect("systems")).out
    assert f"{keeper.site}  red" in out
    assert "the worker" in out
    async with visiting(service) as ann:
        assert "What fails is the worker, for" in (await ann.get("/attention?site=")).text
    await keeper.once()
    assert (await canary_of(service, keeper.site))["state"] == "green"


async def test_temporal_that_does_not_answer_the_workers_is_told_without_a_command(
    service: Service, keeper: Keeper
) -> None:
    keeper.temporal = "no answer within 4 s"
    assert (await keeper.once()).verdict == Verdict(
        Stage.TEMPORAL, "Temporal does not answer the workers: no answer within 4 s"
    )
    assert (await canary_of(service, keeper.site))["state"] == "red"
