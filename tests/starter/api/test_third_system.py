"""A third system that settings alone name lives a whole life: contracted, switched, proven, and seen to."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from activities.instances import Instances
from starter.contract.catalogue import Catalogue
from tests.support.service import Service, number, waiting, with_kinds

FILE = """
[doors]
title = "Doors"
in_building = true
[doors.main]
url = "https://doors.example/v1"
token = "a-token-of-the-doors"
"""
DOOR = {"kind": "doors", "name": "main-entrance", "settings": {"card": "0472"}}


@pytest.fixture(scope="session")
def systems_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("settings") / "systems.toml"
    file.write_text(FILE, encoding="utf-8")
    return file


@pytest_asyncio.fixture(scope="session")
async def by_settings(service: Service, systems_file: Path) -> AsyncIterator[Service]:
    """The service, whose settings name a file with doors in it."""
    instances = Instances.of(service.settings.model_copy(update={"systems_file": systems_file}))
    assert instances.problems == ()
    async with with_kinds(service, Catalogue.of(instances)) as named:
        yield named


def doors_of(client: dict[str, Any]) -> dict[str, Any]:
    doors: dict[str, Any] = next(system for system in client["systems"] if system["system"] == "doors")
    return doors


async def test_a_third_system_lives_a_whole_life(by_settings: Service) -> None:
    service, fake = by_settings, by_settings.doors
    client = await service.create(lines=[{"number": number(), "office": "3.12"}], services=[DOOR])
    client_id = client["client_id"]
    assert doors_of(client)["desired"] == {"main-entrance": "on"}

    async def on() -> dict[str, bool]:
        """What the doors were last ordered for the client."""
        await service.known(client_id)
        order = next(order for order in reversed(fake.orders) if order.client_id == client_id)
        return {name: desired.on for name, desired in order.subjects.items()}

    assert await on() == {"main-entrance": True}

    await service.post(client_id, "suspend", source="billing")
    assert await on() == {"main-entrance": False}
    await service.post(client_id, "unsuspend", source="billing")
    assert await on() == {"main-entrance": True}

    plan: dict[str, Any] = {"add_services": [{**DOOR, "name": "garage"}], "at": "2099-03-01T09:00:00+00:00"}
    preview = (await service.post(client_id, "services?dry_run=true", **plan)).json()
    effects = [(effect["kind"], effect["subject"], effect["after"]) for effect in preview["effects"]]
    assert effects == [("service", "doors:garage", "on, card 0472")]
    planned = (await service.post(client_id, "services", **plan)).json()
    assert planned["planned"][0]["details"]["add_services"] == [{**DOOR, "name": "garage"}]
    cancelled = await service.api.delete(f"/clients/{client_id}/planned/change_services", headers=waiting(20))
    assert cancelled.json()["planned"] == []

    virtual = (await service.post(client_id, "convert?dry_run=true", to="virtual")).json()
    assert ("doors:main-entrance", "off") in [(effect["subject"], effect["after"]) for effect in virtual["effects"]]
    converted = (await service.post(client_id, "convert", to="virtual")).json()
    assert converted["services"] == []
    assert await on() == {"main-entrance": False}
    back: dict[str, Any] = {"to": "residential", "lines": [{"number": client["lines"][0]["number"], "office": "4.1"}]}
    assert (await service.post(client_id, "convert", **back)).json()["type"] == "residential"
    await service.post(client_id, "services", add_services=[DOOR])
    assert await on() == {"main-entrance": True}

    async with service.without(fake):
        await service.post(client_id, "suspend", source="security", wait=0)
        await service.tried(client_id)
        skipped = await service.post(client_id, "systems/doors/skip", reason="the lock is being replaced")
        assert doors_of(skipped.json())["skipped"]["reason"] == "the lock is being replaced"
        await service.post(client_id, "systems/doors/retry", wait=0)
        await service.tried(client_id)
        done = await service.post(client_id, "systems/doors/mark-done", note="taken off its hinges")
        assert doors_of(done.json())["note"] == "taken off its hinges"
    await service.post(client_id, "unsuspend", source="security")
    assert await on() == {"main-entrance": True}

    ended = await service.post(client_id, "decommission")
    assert ended.json()["status"] == "decommissioned"
    handle = service.temporal.get_workflow_handle(f"client-{client_id}")
    await handle.result()
    last = next(order for order in reversed(fake.orders) if order.client_id == client_id)
    assert {name: desired.on for name, desired in last.subjects.items()} == {"main-entrance": False}
    words = " ".join(line["text"] for line in await service.history(client_id))
    assert "added doors:main-entrance" in words
