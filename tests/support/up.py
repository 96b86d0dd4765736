"""`connect up` in a terminal, and what an operator does elsewhere meanwhile."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx2

from starter.local.children import birth, processes_in
from starter.local.data_folder import DataFolder
from tests.support.waiting import HANGING, eventually, free_port, http_client

CONNECT = [sys.executable, "-m", "starter.cli.main"]
NOTHING: Mapping[str, str] = {}
SITE = {"site_id": "bank-house", "name": "Bank House", "timezone": "Europe/London"}


@dataclass
class Terminal:
    """A terminal in which `connect up` runs, and what an operator does elsewhere meanwhile."""

    data: Path
    port: int = field(default_factory=free_port)
    temporal_port: int = field(default_factory=free_port)
    ui_port: int = field(default_factory=free_port)
    process: "subprocess.Popen[str] | None" = None

    @property
    def command(self) -> list[str]:
        ports = {"--port": self.port, "--temporal-port": self.temporal_port, "--ui-port": self.ui_port}
        return [*CONNECT, "up", "--data", str(self.data), *(str(x) for pair in ports.items() for x in pair)]

    @property
    def output(self) -> Path:
        return self.data.with_name("output")

    def start(self, *more: str, env: Mapping[str, str] = NOTHING) -> None:
        foreign = {"CONNECT_TOKEN": "of-another-service", "TEMPORAL_ADDRESS": "temporal.example:7233"}
        with self.output.open("w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                [*self.command, *more],
                stdout=out,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                env={**os.environ, **foreign, **env},
            )

    async def ready(self) -> str:
        """Its one line, once there."""
        return await eventually(lambda: self.line_with("Connect is ready"))

    def line_with(self, what: str) -> str:
        assert self.process is not None
        text = self.output.read_text(encoding="utf-8")
        assert self.process.poll() is None or what in text, text
        return next((line for line in text.splitlines() if what in line), "")

    def children(self) -> dict[str, tuple[int, str]]:
        return DataFolder(self.data).noted_children()

    def kill(self, child: str) -> None:
        os.kill(self.children()[child][0], signal.SIGKILL)

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(HANGING)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGTERM)

    def leftovers(self) -> list[int]:
        alive = [pid for pid, born in self.children().values() if birth(pid) == born]
        return alive + processes_in(self.data / "postgres")

    def api(self, token: str = "") -> httpx2.AsyncClient:
        """A caller with this token, or with that of the settings."""
        token = token or (self.data / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}", "Prefer": "wait=20"}
        return http_client(base_url=f"http://127.0.0.1:{self.port}/api/v1", headers=headers)


async def post(api: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a POST answers, asked again while a part is on its way back."""
    answers: list[httpx2.Response] = []
    key = str(uuid5(NAMESPACE_URL, f"{path} {json.dumps(body)}"))

    async def answered() -> bool:
        with contextlib.suppress(httpx2.TransportError):
            answers.append(await api.post(path, json=body, headers={"Idempotency-Key": key}))
        return bool(answers) and answers[-1].is_success

    await eventually(answered, every=0.2)
    view: dict[str, Any] = answers[-1].json()
    return view


async def create(api: httpx2.AsyncClient, client_id: str, number: str) -> None:
    """A client, settled."""
    await post(api, "/sites", SITE)
    record = {"client_id": client_id, "name": "Acme", "type": "virtual", "site": SITE["site_id"]}
    await post(api, "/clients", record | {"lines": [{"number": number}]})
    await eventually(lambda: settled(api, client_id))


async def settled(api: httpx2.AsyncClient, client_id: str) -> bool:
    answer = await api.get(f"/clients/{client_id}")
    return answer.is_success and answer.json()["provisioning"] == "settled"
