"""Random changes with faults between: what is said to be proven off is off, and what is proven on has the rates that
are said; after the storm everything settles, and what nobody could know of is found.

Real FreeRADIUS, Kamailio and PostgreSQL; the access gear and the telephones are ours, and know what is true.
``make test ARGS="-k random_changes --changes 2000"`` is the whole of it; ``--seed`` repeats a run as far as chance lets
it be repeated.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from activities.background import background
from activities.directory.migrations import migrate
from activities.internet.nas import Changeable
from starter.local.postgres import EmbeddedPostgres
from tests.faults.callers import Callers, CallersLog
from tests.faults.workload import SITE, Request, Workload, records
from tests.support.databases import connected, database, fetch
from tests.support.relay import Relay
from tests.support.waiting import eventually, free_udp_port
from tests.systems.findings import Findings
from tests.systems.gear import RATES, Gear
from tests.systems.outside import Tenant
from tests.systems.service import Building, Systems, running_service
from tests.systems.test_faults import QUICK
from tests.systems.weather import FAULTS, Outdoors

CLIENTS, CALLERS, GEAR = 6, 4, 3
INTERIM = 4.0
LOOKS = 6  # at a client, that a caller lets pass before it says something else, unless it settles
GOES_ON = 0.2  # chance that it does not wait
LASTS = 4  # commands, at most, for which a fault lasts
STANDSTILL = 300.0
ASKED = {
    "suspend": 14,
    "unsuspend": 30,
    "add a line": 6,
    "remove a line": 6,
    "set internet": 26,
    "convert": 2,
    "rotate": 5,
    "decommission": 1,
}
SETTINGS: dict[str, Any] = QUICK | {  # what is there has time to answer on a busy machine: in the end all must settle
    "attempt_seconds": 30,
    "connect_seconds": 4,
    "lock_seconds": 3,
    "statement_seconds": 4,
    "operation_seconds": 7,
    "probe_seconds": 2,
    "first_pause_seconds": 0.3,
    "watch_every_seconds": 0.4,
    "watch_seconds": 600,
    "interim_seconds": INTERIM,
    "disconnect_seconds": 0.6,
    "disconnect_pause_seconds": 0.3,
}
TIMES = """
SELECT h.client_id, h.revision, h.text, extract(epoch FROM min(p.at) - h.at)::float8 AS seconds,
  (SELECT string_agg(DISTINCT f->>'why', '; ') FROM proofs q, jsonb_array_elements(q.findings) f
    WHERE q.client_id = h.client_id AND q.at BETWEEN h.at AND min(p.at) AND f->>'why' <> '') AS why
FROM history h
JOIN proofs p ON p.client_id = h.client_id AND p.kind = 'change' AND p.revision >= h.revision AND p.at >= h.at
WHERE h.event = 'decided' AND EXISTS (SELECT FROM proofs q WHERE q.client_id = h.client_id AND q.revision = h.revision)
GROUP BY h.history_id, h.client_id, h.revision, h.text, h.at ORDER BY seconds"""

ROUNDS = """
CREATE TABLE rounds (at timestamptz);
CREATE FUNCTION note_round() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rounds VALUES (OLD.begun_at); RETURN NEW; END';
CREATE TRIGGER note_round BEFORE UPDATE OF begun_at ON watch_rounds FOR EACH ROW
  WHEN (OLD.system = 'internet' AND OLD.blind_since IS NULL) EXECUTE FUNCTION note_round()"""


@dataclass
class World:
    """Everything of one run."""

    building: Building
    outdoors: Outdoors
    tenants: Sequence[Tenant]
    findings: Findings
    log: CallersLog


@asynccontextmanager
async def world(systems: Systems, postgres: EmbeddedPostgres, folder: Path, seed: int) -> AsyncIterator[World]:
    """The service, its systems, and what is outside of it: gear behind relays, and clients with their telephones."""
    asks, hears, chance = free_udp_port(), free_udp_port(), random.Random(seed)
    addresses = [f"127.0.9.{n + 1}" for n in range(GEAR)]
    takes = [[*get_args(Changeable)], ["WISPr-Bandwidth-Max-Down", "WISPr-Bandwidth-Max-Up", "Mikrotik-Rate-Limit"], []]
    nas = {
        address: {"secret": systems.secret, "port": asks, "coa": coa}
        for address, coa in zip(addresses, takes, strict=True)
    }
    async with AsyncExitStack() as stack:
        directory = await stack.enter_async_context(database(postgres, "random"))
        await migrate(directory)
        enter = stack.enter_async_context
        building = await enter(
            running_service(systems, directory_dsn=SecretStr(directory), nas=json.dumps(nas), **SETTINGS)
        )
        building.databases["connect"] = directory
        radius, port = [], free_udp_port()
        for n in range(2):
            relay = Relay(("127.0.0.1", building.freeradius.port + n), ("127.0.0.1", port + n), seed=seed + n)
            radius.append(await enter(relay))
        gear, between = [], []
        for n, (address, coa) in enumerate(zip(addresses, takes, strict=True)):
            between.append(await enter(Relay((address, hears), (address, asks), seed=seed + 10 + n)))
            gear.append(await enter(Gear(port, systems.secret, hears, address, changes=frozenset(coa))))
        assert (await building.api.post("/sites", json=SITE)).status_code == 201
        findings = Findings(INTERIM)
        tenants = []
        for n, record in enumerate(records(CLIENTS, residential=True)):
            await building.create(**record)
            outside = f"127.0.8.{n + 1}", gear, findings, random.Random(seed + 100 + n)
            tenants.append(Tenant(building.api, building.gateway, record["client_id"], *outside))
        for tenant in tenants:
            tenant.neighbours = tenants
        outdoors = Outdoors(systems, gear, [*radius, *between], chance)
        log = CallersLog(folder / "callers.jsonl")
        yield World(building, outdoors, tenants, findings, log)


async def note_rounds(world: World) -> None:
    """Write down when each round of the watch of accounts began that could see, once it is over, until cancelled."""
    async with connected(world.building.databases["connect"]) as directory:
        await directory.execute(ROUNDS)
        while True:
            for row in await directory.fetch("DELETE FROM rounds RETURNING extract(epoch FROM at)::float8 AS at"):
                world.findings.rounds.append(row["at"])
            await asyncio.sleep(0.1)


async def ask(world: World, requests: Sequence[Request], chance: random.Random) -> None:
    """One caller: each command when the one before has come to something, or a few looks have passed."""
    callers, tenants = Callers(world.building.api, world.log), {it.client_id: it for it in world.tenants}
    for request in requests:
        world.log.begun += 1
        world.log.verdict(request, await callers.verdict_on(request))
        if chance.random() < GOES_ON or not (tenant := tenants.get(request.client_id)):
            continue
        begun = tenant.looks

        def passed(tenant: Tenant = tenant, begun: int = begun) -> bool:
            known = tenant.report is not None and tenant.report.settled
            return tenant.looks > begun + (1 if known else LOOKS)

        await eventually(passed, STANDSTILL)


async def storm(world: World, faults: Counter[str], under_way: set[str], chance: random.Random) -> None:
    """One fault after another, each in turn in an order of chance, for a few commands each, until cancelled; none that
    is ``under_way`` already, for the first that is over would be the end of both."""
    while True:
        for name in chance.sample([*FAULTS], len(FAULTS)):
            if name in under_way:
                continue
            faults[name] += 1
            under_way.add(name)
            try:
                async with FAULTS[name](world.outdoors):
                    until = world.log.begun + chance.randint(1, LASTS)
                    await eventually(lambda until=until: world.log.begun >= until, STANDSTILL)  # type: ignore[misc]
            finally:
                under_way.remove(name)


async def all_settled(world: World) -> bool:
    answers = [await world.building.api.get(f"/clients/{tenant.client_id}") for tenant in world.tenants]
    states = {answer.json()["client_id"]: answer.json()["provisioning"] for answer in answers}
    assert set(states.values()) == {"settled"}, [
        (it["client_id"], system["system"], system["last_error"])
        for it in (answer.json() for answer in answers)
        for system in it["systems"]
        if system["state"] != "settled"
    ]
    return True


async def nothing_lives(world: World) -> bool:
    """Whether no session lives of an account that is said to be off."""
    off = {it["client_id"] for it in await clients(world) if it["status"] != "active" or not it["internet"]}
    assert not [str(life) for nas in world.outdoors.gear for life in nas.living.values() if life.account in off]
    return True


async def find_what_is_accounted_for_late(world: World) -> None:
    """Every router has a session that accounting hears of only when its client is suspended, and that is proven."""
    for client in await clients(world):
        if client["status"] == "suspended":
            await world.building.post(f"/clients/{client['client_id']}/unsuspend", source="all")
    await eventually(partial(all_settled, world), every=0.2)
    online = {it["client_id"] for it in await clients(world) if it["status"] == "active" and it["internet"]}
    for nas in world.outdoors.gear:
        nas.behind = True
        for session in [*nas.living]:
            nas.end(session)
    await eventually(partial(all_online, world, online))
    for client_id in online:
        await world.building.post(f"/clients/{client_id}/suspend", source="late")
    await eventually(partial(all_settled, world), every=0.2)
    for nas in world.outdoors.gear:
        nas.behind = False
    await eventually(partial(nothing_lives, world), every=0.2)


def all_online(world: World, accounts: Set[str]) -> bool:
    """Whether each of these accounts has a session."""
    living = {life.account for nas in world.outdoors.gear for life in nas.living.values()}
    offline = [it for it in world.tenants if it.client_id in accounts - living]
    assert not offline, [(it.client_id, it.last_login, [life.lasted for life in it.lives][-2:]) for it in offline]
    return True


async def clients(world: World) -> list[dict[str, Any]]:
    return [(await world.building.api.get(f"/clients/{tenant.client_id}")).json() for tenant in world.tenants]


async def hold_proofs(world: World) -> int:
    """Hold every proof that was recorded against the truth at its moment. Returns their number."""
    sql = """SELECT client_id, extract(epoch FROM at)::float8 AS at, findings FROM proofs
      WHERE system = 'internet' AND kind IN ('change', 'part')"""
    proofs = await fetch(world.building.databases["connect"], sql)
    sessions = [(life, bool(nas.changes)) for nas in world.outdoors.gear for life in nas.lives]
    proven = [(it["at"], f) for it in proofs for f in json.loads(it["findings"]) if f["proof"] == "proven"]
    for at, finding in proven:
        rates = finding["seen"].get(RATES, "")
        for life, changes in sessions:
            if life.account == finding["subject"] and life.at(at):
                if not finding["in_service"]:
                    world.findings.session(life, at, at)
                elif changes and life.rates_at(at) != rates:
                    world.findings.plan(life, rates, at, at)
    return len(proofs)


async def test_nothing_is_said_to_be_off_that_is_on_and_after_the_storm_everything_settles(
    breakable: Systems,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    changes, seed = int(request.config.getoption("changes")), request.config.getoption("seed")
    seed = random.randrange(2**32) if seed is None else int(seed)
    record_property("seed of random changes", seed)
    workload = Workload(seed, CLIENTS, CALLERS, changes, residential=True, actions=ASKED)
    faults = Counter[str]()
    async with world(breakable, postgres, tmp_path, seed) as it:
        lives = (*(tenant.live for tenant in it.tenants), *(nas.keep_accounting for nas in it.outdoors.gear))
        async with background(partial(note_rounds, it), *lives):
            under_way = set[str]()
            storms = (partial(storm, it, faults, under_way, random.Random(seed + n)) for n in range(2))
            async with background(*storms), asyncio.TaskGroup() as group:
                for n, turn in enumerate(workload.turns):
                    group.create_task(ask(it, turn, random.Random(seed + 20 + n)))
            begun = [tenant.looks for tenant in it.tenants]
            await eventually(partial(all_settled, it), every=0.2)
            await eventually(partial(nothing_lives, it), every=0.2)
            await eventually(lambda: all(t.looks > b + LOOKS for t, b in zip(it.tenants, begun, strict=True)))
            await find_what_is_accounted_for_late(it)
        proofs = await hold_proofs(it)
        rows = await fetch(it.building.databases["connect"], TIMES)
        record_property("random changes", report(it, faults, proofs, [row["seconds"] for row in rows]))
        for row in rows[-3:]:
            record_property("slowest", str(dict(row))[:300])
    assert not it.findings.false, "\n".join([f"{len(it.findings.false)} false proofs", *it.findings.false[:20]])


def report(it: World, faults: Counter[str], proofs: int, times: Sequence[float]) -> str:
    """The figures of a run."""
    found = it.findings
    sessions = sum(len(nas.lives) for nas in it.outdoors.gear)
    excused = ", ".join(f"{count} {why}" for why, count in found.excused.items()) or "none"
    quantiles = [f"p{n} {times[min(len(times) - 1, len(times) * n // 100)]:.2f} s" for n in (50, 99)] if times else []
    return (
        f"{len(it.log.accepted)} changes accepted, {len(it.log.refused)} refused; {faults.total()} faults of "
        f"{len(faults)} kinds; {sessions} sessions; {found.looks} looks, {found.held} times something was said to be "
        f"off, and {found.plans} times which rates a session has; {proofs} proofs; false {len(found.false)}; "
        f"could not be known: {excused}; from decision to proof: {', '.join(quantiles)}"
    )
