"""Another system is one file and one setting away; a setting that is wrong says what to do."""

import sys
from pathlib import Path
from typing import Self

import pytest
from pydantic import BaseModel, SecretStr

from activities.adapters import AdapterNotUsable, adapters_of, problems_of
from activities.database import Databases, open_databases
from activities.directory.evidence import Evidences
from activities.instances import Instance, Instances
from activities.internet.adapter import RadiusInternet
from activities.prepare import check_systems, prepare
from activities.settings import Settings
from activities.telephony.adapter import KamailioTelephony
from tests.activities.fixtures import MASTER_KEY, ONE, World, publication, switched
from tests.support.fakes import FakeSystem
from tests.support.waiting import HANGING, free_port
from workflows.domain.systems import INTERNET, TELEPHONY, SystemInstance
from workflows.ports import ServiceSystem

HERE = "tests.activities.test_adapters"
YORK = f'[telephony.york]\nadapter = "{HERE}:OneFile"\n'
DSNS = {"directory_dsn": "postgresql://there/connect", "telephony_dsn": "postgresql://there/kamailio"}


class OneFile(FakeSystem):
    """A telephone system of somebody else's."""

    @classmethod
    def of(cls, instance: Instance, databases: Databases, evidences: Evidences) -> Self:
        """As its settings say."""
        return cls()


class Options(BaseModel):
    folder: str
    level: int = 0


class WithOptions(FakeSystem):
    """A telephone system of somebody else's, which needs what Connect does not know."""

    options: Options

    @classmethod
    def of(cls, instance: Instance, databases: Databases, evidences: Evidences) -> Self:
        made = cls()
        made.options = Options.model_validate(instance.options)
        return made


class Handmade(FakeSystem):
    """It lacks what makes it."""


class Stranger:
    """No adapter at all."""

    @classmethod
    def of(cls, instance: Instance, databases: Databases, evidences: Evidences) -> Self:
        return cls()


def evidences_of(world: World) -> Evidences:
    return Evidences(world.databases.directory, HANGING)


def settings_with(world: World, **changes: object) -> Settings:
    return world.settings.model_copy(update={"master_key": None, **changes})


async def make_adapters(world: World, settings: Settings) -> tuple[dict[SystemInstance, ServiceSystem], list[str]]:
    """The adapters that a worker with these settings has, and what is wrong with others."""
    async with open_databases(settings) as databases:
        return adapters_of(databases, evidences_of(world))


async def test_ours_are_used_unless_told_otherwise(world: World) -> None:
    adapters, problems = await make_adapters(world, world.settings)
    assert isinstance(adapters[SystemInstance(TELEPHONY)], KamailioTelephony)
    assert isinstance(adapters[SystemInstance(INTERNET)], RadiusInternet)
    assert problems == []


async def test_a_class_in_one_file_is_used_when_the_setting_names_it(world: World) -> None:
    settings = settings_with(world, telephony_adapter=f"{HERE}:OneFile", master_key=SecretStr(MASTER_KEY.decode()))
    adapters, _ = await make_adapters(world, settings)
    assert type(adapters[SystemInstance(TELEPHONY)]).__name__ == "OneFile"


@pytest.mark.parametrize(
    ("name", "why", "remedy"),
    [
        ("", "it names no class", "Write module:Class"),
        ("activities.telephony.adapter", "it names no class", "Write module:Class"),
        ("no_such_module:Thing", "cannot be imported", "PYTHONPATH"),
        (f"{HERE}:Nobody", "has no Nobody", "Correct the name"),
        (f"{HERE}:HERE", "HERE does not implement ServiceSystem", "Derive it from workflows.ports.ServiceSystem"),
        (
            f"{HERE}:Stranger",
            "Stranger does not implement ServiceSystem",
            "Derive it from workflows.ports.ServiceSystem",
        ),
        (
            "activities.internet.adapter:RadiusInternet",
            "RadiusInternet switches internet",
            "a class that switches telephony",
        ),
        (f"{HERE}:Handmade", "no classmethod of", "def of(cls, instance, databases, evidences)"),
    ],
)
async def test_a_name_that_cannot_be_used_is_refused_with_the_remedy(
    world: World, name: str, why: str, remedy: str
) -> None:
    with pytest.raises(AdapterNotUsable) as refused:
        await make_adapters(world, settings_with(world, telephony_adapter=name))
    assert str(refused.value).startswith(f"CONNECT_TELEPHONY_ADAPTER is {name!r}: ")
    assert why in str(refused.value)
    assert remedy in str(refused.value)


async def test_a_file_that_is_no_python_is_refused(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_an_adapter.py").write_text("class Half(", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    settings = settings_with(world, internet_adapter="half_an_adapter:Half", master_key=SecretStr(MASTER_KEY.decode()))
    with pytest.raises(AdapterNotUsable, match=r"CONNECT_INTERNET_ADAPTER is .* cannot be imported"):
        await make_adapters(world, settings)


async def test_an_instance_of_a_file_whose_adapter_cannot_be_made_is_left_out_and_said(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "systems.toml"
    file.write_text(
        f"""
        [telephony.york]
        adapter = "{HERE}:OneFile"
        [telephony.wells]
        adapter = "{HERE}:WithOptions"
        options = {{ folder = "/srv/exchange", level = 2 }}
        [telephony.derby]
        adapter = "{HERE}:WithOptions"
        options = {{ folder = "/srv/exchange", level = "a secret" }}
        [telephony.leeds]
        adapter = "{HERE}:Nobody"
        [telephony.bath]
        dsn = "postgresql://bath/kamailio"
        probe_lines = true
        [telephony.hull]
        dsn = "pbx.hull.example"
        [doors.main]
        url = "ftp://doors"
        token = "a token that is long enough"
        [doors.yard]
        url = "https://[::1"
        token = "a token that is long enough"
        [doors.roof]
        url = "https://roof.example"
        token_file = "/nowhere/token"
        [doors.shed]
        url = "https://shed.example"
        """,
        encoding="utf-8",
    )
    adapters, problems = await make_adapters(world, world.settings.model_copy(update={"systems_file": file}))
    assert [*map(str, adapters)] == ["telephony", "internet", "telephony york", "telephony wells"]
    wells = adapters[SystemInstance(TELEPHONY, "wells")]
    assert isinstance(wells, WithOptions)
    assert wells.options == Options(folder="/srv/exchange", level=2)
    derby, leeds, bath, hull, doors, yard, roof, shed = problems
    assert derby.startswith(f"{file}: telephony.derby is not served: options.level is not a whole number.")
    assert leeds.startswith(f"telephony.leeds is not served: adapter of [telephony.leeds] in {file} is")
    assert "Correct the name of the class" in leeds
    assert "telephony.bath is not served: probe_lines needs sip_server" in bath
    assert hull.startswith(f"telephony.hull is not served: dsn of [telephony.hull] in {file} is no PostgreSQL URL.")
    for name, problem in (("main", doors), ("yard", yard)):
        assert problem.startswith(f"doors.{name} is not served: Set url of [doors.{name}] in {file} to the address")
    unread = "doors.roof is not served: /nowhere/token cannot be read (No such file or directory). Correct its path"
    assert roof.startswith(f"{file}: {unread}")
    assert shed.startswith(f"doors.shed is not served: Set token or token_file of [doors.shed] in {file} to at least")


async def test_what_sites_name_and_clients_have_and_no_setting_names_is_said_with_the_remedy(
    world: World, tmp_path: Path
) -> None:
    await world.register("acme", ONE)
    door = switched("doors", desired={"main-entrance": "on"})
    await world.directory.publish(publication("acme", 2, ONE, billing_ref="C000001", systems=[door, switched("wifi")]))
    await world.execute("directory", """UPDATE sites SET systems = '{"telephony": "york", "internet": "main"}'""")
    settings = world.settings.model_copy(update={"systems_file": None, "master_key": SecretStr(MASTER_KEY.decode())})
    name = "which no setting names. Name"
    [site] = [row[0] for row in await world.rows("directory", "SELECT site_id FROM sites")]
    warnings = [
        f"Site {site} names telephony:york, {name} [telephony.york] in CONNECT_SYSTEMS_FILE, "
        f"or give the site another: connect site edit {site} --system telephony=…",
        f"1 living client(s) have services of doors:main, {name} [doors.main] in CONNECT_SYSTEMS_FILE",
    ]
    assert await problems_of(settings) == warnings
    file = tmp_path / "systems.toml"
    file.write_text(f'{YORK}[doors.main]\nurl = "https://d"\ntoken = "a token of the doors"\n', encoding="utf-8")
    assert await problems_of(settings.model_copy(update={"systems_file": file})) == []
    away = settings.model_copy(update={"directory_dsn": SecretStr(f"postgresql://127.0.0.1:{free_port()}/connect")})
    assert await problems_of(away) == [], "one that is away is asked by whoever serves"


def test_a_database_is_needed_only_by_our_own_adapters() -> None:
    with pytest.raises(ValueError, match=r"Set CONNECT_INTERNET_DSN to .*, or CONNECT_INTERNET_ADAPTER to another"):
        Instances.of(Settings.model_validate(DSNS)).check_environment()
    instances = Instances.of(Settings.model_validate({**DSNS, "internet_adapter": "ours:Network"}))
    assert [instance.system for instance in instances.served.values() if instance.ours] == ["telephony"]
    instances.check_environment()
    Instances.of(Settings.model_validate({**DSNS, "serves": "telephony:*"})).check_environment()


async def test_only_the_databases_of_our_own_adapters_are_prepared_and_checked(world: World) -> None:
    await world.execute("telephony", "DROP TABLE connect_fence")
    settings = settings_with(world, telephony_adapter=f"{HERE}:OneFile", master_key=MASTER_KEY.decode())
    async with open_databases(settings) as databases:
        assert await check_systems(databases) == []
    assert [line for line in await prepare(settings) if "telephony" in line] == []
