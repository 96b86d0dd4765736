"""Another system is one file and one setting away; a setting that is wrong says what to do."""

import sys
from pathlib import Path
from typing import Self

import pytest
from pydantic import SecretStr

from activities.adapters import AdapterNotUsable, adapters_of
from activities.database import Databases
from activities.directory.evidence import Evidences
from activities.internet.adapter import RadiusInternet
from activities.prepare import check_systems, prepare
from activities.settings import Settings
from activities.telephony.adapter import KamailioTelephony
from tests.activities.fixtures import MASTER_KEY, World
from tests.support.fakes import FakeTelephony
from workflows.domain.systems import INTERNET, TELEPHONY

HERE = "tests.activities.test_adapters"
DSNS = {"directory_dsn": "postgresql://there/connect", "telephony_dsn": "postgresql://there/kamailio"}


class OneFile(FakeTelephony):
    """A telephone system of somebody else's."""

    @classmethod
    def of(cls, settings: Settings, databases: Databases, evidences: Evidences) -> Self:
        """As the settings say."""
        return cls()


class Handmade(FakeTelephony):
    """It lacks what makes it."""


class Stranger:
    """No adapter at all."""

    @classmethod
    def of(cls, settings: Settings, databases: Databases, evidences: Evidences) -> Self:
        return cls()


def evidences_of(world: World) -> Evidences:
    return Evidences(world.databases.directory, 2)


def settings_with(world: World, **changes: object) -> Settings:
    return world.settings.model_copy(update={"master_key": None, **changes})


async def test_ours_are_used_unless_told_otherwise(world: World) -> None:
    adapters = adapters_of(world.settings, world.databases, evidences_of(world))
    assert isinstance(adapters[TELEPHONY], KamailioTelephony)
    assert isinstance(adapters[INTERNET], RadiusInternet)


async def test_a_class_in_one_file_is_used_when_the_setting_names_it(world: World) -> None:
    settings = settings_with(world, telephony_adapter=f"{HERE}:OneFile", master_key=SecretStr(MASTER_KEY.decode()))
    made = adapters_of(settings, world.databases, evidences_of(world))[TELEPHONY]
    assert type(made).__name__ == "OneFile"


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
        (f"{HERE}:Handmade", "no classmethod of", "def of(cls, settings, databases, evidences)"),
    ],
)
async def test_a_name_that_cannot_be_used_is_refused_with_the_remedy(
    world: World, name: str, why: str, remedy: str
) -> None:
    with pytest.raises(AdapterNotUsable) as refused:
        adapters_of(settings_with(world, telephony_adapter=name), world.databases, evidences_of(world))
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
        adapters_of(settings, world.databases, evidences_of(world))


def test_a_database_is_needed_only_by_our_own_adapters() -> None:
    with pytest.raises(ValueError, match=r"Set CONNECT_INTERNET_DSN to .*, or CONNECT_INTERNET_ADAPTER to another"):
        Settings.model_validate(DSNS).check_systems()
    settings = Settings.model_validate({**DSNS, "internet_adapter": "ours:Network"})
    assert settings.prepared_systems == ("telephony",)
    settings.check_systems()


async def test_only_the_databases_of_our_own_adapters_are_prepared_and_checked(world: World) -> None:
    await world.execute("telephony", "DROP TABLE connect_fence")
    settings = settings_with(world, telephony_adapter=f"{HERE}:OneFile", master_key=MASTER_KEY.decode())
    await check_systems(world.databases, settings.prepared_systems)
    assert [line for line in await prepare(settings) if "telephony" in line] == []
