"""A third system, named by a file alone, lives a whole life under `connect up`: the real worker, API and servers."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest_asyncio

from tests.support.doors import TOKEN, doors
from tests.support.up import SITE, Terminal, post
from tests.support.waiting import eventually, free_port

GATE = {"kind": "gates", "name": "main-entrance", "settings": {"card": "0472"}}
NUMBER = "+442079460001"
HASTE = {
    "CONNECT_ATTEMPT_SECONDS": "8",  # and what a busy machine does not manage in them is tried again soon
    "CONNECT_FIRST_PAUSE_SECONDS": "1",
    "CONNECT_LONGEST_PAUSE_SECONDS": "2",
    "CONNECT_SECOND_LOOK_SECONDS": "0",
}


@dataclass
class Place:
    """`connect up` with a file of settings, and the system that the file names, which may be taken away."""

    folder: Path
    terminal: Terminal
    api: httpx2.AsyncClient
    port: int
    system: ExitStack = field(default_factory=ExitStack)

    def have_system(self) -> None:
        self.caller = self.system.enter_context(doors(self.folder, self.port))

    def on(self, name: str = "main-entrance") -> bool | None:
        """Whether the gate opens, as the system itself says; None: it knows of none."""
        answer = self.caller.get("/services", params={"client_id": "acme", "name": name})
        found: bool | None = answer.json()["items"][0].get("in_service")
        return found

    async def post(self, command: str, **body: Any) -> dict[str, Any]:
        """What a command answers. A service that has no time for it is asked again, under the same key."""
        headers = {"Prefer": "wait=0", "Idempotency-Key": uuid4().hex}

        async def answered() -> dict[str, Any]:
            answer = await self.api.post(f"/clients/acme/{command}", json=body, headers=headers)
            assert answer.status_code in (200, 202), answer.text
            result: dict[str, Any] = answer.json()
            return result

        return await eventually(answered)

    async def done(self, command: str, **body: Any) -> dict[str, Any]:
        """The client when a command was obeyed, and all of it is done."""
        revision = (await self.post(command, **body))["revision"]

        async def settled() -> dict[str, Any] | None:
            client = await self.client()
            return client if client["revision"] >= revision and client["provisioning"] == "settled" else None

        client = await eventually(settled)
        assert client
        return client

    async def client(self) -> dict[str, Any]:
        answer = await self.api.get("/clients/acme")
        assert answer.status_code == 200, answer.text
        client: dict[str, Any] = answer.json()
        return client

    async def gates(self) -> dict[str, Any]:
        found: dict[str, Any] = next(it for it in (await self.client())["systems"] if it["system"] == "gates")
        return found

    async def needs_a_person(self) -> list[tuple[str, str]]:
        found = await self.api.get("/attention")
        assert found.status_code == 200, found.text
        return [(one["system"], one["title"]) for one in found.json()["items"]]

    async def until(self, state: str) -> dict[str, Any]:
        async def there() -> bool:
            return str((await self.gates())["state"]) == state

        await eventually(there)
        return await self.gates()


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    folder, port, terminal = tmp_path / "gates", free_port(), Terminal(tmp_path / "data")
    folder.mkdir()
    file = tmp_path / "systems.toml"
    file.write_text(
        f"""
        [gates]
        title = "Entrance gates"
        in_building = true
        [gates.main]
        url = "http://127.0.0.1:{port}/v1"
        token = "{TOKEN}"
        [workflow.main]
        url = "http://127.0.0.1:{port}/v1"
        [gates.annex]
        url = "http://127.0.0.1:{port}/v1"
        """,
        encoding="utf-8",
    )
    terminal.start(env={"CONNECT_SYSTEMS_FILE": str(file), **HASTE})
    try:
        await terminal.ready()
        async with terminal.api() as api:
            place = Place(folder, terminal, api, port)
            with place.system:
                place.have_system()
                yield place
    finally:
        terminal.close()


async def test_a_third_system_lives_a_whole_life_by_settings_alone(place: Place) -> None:
    assert place.terminal.line_with("workflow cannot be the name of a kind")
    assert place.terminal.line_with("gates.annex is not served: Set token or token_file of [gates.annex]")

    await post(place.api, "/sites", SITE)
    line = {"number": NUMBER, "office": "3.12"}
    new = {"client_id": "acme", "name": "Acme", "type": "residential", "site": SITE["site_id"]}
    await post(place.api, "/clients", {**new, "lines": [line], "services": [GATE]})
    await place.until("settled")
    assert place.on() is True
    assert (await place.gates())["title"] == "Entrance gates"

    await place.done("suspend", source="billing")
    assert place.on() is False
    await place.done("unsuspend", source="billing")
    assert place.on() is True

    yard = {**GATE, "name": "yard"}
    at = "2099-03-01T09:00:00+00:00"
    preview = await place.post("services?dry_run=true", add_services=[yard], at=at)
    effects = [(effect["subject"], effect["before"], effect["after"]) for effect in preview["effects"]]
    assert effects == [("gates:yard", "none", "on, card 0472")]
    planned = await place.post("services", add_services=[yard], at=at)
    assert planned["planned"][0]["details"]["add_services"] == [yard]
    cancelled = await place.api.delete("/clients/acme/planned/change_services")
    assert cancelled.json()["planned"] == []
    assert place.on("yard") is None

    ends = await place.post("convert?dry_run=true", to="virtual")
    assert ("gates:main-entrance", "off") in [(effect["subject"], effect["after"]) for effect in ends["effects"]]
    await place.done("convert", to="virtual")
    assert place.on() is False
    refused = await place.api.post("/clients/acme/services", json={"add_services": [GATE]})
    assert refused.json()["detail"].startswith("A virtual client has no gates. ")
    await place.post("convert", to="residential", lines=[line])
    await place.done("services", add_services=[GATE])
    assert place.on() is True

    place.system.close()
    await place.post("suspend", source="security")
    assert "is unavailable" in (await place.until("attention"))["last_error"]
    await eventually(place.needs_a_person, equal=[("gates", "Entrance gates")])
    skipped = await place.post("systems/gates/skip", reason="the motor is being replaced")
    assert skipped["message"] == "Entrance gates left as is, until the next decision that concerns this system"
    assert (await place.until("skipped"))["skipped"]["reason"] == "the motor is being replaced"
    assert (await place.post("systems/gates/retry"))["message"] == "Trying entrance gates again"
    await place.until("attention")
    await place.post("systems/gates/mark-done", note="shut by hand")
    assert (await place.until("done_by_hand"))["note"] == "shut by hand"

    place.have_system()
    assert place.on() is True, "it was away"
    await place.done("unsuspend", source="security")
    assert place.on() is True
    assert (await place.done("decommission"))["status"] == "decommissioned"
    assert place.on() is False

    async def texts_of_history() -> list[str]:
        lines = (await place.api.get("/clients/acme/history", params={"limit": 100})).json()["items"]
        texts = [entry["text"] for entry in lines]
        assert {"Entrance gates proven: 1 on, 0 off", "Entrance gates marked as done by hand"} <= {*texts}
        return texts

    texts = await eventually(texts_of_history)
    assert not [text for text in texts if text.startswith("Gates ")], "people read the title of the settings"
