"""The service with access gear that it can ask to end sessions: real FreeRADIUS, and NASes of ours on loopback."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.databases import fetch
from tests.support.router import Nas
from tests.support.waiting import free_udp_port
from tests.systems.service import Building, Systems, running_service
from workflows.domain.systems import INTERNET

ACCESS = {"down_mbps": 100, "up_mbps": 20, "vlan": 110}


@dataclass
class Network:
    """A building whose access gear, anywhere on loopback, takes Disconnect-Requests at ``port``."""

    building: Building
    secret: str
    port: int

    def nas(self, address: str = "127.0.0.2") -> Nas:
        """Access gear with an address of its own. Open it with ``async with``."""
        return Nas(self.building.freeradius.port, self.secret, self.port, address)

    async def tenant(self, **record: Any) -> tuple[str, str]:
        """A client with internet access only: its id, which is its account, and the password of its router."""
        client_id = await self.building.create(internet=ACCESS, **record)
        return client_id, (await self.building.credentials(client_id))["radius"]["password"]

    async def send_command(self, client_id: str, command: str, **body: Any) -> None:
        """Have a command accepted, whatever becomes of it."""
        await self.building.post(f"/clients/{client_id}/{command}", wait=0, **body)

    async def internet(self, client_id: str) -> dict[str, Any]:
        """Where the internet of a client stands."""
        answer = await self.building.api.get(f"/clients/{client_id}")
        assert answer.status_code == 200, answer.text
        (system,) = [it for it in answer.json()["systems"] if it["system"] == "internet"]
        return dict(system)

    async def settled(self, client_id: str) -> bool:
        return bool((await self.internet(client_id))["state"] == "settled")

    async def open_sessions(self, *accounts: str) -> list[tuple[str, str]]:
        """Account and session id of every open row of these."""
        sql = "SELECT username, acctsessionid FROM radacct WHERE acctstoptime IS NULL AND username = ANY($1)"
        return [tuple(row) for row in await fetch(self.building.databases["radius"], sql, list(accounts))]

    async def rounds(self, count: int = 2) -> None:
        """Return when all that is off was looked at so many times more."""
        await self.building.rounds(INTERNET, count)

    async def lines_with(self, client_id: str, words: str) -> list[str]:
        """The lines of a client's history with these words."""
        answer = await self.building.api.get(f"/clients/{client_id}/history")
        return [line["text"] for line in answer.json()["items"] if words in line["text"]]

    async def evidence(self, client_id: str) -> dict[str, Any]:
        """The last finding of a client's account that lies in the directory, with the method of its proof."""
        sql = """SELECT findings, method FROM proofs WHERE client_id = $1 AND system = 'internet' AND kind = 'change'
            ORDER BY revision DESC LIMIT 1"""
        (row,) = await fetch(self.building.databases["connect"], sql, client_id)
        (finding,) = json.loads(row["findings"])
        return {**finding, "method": row["method"]}

    async def execute(self, sql: str, *values: object, database: str = "radius") -> None:
        """Change FreeRADIUS's database, or another, behind everybody's back."""
        await fetch(self.building.databases[database], sql, *values)


@asynccontextmanager
async def running_network(systems: Systems, **changed: Any) -> AsyncIterator[Network]:
    """The service in front of these systems, with access gear."""
    port = free_udp_port()
    gear = json.dumps({"127.0.0.0/8": {"secret": systems.secret, "port": port}})
    async with running_service(systems, **{"nas": gear, "disconnect_seconds": 0.6} | changed) as building:
        yield Network(building, systems.secret, port)
