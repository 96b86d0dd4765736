"""A further kind, one that settings name, is switched and proven over the JSON protocol without code of its own."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from activities.bounds import bounded
from activities.directory.evidence import Evidences
from activities.instances import Instances
from activities.json_http.adapter import JsonHttpServices
from activities.secrets import radius_password, service_password
from tests.activities.fixtures import MASTER_KEY, World, settings_for
from tests.support.json_system import TOKEN, JsonSystem, Thing, json_system
from tests.support.orders import watched
from workflows.domain.provisioning.ledger import Desired, Setting
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import SystemInstance
from workflows.ports import Ensure, Evidence, Life

DATABASES = ()
NAME = "main-entrance"


class NotRecorded(Evidences):
    """Evidence that nobody writes down."""

    async def record(self, client_id: str, evidence: Evidence, release: Sequence[str] = ()) -> Evidence:
        return bounded(evidence)


@pytest_asyncio.fixture
async def system() -> AsyncIterator[JsonSystem]:
    async with json_system() as system:
        yield system


@pytest.fixture
def doors(world: World, system: JsonSystem, tmp_path: Path) -> JsonHttpServices:
    file = tmp_path / "systems.toml"
    file.write_text(f'[doors.main]\nurl = "{system.url}"\ntoken = "{TOKEN}"\n', encoding="utf-8")
    settings = settings_for(world.dsns, {"systems_file": file, "master_key": MASTER_KEY.decode()})
    instance = Instances.of(settings).instances[SystemInstance("doors")]
    return JsonHttpServices.of(instance, world.databases, NotRecorded(world.databases.directory, 2))


def order(client_id: str, revision: int, *, on: bool, secret_version: int = 1, **settings: Setting) -> Ensure:
    return Ensure("doors", client_id, revision, {NAME: Desired(on, settings)}, secret_version=secret_version)


def proof(evidence: Evidence) -> tuple[bool, Proof, str]:
    (finding,) = evidence.findings
    return finding.in_service, finding.proof, finding.why


async def test_a_service_is_switched_on_and_off_and_proven_with_its_settings(
    doors: JsonHttpServices, system: JsonSystem
) -> None:
    system.keyless = True
    evidence = await doors.ensure(order("acme", 2, on=True, hours="24/7", badges=12))
    assert (evidence.system, proof(evidence)) == ("doors", (True, Proof.PROVEN, ""))
    seen = {"in_service": "1", "alive": "0", "hours": "24/7", "badges": "12"}
    assert evidence.findings[0].seen == seen, "no secret is spoken of where none is needed"
    assert system.bodies[-1]["services"] == {NAME: {"in_service": True, "settings": {"hours": "24/7", "badges": 12}}}
    assert proof(await doors.ensure(order("acme", 3, on=False, hours="24/7", badges=12))) == (False, Proof.PROVEN, "")


async def test_two_clients_have_a_service_of_the_same_name(doors: JsonHttpServices, system: JsonSystem) -> None:
    await doors.ensure(order("acme", 2, on=True))
    await doors.ensure(order("bolt", 2, on=True))
    assert proof(await doors.ensure(order("acme", 3, on=False))) == (False, Proof.PROVEN, "")
    assert [system.things[f"{client}/{NAME}"].in_service for client in ("acme", "bolt")] == [False, True]


async def test_a_setting_that_reads_back_otherwise_is_not_proven(doors: JsonHttpServices, system: JsonSystem) -> None:
    await doors.ensure(order("acme", 2, on=True, hours="24/7"))
    system.deaf = True
    on, found, why = proof(await doors.ensure(order("acme", 3, on=True, hours="office")))
    assert (on, found) == (True, Proof.NOT_PROVEN)
    assert why == "reads back with hours 24/7 instead of office"


async def test_its_secret_is_its_own_and_travels_only_where_it_is_asked_for(
    doors: JsonHttpServices, system: JsonSystem
) -> None:
    await doors.ensure(order("acme", 2, on=True))
    password = service_password(MASTER_KEY, "doors", "acme", NAME, 1)
    assert system.things[f"acme/{NAME}"].secret == {"username": NAME, "password": password}
    assert password != radius_password(MASTER_KEY, "acme", NAME, 1)
    assert [bool(body["secrets"]) for body in system.bodies] == [False, True]
    await doors.ensure(order("acme", 3, on=True))
    assert not system.bodies[-1]["secrets"]
    await doors.ensure(order("acme", 4, on=True, secret_version=2))
    assert system.things[f"acme/{NAME}"].secret != {"username": NAME, "password": password}


async def test_a_look_asks_about_a_part_of_very_many_clients_and_the_next_ones_go_on(
    doors: JsonHttpServices, system: JsonSystem
) -> None:
    off = [it for n in range(120) for it in watched(f"c{n}", [NAME], datetime.now(UTC) - timedelta(days=1))]
    looks = [await doors.observe(off) for _ in range(3)]
    assert [len(look.sightings) for look in looks] == [50, 50, 50]
    assert {it.watched.client_id for look in looks for it in look.sightings} == {f"c{n}" for n in range(120)}
    assert len(system.requests) == 150


async def test_a_look_finds_a_service_of_the_right_client_in_use_again(
    doors: JsonHttpServices, system: JsonSystem
) -> None:
    for client_id in ("acme", "bolt"):
        await doors.ensure(order(client_id, 2, on=True))
        await doors.ensure(order(client_id, 3, on=False))
    off = [it for client_id in ("acme", "bolt") for it in watched(client_id, [NAME], datetime.now(UTC))]
    assert (await doors.observe(off)).sightings == []
    system.things[f"acme/{NAME}"] = Thing("acme", in_service=True)
    (sighting,) = (await doors.observe(off)).sightings
    assert (sighting.watched.client_id, sighting.life, sighting.how) == ("acme", Life.ALIVE, "it is in service")
