"""Every part killed again and again, while callers go on: nothing that was accepted is lost, nothing is done twice.

``make test ARGS="-k kills --kills 42 --commands 500"`` is the whole of it; ``--seed`` repeats a run as far as chance
lets it be repeated.

Once in some 200 kills a client meets what is left of temporalio/sdk-rust issue 1146 (``worker.hearing_all_at_once``): a
timer and updates that came together after a worker's death are brought apart in a replay. Nothing is lost then, but the
client stands still, until somebody resets it, as docs/operating.md says. The test does, and counts how often.
"""

import asyncio
import math
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import httpx2
import pytest
from temporalio.client import Client as TemporalClient
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.database import Database
from activities.keys.encryption import Encryption
from activities.settings import Settings
from starter.local.children import StartFailed, birth
from starter.local.systems import check_installed
from starter.web.keys import OWNER
from tests.faults.audit import Account, Audit, Tables, account_of
from tests.faults.callers import Callers, CallersLog
from tests.faults.revival import Revival
from tests.faults.workload import CREATE, SITE, Workload, records
from tests.support.service import encrypting
from tests.support.up import Terminal, post
from tests.support.waiting import eventually, free_udp_port
from tests.support.workflows import replay_everything

CLIENTS, CALLERS = 8, 4
TOKENS = (OWNER, "crm", "billing")  # of the callers, in turn: two of them are processes of one service
EVERYTHING = "connect up"
QUICK = {
    "CONNECT_FIRST_PAUSE_SECONDS": "0.5",
    "CONNECT_LONGEST_PAUSE_SECONDS": "2",
    "CONNECT_BREAKER_PACE_SECONDS": "1",
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what still runs")


class Killer:
    """Kills parts of what runs in a terminal, as `kill -9` does; what was killed whole is started again."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal, self._options = terminal, systems_that_are_here()
        self._dead: set[tuple[int, str]] = set()
        self.killed: Counter[str] = Counter()

    async def start(self) -> None:
        self._terminal.start(*self._options)
        await self._terminal.ready()

    @property
    def parts(self) -> tuple[str, ...]:
        """All that can be killed, once it is started."""
        return *self._terminal.children(), EVERYTHING

    async def kill(self, part: str) -> None:
        """Kill a part that runs. One that is on its way back from its last death is waited for."""
        if part == EVERYTHING:
            self._terminal.end(signal.SIGKILL)
            await self.start()
        else:
            await eventually(lambda: self._runs(part), why=f"{part} is not back")
            self._dead.add(self._terminal.children()[part])
            self._terminal.kill(part)
        self.killed[part] += 1

    def _runs(self, part: str) -> bool:
        assert self._terminal.process
        assert self._terminal.process.poll() is None, self._terminal.output.read_text(encoding="utf-8")
        pid, born = self._terminal.children().get(part, (0, ""))
        return (pid, born) not in self._dead and birth(pid) == born


@dataclass(frozen=True)
class Kill:
    """Which part is killed when the callers have begun so many requests, and have an answer to so many."""

    part: str
    begun: int
    answered: int


def kills_at_random(chance: random.Random, kills: int, requests: int, parts: tuple[str, ...]) -> list[Kill]:
    """Each part in turn, in an order of chance, at moments of chance: as something is sent, or just was answered."""
    in_turn = chain.from_iterable(chance.sample(parts, len(parts)) for _ in repeat(None))
    moments = sorted(chance.choices(range(1, requests), k=kills))
    return [
        Kill(part, begun, max(0, begun - chance.randrange(CALLERS + 1)))
        for begun, part in zip(moments, in_turn, strict=False)
    ]


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal in which nothing runs yet; what it starts tries again soon."""
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    it = Terminal(tmp_path / "data")
    yield it
    it.close()


async def test_whatever_is_killed_each_command_is_done_once_and_only_if_it_was_accepted(
    terminal: Terminal, tmp_path: Path, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    option = request.config.getoption
    kills, commands, seed = int(option("kills")), int(option("commands")), option("seed")
    seed = random.randrange(2**32) if seed is None else int(seed)
    workload = Workload(seed, CLIENTS, CALLERS, commands, tokens=TOKENS)
    log = CallersLog(tmp_path / "callers.jsonl")
    killer = Killer(terminal)

    async def kill_in_the_middle(callers: Callers) -> None:
        for kill in kills_at_random(random.Random(seed), kills, sum(map(len, workload.turns)), killer.parts):
            await callers.in_the_middle(kill.begun, kill.answered)
            await killer.kill(kill.part)
            log.note("killed", part=kill.part)
        callers.allowed = math.inf

    record_property("seed", seed)
    await killer.start()
    temporal = await TemporalClient.connect(
        f"127.0.0.1:{terminal.temporal_port}", data_converter=pydantic_data_converter
    )
    revival = Revival(temporal)
    async with revival.watching(), terminal.api() as api, AsyncExitStack() as stack:
        await post(api, "/sites", SITE)
        for record in records(CLIENTS):
            await post(api, "/clients", record)
        others = {name: await with_token(stack, terminal, api, name) for name in TOKENS[1:]}
        async with asyncio.TaskGroup() as group:
            callers = Callers(api, log, others)
            group.create_task(callers.work(workload.turns))
            group.create_task(kill_in_the_middle(callers))
        accounts = await settled_accounts(api, log)
    audit = Audit(log, accounts, records(CLIENTS), await read_tables(terminal))
    summary = (
        f"{killer.killed.total()} kills ({counts_text(killer.killed)}), {len(workload.requests)} commands, "
        f"{len(log.accepted)} accepted, {len(log.refused)} refused, lost {len(audit.lost)}, "
        f"doubled {len(audit.doubled)}, clients reset {len(revival.reset)}; the callers' log: {counts_text(log.counts)}"
    )
    record_property("kills", summary)
    assert set(log.verdicts) == set(workload.requests)
    assert not log.counts["answered 500"], f"{summary}\n{log.file}"
    assert {request.by for request in log.accepted} == set(TOKENS)
    assert not audit.faults, "\n".join((summary, *audit.faults[:20], f"callers' log: {log.file}"))
    assert len(revival.reset) <= max(1, kills // 20), summary
    async with encryption_of(terminal) as encryption:
        reader = encrypting(temporal, encryption.converter())
        assert await replay_everything(reader, but=revival.reset) >= len(accounts)


async def with_token(
    stack: AsyncExitStack, terminal: Terminal, api: httpx2.AsyncClient, name: str
) -> httpx2.AsyncClient:
    """A caller with an API token of this name."""
    made = await post(api, "/tokens", {"name": name, "role": "operator"})
    return await stack.enter_async_context(terminal.api(made["token"]))


def systems_that_are_here() -> list[str]:
    """The options of `connect up` for FreeRADIUS and Kamailio, where they are installed."""
    try:
        check_installed()
    except StartFailed:
        assert os.environ.get("CONNECT_REQUIRE_SYSTEMS") != "1"
        return []
    return ["--systems", "--sip-port", str(free_udp_port()), "--radius-port", str(free_udp_port())]


async def settled_accounts(api: httpx2.AsyncClient, log: CallersLog) -> list[Account]:
    """Every client, once everything that was decided is proven."""
    late = [v[0].client_id for r, v in log.verdicts.items() if r.kind == CREATE and v[0].accepted]
    right = dict.fromkeys([*(record["client_id"] for record in records(CLIENTS)), *late], "settled")

    async def settled() -> list[Account]:
        try:
            page = (await api.get("/clients", params={"inactive": "true", "limit": 500})).raise_for_status().json()
            assert {client["client_id"]: client["provisioning"] for client in page["items"]} == right
            return [await account_of(api, client_id) for client_id in right]
        except httpx2.HTTPError as away:  # what was killed last is on its way back
            raise AssertionError(away) from away

    return await eventually(settled, every=0.5)


async def read_tables(terminal: Terminal) -> Tables:
    """What the systems' databases hold, asked as the worker asks them."""
    environment = environment_of(terminal.children()["The worker"][0])
    return await Tables.read(environment["CONNECT_TELEPHONY_DSN"], environment["CONNECT_INTERNET_DSN"])


@asynccontextmanager
async def encryption_of(terminal: Terminal) -> AsyncIterator[Encryption]:
    """The keys with which the worker reads what Temporal keeps."""
    environment = environment_of(terminal.children()["The worker"][0])
    names = {name: f"CONNECT_{name.upper()}" for name in ("directory_dsn", "keys_dsn", "encryption_keys_file")}
    settings = Settings.model_validate({name: environment[variable] for name, variable in names.items()})
    directory = Database("directory", settings.directory_dsn.get_secret_value(), settings)
    async with directory, Encryption.of(settings, directory) as encryption:
        yield encryption


def environment_of(pid: int) -> dict[str, str]:
    """What a process was told when it was started."""
    variables = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
    return dict(variable.split("=", 1) for variable in variables if variable)


def counts_text(counts: Counter[str]) -> str:
    return ", ".join(f"{what} {n}" for what, n in counts.items())
